"""Which spin lock a processor spins for, and who has it: only what a register or a whole queue proves."""

import pytest

from analysis.address import VirtAddr
from analysis.kernel.context import RCX, Registers
from analysis.kernel.facts import Frame, Lock, Module, Stack, Thread
from analysis.kernel.spin_locks import read_spin_locks
from analysis.kernel.spinning import Processor
from analysis.trust import Trust
from tests.kernel.invented import Bytes, Names

POOL, STACKS, STACK_SIZE = 0xFFFF_A000_0000_0000, 0xFFFF_B000_0000_0000, 0x6000
DRIVER = Module("probe.sys", VirtAddr(0xFFFF_F800_3000_0000), 0x8000)
WAITS, OWNS = 1, 2


class Machine:
    """Processors with a stack each."""

    def __init__(self) -> None:
        self.memory = Bytes()
        self.processors: list[Processor] = []

    def run(self, *symbols: str, registers: tuple[dict[str, int], ...] = (), rcx: int = 0) -> int:
        """A processor inside these functions. Returns its stack pointer; each frame has 0x40 bytes."""
        number = len(self.processors)
        base = STACKS + (number + 1) * 0x1_0000
        start = base - 0x400
        self.memory.put(start, bytes(0x400))
        frames = tuple(
            Frame(VirtAddr(0x10 + at), name, "ntoskrnl.exe", Trust.CONTEXT if not at else Trust.UNWIND,
                  VirtAddr(start + 0x40 * at))
            for at, name in enumerate(symbols)
        )  # fmt: skip
        thread = Thread(
            VirtAddr(0x1000 * (number + 1)), VirtAddr(1), "System", 4, 8, "Running", processor=number,
            stack_base=VirtAddr(base), stack_limit=VirtAddr(base - STACK_SIZE),
        )  # fmt: skip
        stack = Stack(frames, registers=registers or tuple({} for _ in symbols))
        self.processors.append(Processor(thread, stack, Registers(0x10, start, {RCX: rcx} if rcx else {})))
        return start

    def locks(self) -> tuple[Lock, ...]:
        def module_at(address: int) -> Module | None:
            return DRIVER if DRIVER.base <= address < DRIVER.end else None

        return read_spin_locks(self.memory, Names(), self.processors, module_at)


PLAIN = ("nt!KxWaitForSpinLockAndAcquire+0x2e", "nt!KeAcquireSpinLockRaiseToDpc+0x5a", "probe+0x1234")


def taken(machine: Machine, address: int = POOL) -> int:
    machine.memory.put_u64(address, 1)
    return address


def part(machine: Machine, address: int, following: int, lock: int, marks: int) -> int:
    machine.memory.put_u64(address, following, lock | marks)
    return address


def test_a_register_of_the_spinning_function_names_the_lock_and_nobody_owns_it() -> None:
    machine = Machine()
    machine.run(*PLAIN, rcx=taken(machine))
    (lock,) = machine.locks()
    assert (lock.address, lock.owners) == (POOL, ())
    assert [(held.thread, held.trust) for held in lock.waiters] == [(0x1000, Trust.CONTEXT)]
    assert lock.description == f"spin lock at {POOL:#x}, whose holder is not recorded"


def test_a_free_lock_is_none_and_two_candidates_decide_nothing() -> None:
    machine = Machine()
    machine.memory.put_u64(POOL, 0)
    machine.run(*PLAIN, rcx=POOL)
    assert machine.locks() == ()
    machine = Machine()
    both = {"rbx": taken(machine), "rdi": taken(machine, POOL + 0x40)}
    machine.run(*PLAIN, registers=({}, both, {}))
    assert machine.locks() == ()


def test_what_only_the_stack_shows_is_no_more_than_a_scan() -> None:
    machine = Machine()
    start = machine.run(*PLAIN)
    machine.memory.put_u64(start + 0x20, taken(machine, DRIVER.base + 0x4010))
    (lock,) = machine.locks()
    assert lock.waiters[0].trust is Trust.SCAN
    assert "in the data of probe.sys" in lock.description


def test_a_word_above_the_frames_of_the_wait_is_not_the_lock() -> None:
    machine = Machine()
    start = machine.run(*PLAIN)
    machine.memory.put_u64(start + 0x90, taken(machine))
    assert machine.locks() == ()


def test_a_processor_that_does_not_spin_waits_for_no_plain_lock() -> None:
    machine = Machine()
    machine.run("nt!KiIdleLoop+0x9e", "nt!KiSystemStartup", rcx=taken(machine))
    assert machine.locks() == ()


