"""Owners and waiters of ERESOURCEs, in every form that Windows kept them, and in memory that lies."""

from collections.abc import Sequence

import pytest

from analysis.address import VirtAddr
from analysis.kernel.facts import Lock, LockKind
from analysis.kernel.locks import read_locks
from analysis.trust import Trust
from tests.kernel.machine import (
    CHAIN_BY_EVENT,
    CHAIN_BY_THREAD,
    EVENT,
    POOL,
    SEMAPHORE,
    THREAD,
    USER_REQUEST,
    WR_RESOURCE,
    Machine,
)

HEAD = POOL - 0x1000


def machine_of(form: int) -> Machine:
    return Machine(old_blocks=form == 1, chain={1: None, 2: CHAIN_BY_EVENT, 3: CHAIN_BY_THREAD}[form], fast=form == 3)


def threads_of(machine: Machine, count: int) -> list[int]:
    home = machine.add_process("System", 4)
    return [machine.add_thread(home, 8 + 4 * index) for index in range(count)]


def queue_on_object(machine: Machine, resource: int, member: str, kind: int, threads: Sequence[int]) -> int:
    """Form 1, and the exclusive half of form 2: one object for all."""
    target = machine.add_dispatcher(kind)
    machine.memory.put_u64(machine.at("_ERESOURCE", resource, member), target)
    for thread in threads:
        machine.wait(thread, target, reason=WR_RESOURCE)
    return target


def queue_on_chain(machine: Machine, resource: int, member: str, threads: Sequence[int], *, ring: bool) -> list[int]:
    """Form 3, and the shared half of form 2: an entry with an event for each."""
    layout = machine.names.layouts["_KWAIT_CHAIN_ENTRY"]
    entries = [machine.room(0x30) for _ in threads]
    for index, (entry, thread) in enumerate(zip(entries, threads, strict=True)):
        following = entries[(index + 1) % len(entries)] if ring or index + 1 < len(entries) else 0
        machine.memory.put_u64(entry, following)
        if layout.has("Thread"):
            machine.memory.put_u64(entry + 8, entries[index - 1])
            machine.memory.put_u64(entry + layout.offset("Thread"), thread)
        event = machine.add_dispatcher(EVENT, entry + layout.offset("Event"))
        machine.wait(thread, event, reason=WR_RESOURCE)
    machine.memory.put_u64(machine.at("_ERESOURCE", resource, member), entries[0] if entries else 0)
    return entries


def queue(machine: Machine, form: int, resource: int, exclusive: Sequence[int], shared: Sequence[int]) -> None:
    if form == 3:
        queue_on_chain(machine, resource, "ExclusiveWaiters", exclusive, ring=True)
    else:
        queue_on_object(machine, resource, "ExclusiveWaiters", EVENT, exclusive)
    if form == 1:
        queue_on_object(machine, resource, "SharedWaiters", SEMAPHORE, shared)
    else:
        queue_on_chain(machine, resource, "SharedWaiters", shared, ring=form == 3)
    machine.count_waiters(resource, len(exclusive), len(shared))


def read(machine: Machine, threads: Sequence[int], resource: int) -> tuple[Lock, tuple[str, ...]]:
    found = read_locks(machine.memory, machine.names, machine.facts(*threads), ())
    return found.locks[VirtAddr(resource)], found.notes


@pytest.mark.parametrize("form", [1, 2, 3])
def test_owner_and_waiters_are_found_in_every_form(form: int) -> None:
    machine = machine_of(form)
    threads = threads_of(machine, 5)
    resource = machine.add_resource(threads[0])
    queue(machine, form, resource, exclusive=threads[1:3], shared=threads[3:])
    lock, notes = read(machine, threads, resource)
    assert [held.thread for held in lock.owners] == threads[:1]
    assert {(h.thread, h.exclusive, h.trust) for h in lock.waiters} == {
        *((thread, True, Trust.STRUCTURE) for thread in threads[1:3]),
        *((thread, False, Trust.STRUCTURE) for thread in threads[3:]),
    }
    assert (lock.kind, lock.exclusive, lock.waiters_expected) == (LockKind.ERESOURCE, True, 4)
    assert notes == ()


