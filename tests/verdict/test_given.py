"""What functions of a waiting thread were given: told where a structure proves it, and nowhere else."""

import dataclasses
from pathlib import Path

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame, Held, Lock, LockKind, Stack, Thread, WaitObject
from analysis.pipeline import Options, analyze
from analysis.trust import Trust
from analysis.verdict.given import given, waited
from tests.forge import forge

EVENT, RESOURCE = VirtAddr(0xFFFF_A000_0000_1010), VirtAddr(0xFFFF_A000_0000_1000)
THREAD = Thread(
    VirtAddr(0xFFFF_A000_0000_2000), VirtAddr(1), "a.exe", 4, 8, "Waiting", "WrResource",
    waits=(WaitObject(EVENT, "event", VirtAddr(0)),),
)  # fmt: skip
LOCK = Lock(RESOURCE, LockKind.ERESOURCE, waiters=(Held(THREAD.address, Trust.STRUCTURE),))


def stack(*symbols: str, trust: Trust = Trust.UNWIND, **registers: int) -> Stack:
    frames = tuple(Frame(VirtAddr(0xFFFF_F800_0000_0000 + at), one, None, trust) for at, one in enumerate(symbols))
    return Stack(frames, "", tuple(registers for _ in frames))


WAITS = (
    "nt!KiSwapContext+0x76", "nt!KeWaitForSingleObject+0x2f", "nt!ExpWaitForResource+0x6b",
    "nt!ExAcquireResourceExclusiveLite+0x14d", "acme+0x12",
)  # fmt: skip


def told(made: Stack, thread: Thread | None = THREAD, *locks: Lock) -> list[tuple[int, str, str]]:
    return [(one.frame, one.what, one.trust) for one in given(thread, made, waited(locks or (LOCK,)))]


def test_the_wait_and_the_acquisition_around_it_are_told() -> None:
    resource = f"eresource {RESOURCE:#x}"
    assert told(stack(*WAITS)) == [
        (1, f"event {EVENT:#x}", "unwind"), (2, resource, "unwind"), (3, resource, "unwind")
    ]  # fmt: skip
    assert told(stack(*WAITS, rbx=RESOURCE, rdi=7))[1][1] == f"{resource}, which rbx held, too"
    assert {trust for _, _, trust in told(stack(*WAITS, trust=Trust.SCAN))} == {"scan"}


def test_another_wait_further_out_and_other_functions_get_nothing() -> None:
    outer = stack(*WAITS[:2], "acme+0x5", *WAITS[1:4])
    assert [frame for frame, _, _ in told(outer)] == [1]
    assert told(stack("acme!KeWaitForSingleObject", "acme!ExAcquireResourceExclusiveLite")) == []
    push_lock = dataclasses.replace(LOCK, kind=LockKind.PUSH_LOCK)
    assert [frame for frame, _, _ in told(stack(*WAITS), THREAD, push_lock)] == [1]


def test_a_lock_that_others_wait_for_or_a_thread_that_does_not_wait_says_nothing() -> None:
    others = dataclasses.replace(LOCK, waiters=(Held(VirtAddr(1), Trust.STRUCTURE),))
    assert [frame for frame, _, _ in told(stack(*WAITS), THREAD, others)] == [1]
    assert told(stack(*WAITS), dataclasses.replace(THREAD, state="Running")) == []
    assert told(stack(*WAITS), None) == []
    assert told(Stack()) == []


def test_a_machines_waiters_show_the_resource_on_their_stacks(tmp_path: Path) -> None:
    made = forge("seed", build=19041, kind="bitmap")
    report = analyze(made.write(tmp_path / "MEMORY.DMP"), Options(symbols=(made.write_isf(tmp_path / "sym").parent,)))
    locks = {chain.lock.address for chain in report.blocking.chains}
    shown = [one for thread in report.threads for one in thread.given if one.what.startswith("eresource")]
    assert shown
    assert {one.what.split()[1].rstrip(",") for one in shown} <= locks
    assert {one.trust for one in shown} == {"unwind"}
