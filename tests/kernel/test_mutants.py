"""Owned dispatcher objects: mutants, fast mutexes, threads."""

from analysis.address import VirtAddr
from analysis.kernel.facts import LockKind
from analysis.kernel.locks import LockFacts, read_locks
from tests.kernel.machine import EVENT, EXECUTIVE, MUTANT, USER_REQUEST, WR_FAST_MUTEX, Machine


def pair() -> tuple[Machine, int, int]:
    machine = Machine()
    home = machine.add_process("System", 4)
    return machine, machine.add_thread(home, 8), machine.add_thread(home, 12)


def add_mutant(machine: Machine, owner: int, signal: int = 0) -> int:
    address = machine.room(0x40)
    machine.add_dispatcher(MUTANT, address, signal)
    machine.memory.put_u64(address + 0x28, owner)
    return address


def read(machine: Machine, *threads: int) -> LockFacts:
    return read_locks(machine.memory, machine.names, machine.facts(*threads), ())


def test_a_mutant_names_its_owner() -> None:
    machine, owner, waiter = pair()
    mutant = add_mutant(machine, owner)
    machine.wait(waiter, mutant, reason=USER_REQUEST)
    lock = read(machine, owner, waiter).locks[VirtAddr(mutant)]
    assert (lock.kind, [h.thread for h in lock.owners], [h.thread for h in lock.waiters]) == (
        LockKind.MUTANT,
        [owner],
        [waiter],
    )


def test_a_mutant_taken_again_says_how_often() -> None:
    machine, owner, waiter = pair()
    mutant = add_mutant(machine, owner, signal=-2)
    machine.wait(waiter, mutant)
    assert "taken 3 times" in read(machine, waiter).locks[VirtAddr(mutant)].description


def test_an_abandoned_mutant_says_so_and_has_no_owner() -> None:
    machine, _, waiter = pair()
    mutant = add_mutant(machine, 0)
    machine.memory.put_u8(mutant + 0x30, 1)
    machine.wait(waiter, mutant)
    lock = read(machine, waiter).locks[VirtAddr(mutant)]
    assert lock.owners == ()
    assert "abandoned" in lock.description


def test_a_mutant_owned_by_something_that_is_no_thread_has_no_owner() -> None:
    machine, _, waiter = pair()
    mutant = add_mutant(machine, machine.add_dispatcher(EVENT))
    machine.wait(waiter, mutant)
    assert read(machine, waiter).locks[VirtAddr(mutant)].owners == ()


def test_a_mutant_that_nobody_waits_for_is_not_read() -> None:
    machine, owner, waiter = pair()
    add_mutant(machine, owner)
    assert read(machine, owner, waiter).locks == {}


def test_a_fast_mutex_lies_around_the_event_of_the_wait() -> None:
    machine, owner, waiter = pair()
    mutex = machine.room(0x38)
    machine.memory.put_u64(mutex + 8, owner)
    event = machine.add_dispatcher(EVENT, mutex + 0x18)
    machine.wait(waiter, event, reason=WR_FAST_MUTEX)
    lock = read(machine, owner, waiter).locks[VirtAddr(mutex)]
    assert (lock.kind, [held.thread for held in lock.owners]) == (LockKind.FAST_MUTEX, [owner])


def test_an_event_is_no_fast_mutex_however_much_the_words_before_it_look_like_one() -> None:
    machine, owner, waiter = pair()
    mutex = machine.room(0x38)
    machine.memory.put_u64(mutex + 8, owner)
    event = machine.add_dispatcher(EVENT, mutex + 0x18)
    machine.wait(waiter, event, reason=EXECUTIVE)
    assert read(machine, owner, waiter).locks == {}


def test_a_fast_mutex_whose_owner_is_no_thread_is_none() -> None:
    machine, _, waiter = pair()
    mutex = machine.room(0x38)
    machine.memory.put_u64(mutex + 8, 0x1234_5678)
    event = machine.add_dispatcher(EVENT, mutex + 0x18)
    machine.wait(waiter, event, reason=WR_FAST_MUTEX)
    assert read(machine, waiter).locks == {}


def test_who_waits_for_a_thread_waits_for_that_thread() -> None:
    machine, worker, waiter = pair()
    machine.wait(waiter, worker, reason=USER_REQUEST)
    lock = read(machine, worker, waiter).locks[VirtAddr(worker)]
    assert (lock.kind, [held.thread for held in lock.owners]) == (LockKind.THREAD, [worker])


def test_a_process_is_held_up_by_its_threads_only_when_all_of_them_are_ending() -> None:
    machine = Machine()
    home, other = machine.add_process("stuck.exe", 500), machine.add_process("smss.exe", 300)
    threads = [machine.add_thread(home, 504), machine.add_thread(home, 508)]
    waiter = machine.add_thread(other, 304)
    machine.wait(waiter, home, reason=USER_REQUEST)
    flags = [machine.at("_ETHREAD", thread, "CrossThreadFlags") for thread in threads]
    machine.memory.put_u32(flags[0], 1)
    assert read(machine, *threads, waiter).locks[VirtAddr(home)].owners == ()
    machine.memory.put_u32(flags[1], 1)
    lock = read(machine, *threads, waiter).locks[VirtAddr(home)]
    assert (lock.kind, [held.thread for held in lock.owners]) == (LockKind.PROCESS, threads)
