"""The stages of one analysis in order: open, memory, symbols, kernel, waits, bugcheck, verdict.

A stage that fails becomes a note with its name and the class of the error, and the report stands on what the others
found. This is the one place that catches broadly. What stops an analysis: a file that is no dump, and a limit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from analysis.address import VirtAddr
from analysis.bugchecks import explain
from analysis.bugchecks.explained import Explained, Stop
from analysis.errors import LimitReached
from analysis.fingerprint import NOT_FETCHED, NOT_HASHED, BackgroundHash, identity
from analysis.formats import capture_hint, open_dump
from analysis.formats.image import DumpImage
from analysis.formats.minidump import is_minidump, read_minidump
from analysis.formats.raw import RawFile
from analysis.formats.remote import RemotePages
from analysis.formats.windbg import is_windbg_text, read_windbg
from analysis.kernel.printed import PrintedScene, read_printed
from analysis.kernel.scene import Scene, read_scene
from analysis.memory import open_memory
from analysis.memory.reader import Memory
from analysis.symbols.builds import known_builds
from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.obtaining import told_together
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from analysis.symbols.search import Ask, find_files
from analysis.usermode import PrintedProgram, tell_printed_program, tell_user_story
from analysis.verdict import printed_facts, report
from analysis.verdict.assemble import Parts, assemble, bare_bucket, bugcheck_facts, module_facts
from analysis.verdict.focus import stuck_thread
from analysis.verdict.printed import explain_printed, take_over
from analysis.verdict.report import Report
from analysis.verdict.rules import identify_analyzer
from analysis.verdict.scene_view import SceneView
from analysis.verdict.stack_groups import stack_groups
from analysis.verdict.story import tell
from analysis.verdict.surroundings import Surroundings
from analysis.verdict.system import describe_system, timestamp
from analysis.verdict.user_rules import NO_RULES, UserRules, read_rules
from analysis.waits.find import WaitAnalysis, find_waits

Progress = Callable[[str, float | None], None]
# Stops for which who waits for whom is the story; in the others it may at most be beside it.
HANGS = frozenset({Stop.HANG, Stop.REQUEST, Stop.DELIBERATE})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """What an analysis is told. ``source`` is where the file came from, ``sha256`` its hash where already known.

    ``every_symbol``: what any module names is asked for, so that whoever answers has it.
    ``rules`` is a file with the user's own rules. ``remote`` fills the dump's pages where the file is a sparse one.
    """

    symbols: tuple[Path, ...] = ()
    cache: Path | None = None
    source: str | None = None
    sha256: str | None = None
    fetch_seconds: float = 0.0
    ask: Ask | None = None
    every_symbol: bool = False
    rules: Path | None = None
    remote: RemotePages | None = None


@dataclass(slots=True)
class _Run:
    """One analysis under way."""

    image: DumpImage
    progress: Progress
    sha256: BackgroundHash
    rules: UserRules
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str, fraction: float, work: Callable[[], _T]) -> _T | None:
        self.progress(name, fraction)
        started = time.perf_counter()
        try:
            return work()
        except (LimitReached, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # a failed stage must not cost the rest
            self.notes.append(f"{name}: {type(error).__name__}: {error}"[:500])
            return None
        finally:
            self.seconds[name] = time.perf_counter() - started


def analyze(path: Path, options: Options | None = None, progress: Progress | None = None) -> Report:
    """The report of one dump file.

    ``progress`` is called with the name of each stage and how far the analysis is, from 0 to 1.

    Raises:
        NotADump: the file is something else; its ``what`` names it.
        BadDump: no header can be used.
        LimitReached: a stated limit stopped the work.
        MemoryError: the process' memory cap stopped the work.
        BadRules: the user's rules cannot be used.
    """
    chosen, tell_progress = options or Options(), progress or (lambda _stage, _fraction: None)
    started = time.perf_counter()
    rules = read_rules(chosen.rules) if chosen.rules is not None else NO_RULES
    tell_progress("open", 0.0)
    with RawFile(path, chosen.remote) as raw:
        if is_minidump(raw):
            with _hash(path, chosen) as sha256:
                return _user_report(raw, chosen, path, sha256, tell_progress, rules=rules)
        if is_windbg_text(raw):
            scene = read_printed(raw, read_windbg(raw))
            with _hash(path, chosen) as sha256:
                run = _Run(scene.image, tell_progress, sha256, rules)
                found = _read(run, scene)
                return _on_text(scene, _report(run, chosen, path, found, time.perf_counter() - started))
    with open_dump(path, chosen.remote) as image, _hash(path, chosen) as sha256:
        run = _Run(image, tell_progress, sha256, rules)
        found = _look(run, chosen)
        return _report(run, chosen, path, found, time.perf_counter() - started)


def _hash(path: Path, options: Options) -> BackgroundHash:
    return BackgroundHash(path, options.sha256, possible=options.remote is None)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the stages gave; None where one failed."""

    symbols: KernelSymbols | None
    scene: Scene | None
    explained: Explained | None
    parts: Parts | None
    groups: tuple[report.StackGroup, ...] = ()
    name: str | None = None


