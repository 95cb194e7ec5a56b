"""Push locks, with owners where they are recorded and without where they are not."""

import pytest

from analysis.kernel.facts import Lock, LockKind
from analysis.kernel.push_locks import read_push_locks
from analysis.symbols.layout import Field, Layout
from analysis.trust import Trust
from tests.kernel.invented import layout
from tests.kernel.machine import EVENT, Machine

WR_PUSH_LOCK = 28
BITS = layout("_KLOCK_ENTRY", 0x60, WaitingBit=Field(0x19, 1, 0, 1), AcquiredBit=Field(0x1A, 1, 0, 1), LockUnsafe=0x20)
BYTES = layout("_KLOCK_ENTRY", 0x60, LockUnsafe=0, WaitingByte=0x11, AcquiredByte=0x12)
WITHOUT_MARKS = layout("_KLOCK_ENTRY", 0x60, LockUnsafe=0x20, AcquiredByte=0x1F)
AT = 0x2E0  # of the entries in the invented ETHREAD
IN_TREE = 1 << 63


def machine_of(entries: Layout | None) -> tuple[Machine, list[int]]:
    machine = Machine()
    if entries is not None:
        machine.names.layouts["_KLOCK_ENTRY"] = entries
        fields = {**machine.names.layouts["_ETHREAD"].fields, "LockEntries": Field(AT, 0x120, type_name="_KLOCK_ENTRY")}
        machine.names.layouts["_ETHREAD"] = Layout("_ETHREAD", 0x400, fields)
    home = machine.add_process("System", 4)
    return machine, [machine.add_thread(home, 8 + 4 * number) for number in range(4)]


def block_on(machine: Machine, lock: int, *threads: int) -> None:
    """Each thread's wait block on its stack, the last to come first."""
    following = 0
    for thread in threads:
        stack = machine.room(0x400)
        block = stack + 0x100
        machine.add_dispatcher(EVENT, block)
        machine.memory.put_u64(block + 0x18, following)
        machine.memory.put_u64(stack + 0x80, lock)
        machine.memory.put_u64(machine.at("_KTHREAD", thread, "KernelStack"), stack)
        machine.wait(thread, block, reason=WR_PUSH_LOCK)
        following = block
    machine.memory.put_u64(lock, following | 3)


def mark(machine: Machine, thread: int, slot: int, lock: int, member: str) -> None:
    entries = machine.names.layouts["_KLOCK_ENTRY"]
    entry = thread + AT + slot * entries.size
    machine.memory.put_u64(entry + entries.offset("LockUnsafe"), lock)
    machine.memory.put_u8(entry + entries.offset(member), 1)


def read(machine: Machine, threads: list[int]) -> tuple[list[Lock], tuple[str, ...]]:
    locks, notes = read_push_locks(machine.memory, machine.names, machine.facts(*threads).values())
    return locks, tuple(notes)


@pytest.mark.parametrize(("entries", "waiting", "acquired"), [
    (BITS, "WaitingBit", "AcquiredBit"),
    (BYTES, "WaitingByte", "AcquiredByte"),
])  # fmt: skip
def test_owner_and_waiters_are_what_boosting_recorded(entries: Layout, waiting: str, acquired: str) -> None:
    machine, threads = machine_of(entries)
    lock = machine.room(0x10)
    block_on(machine, lock, *threads[1:3])
    mark(machine, threads[0], 2, lock | 1, acquired)
    mark(machine, threads[1], 0, lock, waiting)
    mark(machine, threads[2], 1, lock & ~IN_TREE, waiting)
    mark(machine, threads[3], 0, machine.room(0x10), acquired)
    (found,), notes = read(machine, threads)
    assert (found.address, found.kind, found.exclusive) == (lock, LockKind.PUSH_LOCK, True)
    assert [held.thread for held in found.owners] == threads[:1]
    assert [(held.thread, held.trust) for held in found.waiters] == [(t, Trust.STRUCTURE) for t in threads[1:3]]
    assert notes == ()


@pytest.mark.parametrize("entries", [None, WITHOUT_MARKS])
def test_without_records_the_wait_leads_to_the_lock_and_no_owner_is_guessed(entries: Layout | None) -> None:
    machine, threads = machine_of(entries)
    lock = machine.room(0x10)
    block_on(machine, lock, *threads[1:])
    (found,), notes = read(machine, threads)
    assert found.address == lock
    assert found.owners == ()
    assert {(held.thread, held.trust) for held in found.waiters} == {(t, Trust.SCAN) for t in threads[1:]}
    assert "owner is not recorded" in found.description
    assert notes == ()


def test_a_recorded_lock_that_is_free_by_now_is_not_believed() -> None:
    machine, threads = machine_of(BITS)
    lock = machine.room(0x10)
    machine.wait(threads[1], machine.add_dispatcher(EVENT), reason=WR_PUSH_LOCK)
    mark(machine, threads[1], 0, lock, "WaitingBit")
    locks, notes = read(machine, threads)
    assert locks == []
    assert notes == ("locks: which push lock 1 of 1 threads in WrPushLock wait for cannot be told",)


def test_a_word_on_the_stack_must_lead_back_to_the_wait() -> None:
    machine, threads = machine_of(None)
    lock, other = machine.room(0x10), machine.room(0x10)
    block_on(machine, lock, threads[1])
    block_on(machine, other, threads[2])
    machine.memory.put_u64(lock, 0)
    locks, _ = read(machine, threads)
    assert [(one.address, [held.thread for held in one.waiters]) for one in locks] == [(other, [threads[2]])]


def test_a_chain_of_blocks_that_bites_its_tail_ends() -> None:
    machine, threads = machine_of(None)
    lock = machine.room(0x10)
    block_on(machine, lock, *threads[1:3])
    last = machine.memory.u64(lock) & ~0xF
    first = machine.memory.u64(last + 0x18)
    machine.memory.put_u64(first + 0x18, last)
    (found,), _ = read(machine, threads)
    assert {held.thread for held in found.waiters} == set(threads[1:3])
