"""Which request a thread waits for, and whose it is to complete; requests that only look like it."""

from dataclasses import replace

import pytest

from analysis.address import VirtAddr
from analysis.kernel.facts import Lock, LockKind, Thread, WaitObject
from analysis.kernel.requests import read_request_waits
from analysis.trust import Trust
from tests.kernel.devices_in_memory import World, miniport, module_at

THREAD, STACK = 0xFFFF_A000_5000_0000, 0xFFFF_B000_0000_0000
USER_EVENT, FILE, CONTEXT = 0x50, 0xC0, 0x40


def waiter(event: int, irps: tuple[int, ...] = (), reason: str = "Executive") -> Thread:
    return Thread(
        VirtAddr(THREAD),
        VirtAddr(1),
        "System",
        4,
        8,
        "Waiting",
        reason,
        waits=(WaitObject(VirtAddr(event), "event", VirtAddr(THREAD + 0x140)),),
        kernel_stack=VirtAddr(STACK + 0x100),
        stack_base=VirtAddr(STACK + 0x1000),
        stack_limit=VirtAddr(STACK),
        irps=tuple(VirtAddr(irp) for irp in irps),
    )


def world() -> tuple[World, int, int]:
    """A machine, a request at probe.sys, and an event on the thread's stack."""
    made = World()
    _, pdo, fdo = miniport(made)
    made.memory.put(STACK, bytes(0x1000))
    return made, made.irp([fdo, pdo], current=0, thread=THREAD), STACK + 0x400


def read(made: World, thread: Thread) -> list[Lock]:
    locks, notes = read_request_waits(made.memory, made.names, {thread.address: thread}, module_at)
    assert notes == []
    return locks


def test_the_request_whose_event_is_waited_for_names_the_driver_that_has_it() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + USER_EVENT, event)
    (lock,) = read(made, waiter(event, (irp,)))
    assert (lock.kind, lock.address, lock.driver, lock.owners) == (LockKind.IRP, irp, "probe.sys", ())
    assert [(held.thread, held.trust) for held in lock.waiters] == [(THREAD, Trust.STRUCTURE)]
    assert lock.waited_object == event
    assert "IRP_MN_SET_POWER, at probe.sys and not completed" in lock.description


def test_a_synchronous_request_of_a_file_is_waited_for_through_the_file() -> None:
    made, irp, _ = world()
    file = made.room(0xD8)
    made.memory.put_u64(irp + FILE, file)
    (lock,) = read(made, waiter(file + 0x98, (irp,), reason="UserRequest"))
    assert lock.driver == "probe.sys"


def test_a_request_that_is_on_no_list_is_found_on_the_stack() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + USER_EVENT, event)
    made.memory.put_u64(STACK + 0x300, irp)
    (lock,) = read(made, waiter(event))
    assert (lock.address, lock.waiters[0].trust) == (irp, Trust.STRUCTURE)


def test_a_request_of_another_thread_found_on_the_stack_is_weaker_evidence() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + 0x98, THREAD + 0x1000)
    made.memory.put_u64(irp + USER_EVENT, event)
    made.memory.put_u64(STACK + 0x300, irp)
    assert read(made, waiter(event))[0].waiters[0].trust is Trust.SCAN


def test_the_context_of_a_completion_routine_may_be_the_event() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + 0xD0 + 0x48 + CONTEXT, event)
    made.memory.put_u64(STACK + 0x300, irp)
    assert read(made, waiter(event))[0].waiters[0].trust is Trust.SCAN


def test_a_leftover_request_on_the_stack_is_not_waited_for() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + USER_EVENT, event + 0x20)
    made.memory.put_u64(STACK + 0x300, irp)
    assert read(made, waiter(event)) == []


def test_a_request_that_disagrees_with_itself_is_none() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + USER_EVENT, event)
    made.memory.put_u8(irp + 0x43, 1)
    assert read(made, waiter(event, (irp,))) == []


@pytest.mark.parametrize("reason", ["WrQueue", "WrResource", None])
def test_threads_that_wait_otherwise_wait_for_no_request(reason: str | None) -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + USER_EVENT, event)
    assert read(made, replace(waiter(event, (irp,)), wait_reason=reason)) == []


def test_requests_that_were_not_saved_cost_nothing_else() -> None:
    made, irp, event = world()
    made.memory.put_u64(irp + USER_EVENT, event)
    for cut in range(0, 0xD0, 8):
        made.memory.lose(irp + cut, 8)
        read(made, waiter(event, (irp, 0, 0xFFFF_FFFF_FFFF_FFF8)))
    assert read(made, waiter(event, (irp,))) == []