def _look(run: _Run, options: Options) -> _Found:
    image = run.image
    memory = run.stage("memory", 0.05, lambda: open_memory(image))
    symbols = run.stage("symbols", 0.1, lambda: _symbols(image, memory, options)) if memory is not None else None
    scene = None
    if memory is not None and symbols is not None:
        scene = run.stage("kernel", 0.3, lambda: read_scene(image, memory, symbols))
    around = Surroundings(scene) if scene is not None else None
    explained = run.stage("bugcheck", 0.6, lambda: explain(SceneView(image, around)))
    parts = _tell(run, scene, around, explained) if scene is not None and around is not None else None
    if scene is not None and options.every_symbol:
        for module in scene.facts.modules:
            scene.image_files.of(module)
            scene.driver_symbols.get(module.base)
    if scene is not None:
        run.notes += (*scene.driver_symbols.notes, *scene.image_files.notes)
    # Of a dump that is still far away, each stack would be pages to be fetched.
    groups = _groups(run, scene, parts) if scene is not None and parts is not None and options.remote is None else ()
    name = run.stage("report", 1.0, lambda: scene.computer_name) if scene is not None else None
    return _Found(symbols, scene, explained, parts, groups, name)


def _groups(run: _Run, scene: Scene, parts: Parts) -> tuple[report.StackGroup, ...]:
    blocked = [VirtAddr(int(one.thread, 16)) for one in parts.blocking.blocked_threads]
    return run.stage("stacks", 0.95, lambda: stack_groups(scene, blocked)) or ()


def _read(run: _Run, scene: PrintedScene) -> _Found:
    around = Surroundings(scene)
    explained = run.stage("bugcheck", 0.3, lambda: explain_printed(scene))
    parts = _tell(run, scene, around, explained)
    if explained is not None and parts is not None and parts.verdict.culprit is None and not parts.blocking.deadlocks:
        instead = take_over(scene, explained)
        parts = _tell(run, scene, around, instead) if instead else parts
    if scene.text.user_mode and parts is not None:
        program = run.stage("program", 0.9, lambda: tell_printed_program(scene, run.rules))
        parts = _of_program(parts, program) if program is not None else parts
    return _Found(scene.symbols, scene, explained, parts)


def _of_program(parts: Parts, told: PrintedProgram) -> Parts:
    missing = (*told.verdict.cannot_tell, *parts.verdict.cannot_tell)
    return replace(parts, verdict=replace(told.verdict, cannot_tell=missing), bucket=told.bucket)


def _on_text(scene: PrintedScene, made: Report) -> Report:
    # What a dump's header would say stands in the text, or nowhere.
    theirs = printed_facts.windbg_verdict(scene, made.verdict)
    return replace(
        made,
        system=printed_facts.system_facts(scene),
        bugcheck=made.bugcheck if scene.text.code is not None else None,
        exception=printed_facts.exception_facts(scene),
        threads=printed_facts.thread_facts(scene, made.threads),
        modules=tuple(one for one in made.modules if one.size),
        windbg=theirs,
        notes=(*printed_facts.notes(made.notes), *printed_facts.beside(theirs, made.verdict)),
    )


def _tell(run: _Run, scene: Scene, around: Surroundings, explained: Explained | None) -> Parts | None:
    if explained is None:
        return None
    waits = run.stage("waits", 0.7, lambda: _waits(scene, explained)) or WaitAnalysis()
    run.notes += [*scene.facts.notes, *waits.notes]
    return run.stage("verdict", 0.85, lambda: assemble(around, tell(around, explained, waits, run.rules)))


def _waits(scene: Scene, explained: Explained) -> WaitAnalysis:
    return find_waits(scene, stuck_thread(scene, explained), is_hang=explained.stop in HANGS)


def _symbols(image: DumpImage, memory: Memory, options: Options) -> KernelSymbols:
    return open_kernel_symbols(image, memory, SymbolSources(options.symbols, options.cache, options.ask))