@pytest.mark.parametrize("ring", [True, False])
def test_a_chain_may_be_a_ring_or_end_in_null(ring: bool) -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 4)
    resource = machine.add_resource(threads[0])
    queue_on_chain(machine, resource, "ExclusiveWaiters", threads[1:], ring=ring)
    machine.count_waiters(resource, exclusive=3)
    assert {held.thread for held in read(machine, threads, resource)[0].waiters} == set(threads[1:])


@pytest.mark.parametrize("form", [1, 2, 3])
def test_objects_left_from_past_waits_bring_no_waiters(form: int) -> None:
    machine = machine_of(form)
    threads = threads_of(machine, 3)
    resource = machine.add_resource(threads[0], contention=5_000)
    queue(machine, form, resource, exclusive=threads[1:2], shared=threads[2:])
    machine.count_waiters(resource)
    for thread in threads[1:]:
        machine.wait(thread, machine.add_dispatcher(EVENT), reason=USER_REQUEST)
    lock, notes = read(machine, threads, resource)
    assert lock.waiters == ()
    assert (lock.contention, notes) == (5_000, ())


@pytest.mark.parametrize("form", [1, 2, 3])
def test_a_thread_that_was_just_woken_waits_no_more(form: int) -> None:
    machine = machine_of(form)
    threads = threads_of(machine, 3)
    resource = machine.add_resource(threads[0])
    queue(machine, form, resource, exclusive=threads[1:], shared=[])
    machine.memory.put_u8(machine.at("_KTHREAD", threads[1], "State"), 1)
    lock, notes = read(machine, threads, resource)
    assert [held.thread for held in lock.waiters] == threads[2:]
    assert "1 of 2 waiters found" in notes[0]


def test_a_torn_chain_is_completed_from_the_stacks_and_marked() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 4)
    resource, other = machine.add_resource(threads[0]), machine.add_resource(threads[0])
    entries = queue_on_chain(machine, resource, "ExclusiveWaiters", threads[1:], ring=True)
    machine.count_waiters(resource, exclusive=3)
    machine.memory.lose(entries[1], 0x10)
    stack = machine.room(0x200)
    machine.memory.put_u64(stack + 0x20, other)
    machine.memory.put_u64(stack + 0x80, resource)
    machine.memory.put_u64(machine.at("_KTHREAD", threads[3], "KernelStack"), stack)
    lock, notes = read(machine, threads, resource)
    assert [(held.thread, held.trust) for held in lock.waiters] == [
        (threads[1], Trust.STRUCTURE),
        (threads[2], Trust.STRUCTURE),
        (threads[3], Trust.SCAN),
    ]
    assert notes == ()


def test_two_of_three_found_is_said() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 3)
    resource = machine.add_resource(threads[0])
    queue_on_chain(machine, resource, "ExclusiveWaiters", threads[1:], ring=True)
    machine.count_waiters(resource, exclusive=3)
    lock, notes = read(machine, threads, resource)
    assert (len(lock.waiters), lock.waiters_expected) == (2, 3)
    assert notes == (f"resource (ERESOURCE) at {resource:#x}, on the system's resource list: 2 of 3 waiters found",)


def test_a_stack_that_was_swapped_out_is_not_guessed_from() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 2)
    resource = machine.add_resource(threads[0])
    machine.count_waiters(resource, exclusive=1)
    machine.wait(threads[1], machine.add_dispatcher(EVENT), reason=WR_RESOURCE)
    machine.memory.put_u64(machine.at("_KTHREAD", threads[1], "KernelStack"), machine.room(0x100))
    machine.memory.put_u32(machine.at("_KTHREAD", threads[1], "Flags"), 0)
    assert read(machine, threads, resource)[0].waiters == ()


