"""Processes, threads and their waits."""

import pytest

from analysis.errors import MissingLayout
from analysis.kernel.clock import Clock, read_clock
from analysis.kernel.processes import read_processes
from analysis.kernel.threads import read_threads
from tests.kernel.invented import Bytes, Names
from tests.kernel.machine import (
    EVENT,
    INCREMENT,
    POOL,
    RUNNING,
    SEMAPHORE,
    TERMINATED,
    TICKS,
    USER_REQUEST,
    Machine,
)

HEAD = POOL - 0x2000


def test_processes_come_in_the_order_of_their_list() -> None:
    machine = Machine()
    for pid, name in ((4, "System"), (500, "a-very-long-nam"), (612, "wininit.exe")):
        machine.add_process(name, pid)
    processes, notes = read_processes(machine.memory, machine.names, HEAD)
    assert [(p.pid, p.name) for p in processes.values()] == [
        (4, "System"),
        (500, "a-very-long-nam"),
        (612, "wininit.exe"),
    ]
    assert notes == ()


def test_what_is_no_process_is_left_out_and_noted() -> None:
    machine = Machine()
    machine.add_process("System", 4)
    stranger = machine.add_process("x", 8)
    machine.add_dispatcher(EVENT, stranger)
    processes, notes = read_processes(machine.memory, machine.names, HEAD)
    assert [p.pid for p in processes.values()] == [4]
    assert "no process object" in notes[0]


def test_a_kernel_without_layouts_says_which_is_missing() -> None:
    with pytest.raises(MissingLayout, match="_EPROCESS"):
        read_processes(Bytes(), Names(), HEAD)


def read(machine: Machine) -> tuple[list[int], tuple[str, ...]]:
    processes, _ = read_processes(machine.memory, machine.names, HEAD)
    threads, notes = read_threads(machine.reader(), machine.names, processes.values())
    return [thread.tid for thread in threads.values()], notes


def test_threads_know_their_process() -> None:
    machine = Machine()
    home = machine.add_process("wininit.exe", 612)
    machine.add_thread(home, 616)
    processes, _ = read_processes(machine.memory, machine.names, HEAD)
    threads, notes = read_threads(machine.reader(), machine.names, processes.values())
    (thread,) = threads.values()
    assert (thread.process, thread.process_name, thread.pid, thread.tid) == (home, "wininit.exe", 612, 616)
    assert (thread.state, thread.wait_reason, thread.waits) == ("Running", None, ())
    assert notes == ()


def test_a_thread_on_one_of_both_lists_is_found_and_noted() -> None:
    machine = Machine()
    home = machine.add_process("System", 4)
    threads = [machine.add_thread(home, tid) for tid in (8, 12, 16)]
    head = machine.at("_EPROCESS", home, "ThreadListHead")
    machine.memory.link(head, *(machine.at("_ETHREAD", t, "ThreadListEntry") for t in threads[:2]))
    tids, notes = read(machine)
    assert tids == [8, 12, 16]
    assert notes == ("threads of System (4): its two lists disagree (2 and 3)",)


def test_a_list_torn_by_a_lost_page_is_mended_by_the_other() -> None:
    machine = Machine()
    home = machine.add_process("System", 4)
    threads = [machine.add_thread(home, tid) for tid in (8, 12, 16)]
    machine.memory.lose(machine.at("_ETHREAD", threads[1], "ThreadListEntry"), 16)
    tids, notes = read(machine)
    assert sorted(tids) == [8, 12, 16]
    assert "list stops after 1 entries" in notes[0]


def test_what_is_no_thread_is_left_out() -> None:
    machine = Machine()
    home = machine.add_process("System", 4)
    machine.add_thread(home, 8)
    machine.add_dispatcher(SEMAPHORE, machine.add_thread(home, 12))
    tids, notes = read(machine)
    assert tids == [8]
    assert "no thread object" in notes[0]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_waits_are_read_in_both_orders_of_the_block(old: bool, count: int) -> None:
    machine = Machine(old_blocks=old)
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    events = [machine.add_dispatcher(EVENT) for _ in range(count)]
    machine.wait(thread, *events, reason=USER_REQUEST, seconds=12.5)
    (facts,) = machine.facts(thread).values()
    assert [waited.address for waited in facts.waits] == events
    assert {waited.kind for waited in facts.waits} == {"event"}
    assert (facts.state, facts.wait_reason, facts.all_of) == ("Waiting", "UserRequest", False)
    assert facts.wait_seconds == pytest.approx(12.5)