def _report(run: _Run, options: Options, path: Path, found: _Found, elapsed: float) -> Report:
    image, parts = run.image, found.parts
    verdict, bucket = (parts.verdict, parts.bucket) if parts else _without_story(found.explained)
    verdict = _hashed(verdict, run.sha256, options)
    notes = (*image.notes, *(found.symbols.notes if found.symbols else ()), *run.notes)
    symbols_seconds = run.seconds.get("symbols", 0.0)
    facts = found.scene.facts if found.scene else None
    return Report(
        analyzer=identify_analyzer(run.rules.identity),
        analyzed_at=timestamp(datetime.now(UTC)),
        dump=_dump(image.raw, image.header.kind, run.sha256, options, path, live=_is_live(image, found.explained)),
        system=describe_system(image.header, found.symbols, found.name),
        bugcheck=bugcheck_facts(found.explained) if found.explained else None,
        verdict=verdict,
        bucket=bucket,
        blocking=parts.blocking if parts else report.Blocking(),
        threads=parts.threads if parts else (),
        stack_groups=found.groups,
        irps=parts.irps if parts else (),
        modules=module_facts((*facts.modules, *facts.unloaded)) if facts else (),
        timings=report.Timings(options.fetch_seconds, round(symbols_seconds, 3), round(elapsed - symbols_seconds, 3)),
        notes=told_together(notes),
    )


def _user_report(
    raw: RawFile, options: Options, path: Path, sha256: BackgroundHash, progress: Progress, *, rules: UserRules
) -> Report:
    started = time.perf_counter()
    dump = read_minidump(raw)
    progress("symbols", 0.1)
    files = find_files(options.symbols, known_builds(), options.ask)
    searched = time.perf_counter() - started
    progress("process", 0.3)
    parts = tell_user_story(dump, files, rules)
    progress("report", 1.0)
    return Report(
        analyzer=identify_analyzer(rules.identity),
        analyzed_at=timestamp(datetime.now(UTC)),
        dump=_dump(raw, "user-minidump", sha256, options, path, live=parts.live),
        system=parts.system,
        bugcheck=None,
        exception=parts.exception,
        verdict=_hashed(parts.verdict, sha256, options),
        bucket=parts.bucket,
        blocking=parts.blocking,
        threads=parts.threads,
        modules=parts.modules,
        timings=report.Timings(
            options.fetch_seconds, round(searched, 3), round(time.perf_counter() - started - searched, 3)
        ),
        notes=tuple(dict.fromkeys((*files.notes, *parts.notes))),
    )


def _hashed(verdict: report.Verdict, sha256: BackgroundHash, options: Options) -> report.Verdict:
    if sha256.result() is not None:
        return verdict
    why = NOT_HASHED if options.remote is None else NOT_FETCHED
    return replace(verdict, cannot_tell=(*verdict.cannot_tell, why))


def _is_live(image: DumpImage, explained: Explained | None) -> bool:
    # Told by the code as its family explains it, or by a header that no crash writes.
    return bool(explained and explained.live) or capture_hint(image.header) is not None


def _without_story(explained: Explained | None) -> tuple[report.Verdict, report.Bucket]:
    # The header alone: code and parameters stand, nobody can be blamed.
    if explained is None:
        return report.Verdict(None, "none", "The dump could not be analysed beyond its header."), _no_bucket()
    text = f"No culprit can be named for {explained.name}: beyond the header, this dump could not be read."
    missing = (*explained.cannot_tell, "Which driver, which lock, which thread: the kernel's data could not be read.")
    return report.Verdict(None, "none", text, cannot_tell=missing), bare_bucket(explained)


def _no_bucket() -> report.Bucket:
    from analysis.verdict.bucket import failure_id_hash

    text = "ANALYSIS_INCONCLUSIVE!unknown_function"
    return report.Bucket(text, failure_id_hash(text), "unknown")


def _dump(raw: RawFile, kind: str, sha256: BackgroundHash, options: Options, path: Path, *, live: bool) -> report.Dump:
    return report.Dump(
        kind=kind,
        size_bytes=raw.size,
        sha256=sha256.result(),
        identity=identity(path, raw.size),
        source=public_source(options.source, path),
        bytes_read=raw.bytes_read,
        live=live,
    )


def public_source(source: str | None, path: Path) -> str:
    """Where a dump came from, without anything private: no local directory, no user, token or signature."""
    if source is None:
        return path.name
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https"):
        return source.replace("\\", "/").rpartition("/")[2] or path.name
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, parts.path, "", ""))