def test_shared_owners_are_in_the_entry_and_in_the_table_behind_it() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 5)
    resource = machine.add_resource(threads[0], exclusive=False)
    table = machine.room(0x60)
    machine.memory.put_u64(table, 0, 6)
    for slot, owner, count in ((1, threads[1], 1), (2, 0, 0), (3, threads[2] | 3, 2), (4, threads[3], 0)):
        machine.memory.put_u64(table + slot * 16, owner, count << 3)
    machine.memory.put_u64(machine.at("_ERESOURCE", resource, "OwnerTable"), table)
    lock, _ = read(machine, threads, resource)
    assert [held.thread for held in lock.owners] == threads[:3], "a slot whose count is zero owns nothing"
    assert lock.exclusive is False


def test_a_hostile_table_size_does_not_run_away() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 2)
    resource = machine.add_resource(threads[0], exclusive=False)
    table = machine.room(0x20)
    machine.memory.put_u64(table, 0, 0xFFFF_FFFF, threads[1], 1 << 3)
    machine.memory.put_u64(machine.at("_ERESOURCE", resource, "OwnerTable"), table)
    machine.count_waiters(resource, exclusive=1)
    lock, notes = read(machine, threads, resource)
    assert [held.thread for held in lock.owners] == threads
    assert any(note.startswith("owners of the resource") for note in notes)


def test_a_free_resource_that_remembers_its_last_owner_has_none() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 2)
    resource = machine.add_resource(threads[0], active=0)
    machine.count_waiters(resource, exclusive=1)
    lock, _ = read(machine, threads, resource)
    assert (lock.owners, lock.exclusive) == ((), None)


def test_an_owner_that_is_no_thread_is_none() -> None:
    machine = machine_of(3)
    (waiter,) = threads_of(machine, 1)
    resource = machine.add_resource(machine.add_dispatcher(SEMAPHORE) | 3)
    machine.count_waiters(resource, exclusive=1)
    lock, notes = read(machine, [waiter], resource)
    assert lock.owners == ()
    assert "no thread object" in notes[0]


def test_an_owner_set_as_a_pointer_to_a_thread_is_that_thread() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 1)
    resource = machine.add_resource(threads[0] | 3)
    assert [held.thread for held in read(machine, threads, resource)[0].owners] == threads


def test_an_owner_that_ended_is_still_an_owner() -> None:
    machine = machine_of(3)
    home = machine.add_process("System", 4)
    gone = machine.add_thread(home, 8, 4, listed=False)
    resource = machine.add_resource(gone)
    assert [held.thread for held in read(machine, [], resource)[0].owners] == [gone]


def test_free_resources_are_left_out_however_contended_once() -> None:
    machine = machine_of(3)
    machine.add_resource(contention=40_000)
    assert read_locks(machine.memory, machine.names, {}, ()).locks == {}


def test_a_fast_resource_lists_its_owners_elsewhere() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 4)
    fast = machine.add_resource()
    machine.count_waiters(fast, exclusive=1)
    entries = [machine.room(0x48) for _ in threads]
    machine.memory.link(machine.at("_FAST_ERESOURCE_INTERNAL", fast, "OwnerEntryListHead"), *entries)
    for entry, thread in zip(entries, threads, strict=True):
        machine.memory.put_u64(entry + 0x18, fast, thread)
    machine.memory.put_u8(entries[1] + 0x13, 1)
    machine.wait(threads[1], machine.add_dispatcher(EVENT), reason=WR_RESOURCE)
    machine.memory.put_u64(entries[2] + 0x18, fast + 8)
    machine.memory.put_u64(entries[3] + 0x20, machine.add_dispatcher(EVENT))
    lock, _ = read(machine, threads, fast)
    assert lock.kind is LockKind.FAST_RESOURCE
    assert [held.thread for held in lock.owners] == threads[:1], "entries of another lock or of no thread are refused"
    assert [held.thread for held in lock.waiters] == threads[1:2]


