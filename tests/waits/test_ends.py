"""The ends of chains in words: what a thread that nobody owned holds up waits for, and what a processor spins on."""

from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from analysis.address import VirtAddr
from analysis.kernel.devices import Devices
from analysis.kernel.facts import Frame, Held, KernelFacts, Lock, LockKind, Module, Stack, Thread, WaitObject
from analysis.kernel.scene import Scene
from analysis.kernel.spinning import Processor
from analysis.trust import Trust
from analysis.waits.describe import boost_of, state_of, waits_for
from analysis.waits.processors import about_processors
from tests.kernel.invented import Bytes, Names

STACK, POOL = 0xFFFF_B000_0000_0000, 0xFFFF_A000_0000_0000
DRIVER = Module("probe.sys", VirtAddr(0xFFFF_F800_3000_0000), 0x8000)


@dataclass
class Around:
    """What the functions under test ask of a scene."""

    facts: KernelFacts = field(default_factory=KernelFacts)
    symbols: Names = field(default_factory=Names)
    memory: Bytes = field(default_factory=Bytes)
    stacks: dict[int, Stack] = field(default_factory=dict)

    @property
    def devices(self) -> Devices:
        return Devices(self.memory, self.symbols, self.module_at)

    def module_at(self, address: int) -> Module | None:
        return DRIVER if DRIVER.base <= address < DRIVER.end else None

    def stack(self, address: int) -> Stack:
        return self.stacks.get(address, Stack())

    @property
    def processors(self) -> tuple[Processor, ...]:
        running = sorted(self.facts.threads.values(), key=lambda thread: thread.processor or 0)
        return tuple(Processor(thread, self.stack(thread.address)) for thread in running)

    def as_scene(self) -> Scene:
        return cast("Scene", self)


def waiting(kind: str, *addresses: int, reason: str = "Executive", all_of: bool = False) -> Thread:
    waits = tuple(WaitObject(VirtAddr(at), kind, VirtAddr(1)) for at in addresses)
    return Thread(
        VirtAddr(0x1000), VirtAddr(1), "System", 4, 8, "Waiting", reason, 300.0, waits, all_of,
        stack_limit=VirtAddr(STACK), stack_base=VirtAddr(STACK + 0x1000),
    )  # fmt: skip


def told(thread: Thread, around: Around | None = None) -> str:
    return waits_for((around or Around()).as_scene(), thread) or ""


def test_an_event_has_no_owner_and_nobody_is_guessed() -> None:
    assert told(waiting("event", POOL)) == f"waits for the event at {POOL:#x}; nothing records who will signal it"
    assert " on its own stack; nothing" in told(waiting("event", STACK + 0x200))
    assert " in the data of probe.sys; nothing" in told(waiting("event", DRIVER.base + 0x100))


def test_a_known_event_is_called_by_its_name() -> None:
    around = Around(symbols=Names(symbols={"PopShutdownEvent": POOL}))
    assert "the event nt!PopShutdownEvent at" in told(waiting("event", POOL), around)


def test_timers_and_semaphores_are_described() -> None:
    assert told(waiting("timer", POOL)).endswith("which time alone signals")
    assert told(waiting("semaphore", POOL)).endswith("nothing records who will signal it")


def test_several_objects_are_joined_as_the_wait_is() -> None:
    assert " or the event" in told(waiting("event", POOL, POOL + 0x20))
    assert " and the event" in told(waiting("event", POOL, POOL + 0x20, all_of=True))
    assert told(waiting("event", *range(POOL, POOL + 0xC0, 0x20))).endswith("or 2 more")


def test_a_request_says_who_must_complete_it() -> None:
    lock = Lock(
        VirtAddr(POOL), LockKind.IRP, description="request (IRP) at 0x1",
        waiters=(Held(VirtAddr(0x1000), Trust.STRUCTURE),), driver="probe.sys",
    )  # fmt: skip
    around = Around(KernelFacts(locks={lock.address: lock}))
    text = told(waiting("event", STACK + 0x200), around)
    assert text == "waits for the request (IRP) at 0x1: probe.sys must complete it"


def test_a_wait_by_address_says_where_the_answer_is() -> None:
    assert "only the program's own memory tells" in told(waiting("event", reason="WrAlertByThreadId"))
    assert told(waiting("event")) == ""


