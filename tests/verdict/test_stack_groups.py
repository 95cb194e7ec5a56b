"""Threads that stand at the same place are one line."""

from types import SimpleNamespace
from typing import cast

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame, Stack
from analysis.kernel.scene import Scene
from analysis.trust import Trust
from analysis.verdict.stack_groups import MAX_GROUPS, MAX_LISTED, stack_groups
from bot.wording import same_stack

BASE = 0xFFFF_F800_0000_0000


def stack(*symbols: str, trust: Trust = Trust.UNWIND) -> Stack:
    return Stack(
        tuple(Frame(VirtAddr(BASE + int.from_bytes(one.encode()) % 0xFFF1), one, None, trust) for one in symbols)
    )


def scene(stacks: list[tuple[str, Stack]]) -> Scene:
    threads = {VirtAddr(0x1000 + index): SimpleNamespace(process_name=name) for index, (name, _) in enumerate(stacks)}
    by_address = {VirtAddr(0x1000 + index): one for index, (_, one) in enumerate(stacks)}
    return cast("Scene", SimpleNamespace(facts=SimpleNamespace(threads=threads), stack=by_address.__getitem__))


WAITS = stack("nt!KiSwapContext+0x76", "nt!KeWaitForSingleObject+0x2f", "acme+0x12", "nt!IofCallDriver+0x55")
IDLE = stack("nt!KiSwapContext+0x76", "nt!KeRemovePriQueue+0x2f", "nt!ExpWorkerThread+0x12")


def test_threads_with_the_same_stack_are_counted_and_those_alone_are_left_out() -> None:
    made = scene(
        [("a.exe", WAITS)] * 37 + [("System", IDLE)] * 50 + [("b.exe", stack("nt!Alone"))] + [("c", Stack())] * 9
    )
    groups = stack_groups(made)
    assert [(group.count, group.processes) for group in groups] == [(50, ("System",)), (37, ("a.exe",))]
    assert groups[1].summary == "acme+0x12 ← nt!IofCallDriver+0x55"
    assert [frame.symbol for frame in groups[1].stack] == [frame.symbol for frame in WAITS.frames]


def test_a_group_with_a_blocked_thread_comes_first_whatever_its_size() -> None:
    made = scene([("a.exe", WAITS)] * 3 + [("System", IDLE)] * 50)
    groups = stack_groups(made, [VirtAddr(0x1001)])
    assert [(group.count, group.blocked) for group in groups] == [(3, 1), (50, 0)]
    assert same_stack(groups[0]) == "3 threads (a.exe) stand at acme+0x12 ← nt!IofCallDriver+0x55, 1 of them blocked"


def test_stacks_that_differ_in_one_address_are_two() -> None:
    other = stack("nt!KiSwapContext+0x76", "nt!KeWaitForSingleObject+0x2f", "acme+0x13", "nt!IofCallDriver+0x55")
    assert stack_groups(scene([("a", WAITS), ("b", other)])) == ()


def test_a_group_is_worth_what_its_weakest_frame_is() -> None:
    scanned = Stack(tuple(Frame(one.address, one.symbol, None, Trust.SCAN) for one in WAITS.frames))
    (group,) = stack_groups(scene([("a", WAITS), ("b", scanned)]))
    assert group.trust == "scan"
    assert same_stack(group).endswith("; by scanning, not certain")
    assert same_stack(group).startswith("2 threads (a, b) stand at ")


def test_thousands_of_threads_do_not_make_the_report_long() -> None:
    groups = stack_groups(scene([("p", stack(f"acme+{index // 300}")) for index in range(300 * 40)]))
    assert len(groups) == MAX_GROUPS
    assert {group.count for group in groups} == {300}
    assert {len(group.threads) for group in groups} == {MAX_LISTED}