def test_an_entry_left_over_is_no_wait_where_another_resource_has_the_thread() -> None:
    machine = machine_of(3)
    owner, waiter = threads = threads_of(machine, 2)
    plain, fast = machine.add_resource(owner), machine.add_resource()
    queue(machine, 3, plain, [waiter], [])
    machine.count_waiters(plain, exclusive=1)
    entry = machine.room(0x48)
    machine.memory.link(machine.at("_FAST_ERESOURCE_INTERNAL", fast, "OwnerEntryListHead"), entry)
    machine.memory.put_u64(entry + 0x18, fast, waiter)
    machine.memory.put_u8(entry + 0x13, 1)
    machine.count_waiters(fast, exclusive=1)
    assert [held.thread for held in read(machine, threads, plain)[0].waiters] == [waiter]
    assert read(machine, threads, fast)[0].waiters == ()


def test_a_plain_resource_is_not_taken_for_a_fast_one() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 1)
    resource = machine.add_resource(threads[0])
    assert machine.memory.u8(threads[0]) == THREAD
    assert read(machine, threads, resource)[0].kind is LockKind.ERESOURCE


def test_a_torn_resource_list_is_said_and_read_from_both_ends() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 1)
    resources = [machine.add_resource(threads[0]) for _ in range(5)]
    machine.memory.lose(resources[2], 0x10)
    found = read_locks(machine.memory, machine.names, machine.facts(*threads), ())
    assert set(found.locks) == {*resources[:2], *resources[3:]}
    assert "found from the other end" in found.notes[0]


def beside_the_list(machine: Machine, chained: bool) -> tuple[list[int], int]:
    """A waiter of a resource that only its stack leads to, the system's list being out of reach."""
    threads = threads_of(machine, 2)
    resource = machine.add_resource(threads[0])
    if chained:
        queue_on_chain(machine, resource, "ExclusiveWaiters", threads[1:], ring=True)
    else:
        machine.wait(threads[1], machine.add_dispatcher(EVENT), reason=WR_RESOURCE)
    machine.count_waiters(resource, exclusive=1)
    stack = machine.room(0x200)
    machine.memory.put_u64(stack + 0x10, threads[0], POOL + 0x8000_0000, resource)
    machine.memory.put_u64(machine.at("_KTHREAD", threads[1], "KernelStack"), stack)
    del machine.names.symbols["ExpSystemResourcesList"]
    return threads, resource


@pytest.mark.parametrize(("chained", "trust"), [(True, Trust.STRUCTURE), (False, Trust.SCAN)])
def test_without_the_list_a_waiters_stack_leads_to_its_resource(chained: bool, trust: Trust) -> None:
    machine = machine_of(3)
    threads, resource = beside_the_list(machine, chained)
    lock, notes = read(machine, threads, resource)
    assert [held.thread for held in lock.owners] == threads[:1]
    assert [(held.thread, held.trust) for held in lock.waiters] == [(threads[1], trust)]
    assert "by way of a thread that waits for it" in (lock.description or "")
    assert "cannot be told" in notes[0]


@pytest.mark.parametrize("spoiled", ["NumberOfExclusiveWaiters", "SystemResourcesList", "OwnerEntry"])
def test_a_word_on_a_waiters_stack_that_is_no_resource_is_none(spoiled: str) -> None:
    machine = machine_of(3)
    threads, resource = beside_the_list(machine, chained=False)
    machine.memory.put_u64(machine.at("_ERESOURCE", resource, spoiled), 0)
    assert read_locks(machine.memory, machine.names, machine.facts(*threads), ()).locks == {}


def test_locks_of_a_kernel_without_layouts_are_a_note() -> None:
    machine = machine_of(3)
    del machine.names.layouts["_ERESOURCE"]
    assert read_locks(machine.memory, machine.names, {}, ()).notes == (
        "locks: no layout of _ERESOURCE for this kernel",
    )
    del machine.names.symbols["ExpSystemResourcesList"]
    assert "cannot be told" in read_locks(machine.memory, machine.names, {}, ()).notes[0]


def test_a_lock_is_called_by_its_symbol_where_one_lies_exactly_there() -> None:
    machine = machine_of(3)
    threads = threads_of(machine, 1)
    resource = machine.add_resource(threads[0])
    machine.names.symbols["SomeLock"] = resource
    machine.names.symbols["Neighbour"] = resource - 8
    lock, _ = read(machine, threads, resource)
    assert lock.name == "nt!SomeLock"
    assert resource != HEAD
