"""Critical sections in the memory of programs: found only where they are beyond doubt."""

import struct

import pytest

from analysis.address import VirtAddr
from analysis.kernel.critical_sections import Programs, read_critical_sections
from analysis.kernel.facts import Lock, LockKind, Process, Thread
from analysis.trust import Trust
from tests.kernel.invented import Bytes, Names, layout

PROCESS, TRAP, RSP = 0xFFFF_A000_0000_1000, 0xFFFF_B000_0000_0E00, 0x2B_0000_0400
SECTION, DEBUG, PEB = 0x1F4_2000_0120, 0x1F4_2000_0200, 0x7FF0_0000_0000
OWNER, WAITER = 0x1000, 0x2000
NAMES = Names({"_EPROCESS": layout("_EPROCESS", 0x20, Peb=8), "_PEB": layout("_PEB", 0x40, LoaderLock=0x10)})


def a_thread(address: int, tid: int, reason: str | None) -> Thread:
    return Thread(
        VirtAddr(address), VirtAddr(PROCESS), "spooler.exe", 40, tid, "Waiting", reason,
        trap_frame=VirtAddr(TRAP) if address == WAITER else None,
    )  # fmt: skip


def section(memory: Bytes, at: int = SECTION, *, count: int = -6, recursion: int = 1, owner: int = 44) -> None:
    memory.put(at, struct.pack("<QiIQQQ", DEBUG if at == SECTION else 2**64 - 1, count, recursion, owner, 0, 0))


def machine(**fields: int) -> Bytes:
    memory = Bytes()
    memory.put(TRAP, bytes(0x190))
    memory.put_u16(TRAP + 0x170, 0x33)
    memory.put_u64(TRAP + 0x180, RSP)
    memory.put(RSP, bytes(0x600))
    memory.put_u64(RSP + 0x88, SECTION)
    memory.put_u64(DEBUG, 0, SECTION)
    memory.put_u64(PROCESS + 8, PEB)
    memory.put(PEB, bytes(0x40))
    section(memory, **fields)
    return memory


def read(memory: Bytes, reason: str = "WrAlertByThreadId") -> list[Lock]:
    threads = [a_thread(OWNER, 44, "Executive"), a_thread(WAITER, 48, reason)]
    home = Process(VirtAddr(PROCESS), 40, "spooler.exe", directory_table=0x1AA000)
    programs = Programs(lambda _: memory, {home.address: home})
    locks, notes = read_critical_sections(programs, memory, NAMES, {one.address: one for one in threads})
    assert notes == []
    return locks


def test_a_section_names_its_owner_by_number() -> None:
    (lock,) = read(machine())
    assert (lock.kind, lock.address, lock.name) == (LockKind.CRITICAL_SECTION, SECTION, None)
    assert [held.thread for held in lock.owners] == [OWNER]
    assert [(held.thread, held.trust) for held in lock.waiters] == [(WAITER, Trust.SCAN)]
    assert lock.waiters_expected == 1
    assert lock.description == f"critical section at {SECTION:#x} of spooler.exe (40)"


def test_the_loader_lock_is_told_by_its_process() -> None:
    memory = machine(recursion=3)
    memory.put_u64(PEB + 0x10, SECTION)
    (lock,) = read(memory)
    assert lock.name == "loader lock"
    assert "entered 3 times" in lock.description


@pytest.mark.parametrize(
    "fields",
    [
        {"count": -1},  # free
        {"count": -5},  # bit 0: nobody is in it
        {"count": -2},  # nobody waits
        {"recursion": 0},
        {"owner": 48},  # the waiter itself
        {"owner": 400},  # no thread of this process
    ],
)
def test_what_nobody_waits_for_or_nobody_owns_is_none(fields: dict[str, int]) -> None:
    assert read(machine(**fields)) == []


def test_a_debug_record_that_points_elsewhere_makes_it_none() -> None:
    memory = machine()
    memory.put_u64(DEBUG + 8, SECTION + 0x40)
    assert read(memory) == []


def test_two_that_fit_are_none() -> None:
    memory = machine()
    section(memory, SECTION + 0x100)
    memory.put_u64(RSP + 0x90, SECTION + 0x100)
    assert read(memory) == []


def test_waits_of_other_kinds_are_not_looked_into() -> None:
    assert read(machine(), "Executive") == []


def test_the_same_address_in_two_programs_is_two_locks() -> None:
    memory = machine()
    threads, homes = {}, {}
    for number in range(2):
        home = VirtAddr(PROCESS + 0x1000 * number)
        memory.put_u64(home + 8, PEB)
        homes[home] = Process(home, 40 + number, "spooler.exe", directory_table=0x1AA000)
        for address, tid, reason in ((OWNER, 44, "Executive"), (WAITER, 48, "WrAlertByThreadId")):
            at = VirtAddr(address + 0x10_0000 * number)
            trap = VirtAddr(TRAP) if address == WAITER else None
            threads[at] = Thread(at, home, "spooler.exe", 40, tid, "Waiting", reason, trap_frame=trap)
    locks, _ = read_critical_sections(Programs(lambda _: memory, homes), memory, NAMES, threads)
    assert len({lock.address for lock in locks}) == 2
    assert {lock.address & 2**64 - 1 for lock in locks} == {SECTION}


def test_a_dump_without_the_pages_of_programs_gives_nothing() -> None:
    for at, size in ((RSP, 0x600), (SECTION, 0x28), (TRAP, 0x190)):
        memory = machine()
        memory.lose(at, size)
        assert read(memory) == []