def test_a_processor_that_has_the_address_at_hand_is_a_hint_and_no_owner() -> None:
    machine = Machine()
    machine.run(*PLAIN, rcx=taken(machine))
    machine.run("probe+0x2000", "probe+0x3000", registers=({}, {"rsi": POOL}))
    (lock,) = machine.locks()
    assert lock.owners == ()
    assert "on the stack of processor 1, which may have it" in lock.description


@pytest.mark.parametrize(("value", "is_lock"), [(1 << 31, True), (3, True), (1 << 30, False), (0x1234_5678, False)])
def test_a_lock_that_can_be_shared_counts_its_owners(value: int, *, is_lock: bool) -> None:
    machine = Machine()
    machine.memory.put_u32(POOL + 4, value)
    machine.run("nt!ExpWaitForSpinLockExclusiveAndAcquire+0x10", "probe+0x10", rcx=POOL + 4)
    assert [lock.address for lock in machine.locks()] == ([POOL + 4] if is_lock else [])


@pytest.mark.parametrize("mark", [0, OWNS])
def test_a_queue_leads_to_its_owner_without_any_name(mark: int) -> None:
    machine = Machine()
    spins, owns = machine.run("nt+0x10", "probe+0x10"), machine.run("probe+0x20", "probe+0x30")
    wanted = part(machine, spins + 0x60, 0, POOL, WAITS)
    part(machine, owns + 0x80, wanted, POOL, mark)
    machine.memory.put_u64(POOL, wanted)
    (lock,) = machine.locks()
    assert [(held.thread, held.trust) for held in lock.owners] == [(0x2000, Trust.SCAN)]
    assert [(held.thread, held.trust) for held in lock.waiters] == [(0x1000, Trust.STRUCTURE)]


def test_a_queue_that_the_lock_does_not_end_in_is_left_over() -> None:
    machine = Machine()
    spins = machine.run("nt+0x10", "probe+0x10")
    part(machine, spins + 0x60, 0, POOL, WAITS)
    machine.memory.put_u64(POOL, spins + 0x90)
    assert machine.locks() == ()


def test_one_who_waits_himself_or_leads_elsewhere_is_no_owner() -> None:
    machine = Machine()
    spins, other = machine.run("nt+0x10", "probe+0x10"), machine.run("probe+0x20", "probe+0x30")
    wanted = part(machine, spins + 0x60, 0, POOL, WAITS)
    machine.memory.put_u64(POOL, wanted)
    part(machine, other + 0x80, 0, POOL, 0)
    (lock,) = machine.locks()
    assert lock.owners == ()


def test_two_that_seem_to_have_it_are_no_owner() -> None:
    machine = Machine()
    spins, *others = (machine.run("nt+0x10", "probe+0x10") for _ in range(3))
    wanted = part(machine, spins + 0x60, 0, POOL, WAITS)
    machine.memory.put_u64(POOL, wanted)
    for other in others:
        part(machine, other + 0x80, wanted, POOL, 0)
    (lock,) = machine.locks()
    assert lock.owners == ()


def test_a_queue_in_a_ring_comes_to_an_end() -> None:
    machine = Machine()
    spins = machine.run("nt+0x10", "probe+0x10")
    one, two = spins + 0x60, spins + 0x90
    part(machine, one, two, POOL, WAITS)
    part(machine, two, one, POOL, WAITS)
    machine.memory.put_u64(POOL, two)
    assert [held.thread for lock in machine.locks() for held in lock.waiters] == [0x1000]


def test_who_spins_for_a_queued_lock_that_he_has_is_his_own_owner() -> None:
    machine = Machine()
    spins = machine.run("nt+0x10", "probe+0x10")
    wanted = part(machine, spins + 0x60, 0, POOL, WAITS)
    part(machine, spins + 0x90, wanted, POOL, 0)
    machine.memory.put_u64(POOL, wanted)
    (lock,) = machine.locks()
    assert lock.owners[0].thread == lock.waiters[0].thread == 0x1000


def test_endless_queues_on_every_stack_come_to_an_end() -> None:
    machine = Machine()
    for _ in range(40):
        start = machine.run("nt+0x10", "probe+0x10")
        for at in range(0, 0x400, 0x10):
            following = start + at + 0x10 if at + 0x20 <= 0x400 else STACKS + 0x1_0000 - 0x400
            part(machine, start + at, following, POOL, WAITS)
    machine.memory.put_u64(POOL, POOL + 0x1000)
    assert machine.locks() == ()


def test_a_crowd_of_locks_is_cut() -> None:
    machine = Machine()
    for number in range(80):
        machine.run(*PLAIN, rcx=taken(machine, POOL + 0x40 * number))
    assert len(machine.locks()) == 64
