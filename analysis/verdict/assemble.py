"""From a story to the report."""

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.bugchecks.explained import Explained, Stop
from analysis.kernel.facts import Frame, Module, Stack
from analysis.kernel.printed import PrintedScene
from analysis.kernel.scene import Scene
from analysis.trust import Trust
from analysis.verdict import bucket, report
from analysis.verdict.advice import cannot_tell, find_module, next_steps
from analysis.verdict.given import given, waited
from analysis.verdict.modules import is_bus
from analysis.verdict.printed import wrong_symbols_bucket
from analysis.verdict.reasons import reasons
from analysis.verdict.report import hexa
from analysis.verdict.request_facts import request_facts
from analysis.verdict.sentences import impact, summary
from analysis.verdict.story import Story
from analysis.verdict.surroundings import Surroundings
from analysis.verdict.walk import in_cycle

MAX_THREADS_WITH_STACKS = 64
WINDOWS_8 = 9200
# What DEFAULT_BUCKET_ID began with under Windows XP, Vista and 7.
OLD_BUCKETS = ("WIN7_", "VISTA_", "DRIVER_FAULT", "INTEL_CPU", "CODE_CORRUPTION", "COMMON_SYSTEM_FAULT")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a report that come from the story."""

    verdict: report.Verdict
    blocking: report.Blocking
    threads: tuple[report.ThreadFacts, ...]
    irps: tuple[report.IrpFacts, ...]
    bucket: report.Bucket


def assemble(around: Surroundings, story: Story) -> Parts:
    """Verdict, blocking, threads, requests and bucket of a story."""
    scene = around.scene
    return Parts(
        verdict=_verdict(scene, story),
        blocking=_blocking(scene, story),
        threads=tuple(_threads(scene, story)),
        irps=request_facts(around, story),
        bucket=_bucket(scene, story),
    )


def bugcheck_facts(explained: Explained) -> report.Bugcheck:
    """The report's ``bugcheck``."""
    return report.Bugcheck(
        code=hexa(explained.code),
        raw_code=hexa(explained.raw_code),
        name=explained.name,
        parameters=tuple(report.Parameter(hexa(one.value), one.meaning, one.resolved) for one in explained.parameters),
        explanation=explained.explanation,
    )


def module_facts(modules: Iterable[Module]) -> tuple[report.ModuleFacts, ...]:
    """The report's ``modules``."""
    return tuple(
        report.ModuleFacts(
            name=one.name,
            base=hexa(one.base),
            size=one.size,
            timestamp=hexa(one.timestamp) if one.timestamp is not None else None,
            version=one.version,
            unloaded=one.unloaded,
        )
        for one in modules
    )


def bare_bucket(explained: Explained) -> report.Bucket:
    """The bucket of a dump of which nothing but the header could be read."""
    values = [one.value for one in explained.parameters]
    failure = bucket.Failure(
        explained.code, (values[0], values[1], values[2], values[3]), explained.subcase, None, None
    )
    return _named(failure)


def _verdict(scene: Scene, story: Story) -> report.Verdict:
    blame = story.blame
    return report.Verdict(
        culprit=_culprit(scene, story),
        confidence=blame.confidence,
        summary=summary(scene, story),
        stack_culprit=blame.stack_culprit,
        device_culprit=blame.device_culprit,
        impact=impact(scene, story),
        reasons=reasons(scene, story),
        suspects=tuple(report.Suspect(one.module, one.why) for one in blame.passed),
        next_steps=next_steps(scene, story),
        cannot_tell=cannot_tell(scene, story),
        team=story.rules.team(blame.module),
    )


def _culprit(scene: Scene, story: Story) -> report.Culprit | None:
    blame = story.blame
    if blame.kind is None:
        return None
    module = find_module(scene, blame.module) if blame.module else None
    device = story.device if blame.device_culprit == blame.module and blame.module else None
    return report.Culprit(
        module=blame.module,
        function=blame.function,
        kind=blame.kind,
        vendor=module.vendor if module else None,
        version=module.version if module else None,
        timestamp=hexa(module.timestamp) if module and module.timestamp is not None else None,
        device=device.name if device else None,
        service=device.service if device else None,
        instance_path=device.instance_path if device else None,
    )


def _blocking(scene: Scene, story: Story) -> report.Blocking:
    waits = story.waits
    root = waits.root if story.root is None or not waits.pileups else story.root
    return report.Blocking(
        root=report.Root(hexa(root)) if root is not None and story.cycle is None else None,
        chains=tuple(
            report.Chain(
                lock=report.ChainLock(
                    address=hexa(link.lock.address),
                    kind=link.lock.kind.value,
                    name=link.lock.name,
                    description=link.lock.description,
                    ownership=None if link.lock.exclusive is None else "exclusive" if link.lock.exclusive else "shared",
                    driver=link.lock.driver,
                    device=hexa(link.lock.device) if link.lock.device else None,
                ),
                owners=tuple(hexa(held.thread) for held in link.lock.owners),
                waiters=tuple(hexa(held.thread) for held in link.lock.waiters),
                waiters_expected=link.lock.waiters_expected,
                trust=link.trust.label,
            )
            for link in waits.chains
        ),
        deadlocks=tuple(
            report.Deadlock(tuple(map(hexa, cycle.threads)), tuple(map(hexa, cycle.locks))) for cycle in waits.deadlocks
        ),
        blocked_threads=tuple(_blocked(scene, story)),
    )