@pytest.mark.parametrize(
    ("thread", "words"),
    [
        (None, "is on no process' list"),
        (replace(waiting("event", POOL), terminated=True), "has ended"),
        (replace(waiting("event", POOL), processor=3), "runs on processor 3"),
        (waiting("queue", POOL, reason="WrQueue"), "is idle"),
        (waiting("event", POOL, reason="Suspended"), "is suspended"),
        (waiting("timer", POOL, reason="DelayExecution"), "sleeps"),
        (replace(waiting("event"), state="Ready", wait_reason=None), "is ready to run"),
    ],
)
def test_the_state_of_an_owner_is_said(thread: Thread | None, words: str) -> None:
    assert words in (state_of(thread) or "")


def test_an_owner_that_waits_has_no_state_of_its_own() -> None:
    assert state_of(waiting("event", POOL)) is None


def test_a_raised_priority_is_said_and_a_real_time_one_is_not() -> None:
    thread = replace(waiting("event", POOL), priority=12, base_priority=8)
    assert boost_of(thread) == "its priority was raised from 8 to 12"
    assert boost_of(replace(thread, priority=8)) is None
    assert boost_of(replace(thread, priority=24)) is None
    assert boost_of(replace(thread, base_priority=None)) is None
    assert boost_of(None) is None


def on_processor(number: int, *symbols: str, process: str = "System", pid: int = 4) -> tuple[Thread, Stack]:
    thread = Thread(
        VirtAddr(0x1000 * (number + 1)), VirtAddr(1), process, pid, 8, "Running", processor=number
    )  # fmt: skip
    frames = tuple(
        Frame(VirtAddr(0x10 + at), one, "probe.sys" if "probe" in one else "ntoskrnl.exe", Trust.UNWIND)
        for at, one in enumerate(symbols)
    )
    return thread, Stack(frames)


def processors(*running: tuple[Thread, Stack], locks: tuple[Lock, ...] = ()) -> list[str]:
    around = Around(KernelFacts(threads={thread.address: thread for thread, _ in running}))
    around.stacks = {thread.address: stack for thread, stack in running}
    return about_processors(around.as_scene(), locks)


def test_a_processor_that_spins_says_for_whom() -> None:
    (text,) = processors(
        on_processor(2, "nt!KxWaitForSpinLockAndAcquire+0x2e", "nt!KeAcquireSpinLockRaiseToDpc+0x5a", "probe+0x1234")
    )
    assert text == (
        "processor 2 runs thread 0x3000 (System, 4/8), which spins for a spin lock in "
        "nt!KxWaitForSpinLockAndAcquire+0x2e, called by probe+0x1234; a spin lock keeps no owner, and which one it is "
        "cannot be told"
    )


def test_a_spin_lock_that_is_known_is_named_with_its_holder() -> None:
    lock = Lock(VirtAddr(POOL), LockKind.SPIN_LOCK, waiters=(Held(VirtAddr(0x3000), Trust.CONTEXT),))
    spins = on_processor(2, "nt!KxWaitForSpinLockAndAcquire+0x2e", "probe+0x1234")
    (text,) = processors(spins, locks=(lock,))
    assert f"a spin lock ({POOL:#x}) in nt!KxWait" in text
    assert text.endswith("a spin lock keeps no owner")
    (text,) = processors(spins, locks=(replace(lock, owners=(Held(VirtAddr(0x77), Trust.STRUCTURE),)),))
    assert text.endswith("thread 0x77 holds it, as the lock's own queue says")


def test_a_processor_that_asks_the_others_is_told_apart() -> None:
    (text,) = processors(on_processor(0, "nt!KiIpiStallOnPacketTargetsPrcb+0x3", "nt!KeFlushMultipleRangeTb+0x1"))
    assert "which waits for other processors to answer in nt!KiIpiStallOnPacketTargetsPrcb+0x3" in text


def test_processors_come_in_their_order_and_idle_ones_do_not() -> None:
    texts = processors(
        on_processor(3, "probe+0x10"),
        on_processor(1, "nt!KiIdleLoop+0x9e", process="Idle", pid=0),
        on_processor(0, "probe+0x20"),
    )
    assert [text.split(" runs")[0] for text in texts] == ["processor 0", "processor 3"]
    assert texts[0].endswith("in probe+0x20")


def test_a_spin_far_out_on_the_stack_is_over() -> None:
    frames = ["probe+0x10"] * 12 + ["nt!KxWaitForSpinLockAndAcquire+0x2e"]
    assert "spins" not in processors(on_processor(0, *frames))[0]