@pytest.mark.parametrize("old", [False, True])
def test_waiting_for_all_is_told_from_waiting_for_any(old: bool) -> None:
    machine = Machine(old_blocks=old)
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    machine.wait(thread, machine.add_dispatcher(EVENT), machine.add_dispatcher(EVENT), all_of=True)
    assert machine.facts(thread).popitem()[1].all_of


@pytest.mark.parametrize("old", [False, True])
def test_the_timeout_of_a_wait_is_no_object_of_it(old: bool) -> None:
    machine = Machine(old_blocks=old)
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    timer = machine.add_dispatcher(8, machine.at("_KTHREAD", thread, "Timer"))
    event = machine.add_dispatcher(EVENT)
    machine.wait(thread, event, timer)
    assert [waited.address for waited in machine.facts(thread).popitem()[1].waits] == [event]
    machine.wait(thread, timer)
    assert [waited.kind for waited in machine.facts(thread).popitem()[1].waits] == ["timer"]


def test_blocks_of_another_thread_are_leftovers() -> None:
    machine = Machine()
    home = machine.add_process("System", 4)
    one, other = machine.add_thread(home, 8), machine.add_thread(home, 12)
    events = [machine.add_dispatcher(EVENT) for _ in range(2)]
    machine.wait(one, *events)
    machine.memory.put_u64(machine.at("_KTHREAD", one, "WaitBlock") + 0x30 + 0x18, other)
    assert [waited.address for waited in machine.facts(one).popitem()[1].waits] == events[:1]


def test_a_circle_of_blocks_that_misses_the_first_ends() -> None:
    machine = Machine(old_blocks=True)
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    events = [machine.add_dispatcher(EVENT) for _ in range(3)]
    machine.wait(thread, *events)
    blocks = machine.at("_KTHREAD", thread, "WaitBlock")
    machine.memory.put_u64(blocks + 2 * 0x30 + 0x20, blocks + 0x30)
    assert [waited.address for waited in machine.facts(thread).popitem()[1].waits] == events


def test_a_thread_that_does_not_wait_has_no_wait_however_stale_its_blocks() -> None:
    machine = Machine()
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    machine.wait(thread, machine.add_dispatcher(EVENT))
    for state, word in ((RUNNING, "Running"), (TERMINATED, "Terminated"), (200, "unknown (200)")):
        machine.memory.put_u8(machine.at("_KTHREAD", thread, "State"), state)
        facts = machine.facts(thread).popitem()[1]
        assert (facts.state, facts.waits, facts.wait_seconds, facts.wait_reason) == (word, (), None, None)
        assert facts.terminated == (state == TERMINATED)


def test_requests_of_a_thread_are_the_structures_around_their_links() -> None:
    machine = Machine()
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    requests = [machine.room(0xD0) for _ in range(2)]
    machine.memory.link(machine.at("_ETHREAD", thread, "IrpList"), *(irp + 0x20 for irp in requests))
    assert list(machine.facts(thread).popitem()[1].irps) == requests


def test_a_threads_name_is_read_where_it_has_one() -> None:
    machine = Machine()
    thread = machine.add_thread(machine.add_process("System", 4), 8)
    assert machine.facts(thread).popitem()[1].name is None
    name = machine.room(0x10)
    machine.memory.put_unicode(name, "Render", machine.room(0x20))
    machine.memory.put_u64(machine.at("_ETHREAD", thread, "ThreadName"), name)
    assert machine.facts(thread).popitem()[1].name == "Render"


def test_wait_times_survive_the_wrap_of_their_half() -> None:
    clock = Clock(ticks=(1 << 32) + 100, increment=INCREMENT)
    assert clock.seconds_since(50) == pytest.approx(50 * 0.015625)
    assert clock.seconds_since(0xFFFF_FFFE) == pytest.approx(102 * 0.015625)


def test_a_wait_that_began_before_the_machine_is_unknown() -> None:
    assert Clock(ticks=100, increment=INCREMENT).seconds_since(101) is None
    assert Clock(ticks=100, increment=INCREMENT).seconds_since(100) == 0


def test_a_clock_needs_both_halves_and_sense() -> None:
    machine = Machine()
    at = machine.room(4)
    assert read_clock(machine.memory, None) is None
    assert read_clock(machine.memory, at) is None, "an increment of zero is none"
    machine.memory.put_u32(at, INCREMENT)
    assert read_clock(machine.memory, at) == Clock(TICKS, INCREMENT)
    assert read_clock(Bytes(), at) is None