def _blocked(scene: Scene, story: Story) -> Iterable[report.BlockedThread]:
    for one in story.waits.blocked:
        thread = scene.thread(one.thread)
        yield report.BlockedThread(
            thread=hexa(one.thread),
            process=thread.process_name if thread else None,
            pid=thread.pid if thread else None,
            tid=thread.tid if thread else None,
            waits_for=hexa(one.waits_for),
            wait_seconds=thread.wait_seconds if thread else None,
            wait_reason=thread.wait_reason if thread else None,
            doing=one.doing,
        )


def _threads(scene: Scene, story: Story) -> Iterable[report.ThreadFacts]:
    wanted: list[VirtAddr] = [one for one in (story.root, story.thread, story.crashing) if one is not None]
    wanted += [held.thread for link in story.waits.chains for held in link.lock.owners]
    wanted += [thread for cycle in story.waits.deadlocks for thread in cycle.threads]
    wanted += [one.thread for one in story.waits.blocked]
    if story.thread is None and story.crashing is None and story.stack.frames:
        # Whose stack it is cannot be told; what it says carries the verdict all the same.
        frames = tuple(_frame(frame) for frame in story.stack.frames)
        yield report.ThreadFacts(address=hexa(0), stack=frames, stack_end=story.stack.end)
    queues = waited(scene.facts.locks.values())
    for index, address in enumerate(dict.fromkeys(wanted)):
        thread = scene.thread(address)
        if thread is None and address not in (story.thread, story.crashing):
            continue
        stack = Stack(end="not walked: too many threads are part of this story")
        if address == story.thread:
            stack = story.stack
        elif address == story.crashing:
            stack = scene.walker.context_stack(scene.image.header.context, thread)
        elif index < MAX_THREADS_WITH_STACKS:
            stack = scene.stack(address)
        program = scene.user_stack(address) if index < MAX_THREADS_WITH_STACKS else None
        yield report.ThreadFacts(
            address=hexa(address),
            process=thread.process_name if thread else None,
            pid=thread.pid if thread else None,
            tid=thread.tid if thread else None,
            state=thread.state if thread else None,
            start=scene.symbol(thread.start) if thread and thread.start else None,
            stack=tuple(_frame(frame) for frame in stack.frames),
            stack_end=stack.end,
            user_stack=tuple(_frame(frame) for frame in program.frames) if program else (),
            user_stack_end=program.end if program else "",
            given=tuple(given(thread, stack, queues)),
        )


def _frame(frame: Frame) -> report.StackFrame:
    trust = min(frame.trust, Trust.CONTEXT)
    return report.StackFrame(hexa(frame.address), frame.symbol, frame.module, trust.label)


def _bucket(scene: Scene, story: Story) -> report.Bucket:
    explained, blame = story.explained, story.blame
    values = [one.value for one in explained.parameters]
    frames = story.stack.frames
    if story.cycle is not None:
        frames = in_cycle(story.cycle_drivers.values())
    failure = bucket.Failure(
        code=explained.code,
        parameters=(values[0], values[1], values[2], values[3]),
        subcase=explained.subcase,
        module=blame.module,
        function=blame.function,
        frames=frames,
        on_stack=blame.frame is not None,
        lock=story.lock.name if story.lock else None,
        service=story.device.service if story.device else None,
        kind=blame.kind,
        bus=_bus(story),
        old=is_old(scene),
        area=_area(scene),
        architecture=scene.image.header.architecture,
        by_chance=story.stop is Stop.CORRUPTION
        and blame.confidence == "low"
        and blame.frame is not None
        and blame.frame.trust is Trust.SCAN,
    )
    wrong = wrong_symbols_bucket(scene) if isinstance(scene, PrintedScene) else None
    return _named(failure, _storyteller(story), wrong)


def _storyteller(story: Story) -> VirtAddr | None:
    # The thread of the report whose stack the names are made of; 0 where it cannot be told whose stack it is.
    if story.cycle is not None or not story.stack.frames:
        return None
    return story.thread or story.crashing or VirtAddr(0)


def is_old(scene: Scene) -> bool:
    """Whether a text is of a debugger that names buckets as it did before Windows 8.

    For dumps the newer grammar is used throughout: it is free of offsets, which change with every build of a driver.
    """
    if not isinstance(scene, PrintedScene):
        return False
    told = scene.text.fields.get("DEFAULT_BUCKET_ID")
    return told.startswith(OLD_BUCKETS) if told else 0 < scene.image.header.build < WINDOWS_8


def _area(scene: Scene) -> str:
    # Debuggers that still print DEFAULT_BUCKET_ID (until 2019) say INVALID, the later ones "(null)".
    is_earlier = isinstance(scene, PrintedScene) and "DEFAULT_BUCKET_ID" in scene.text.fields
    return "INVALID" if is_earlier else "(null)"


def _bus(story: Story) -> str | None:
    if story.stop is not Stop.REQUEST:
        return None
    return next((hint.module for hint in story.explained.hints if is_bus(hint.module)), None)


def _named(failure: bucket.Failure, thread: VirtAddr | None = None, known: str | None = None) -> report.Bucket:
    text, ours = known or bucket.failure_bucket(failure), bucket.signature(failure)
    return report.Bucket(
        failure_bucket_id=text,
        failure_id_hash=bucket.failure_id_hash(text),
        signature=str(ours),
        aliases=ours.less_known(),
        lock=failure.lock,
        service=failure.service,
        thread=None if thread is None else hexa(thread),
        by_chance=failure.by_chance,
    )
