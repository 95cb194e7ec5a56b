"""Stacks go on in the program where its pages were saved, and end with a reason where they were not."""

import pytest

from analysis.address import VirtAddr
from analysis.kernel.facts import Process, Stack, Thread
from analysis.kernel.user_stacks import MAX_PROGRAM_IMAGES, UserStacks, program_images
from analysis.symbols.search import SymbolFiles
from analysis.trust import Trust
from tests.kernel.assembled import RBX, alloc, info, push, put_image
from tests.kernel.invented import Bytes, Names, layout

PROCESS, INITIAL, TEB, PEB = 0xFFFF_A000_0000_1000, 0xFFFF_B000_0000_5000, 0x7FF0_0001_0000, 0x7FF0_0000_0000
NTDLL, WORK = 0x7FFE_1000_0000, 0x7FF7_2000_0000
LDR, ENTRIES, TEXTS = 0x1F4_0000_0000, 0x1F4_0000_1000, 0x1F4_0010_0000
RSP, STACK_BASE, TABLE = 0x2B_0000_0E80, 0x2B_0000_1000, 0x1AA000
STUB, CALLER, RETURNS = 0x1800, 0x1000, 0x45
CALL = bytes.fromhex("e800000000")
NAMES = Names({"_EPROCESS": layout("_EPROCESS", 0x20, Peb=8)})
HOME = Process(VirtAddr(PROCESS), 40, "work.exe", directory_table=TABLE)


def a_thread(**changes: object) -> Thread:
    facts: dict[str, object] = {
        "address": VirtAddr(0xFFFF_A000_0000_2000), "process": VirtAddr(PROCESS), "process_name": "work.exe", "pid": 40,
        "tid": 44, "state": "Waiting", "initial_stack": VirtAddr(INITIAL), "teb": VirtAddr(TEB),
    }  # fmt: skip
    return Thread(**(facts | changes))  # type: ignore[arg-type]


def kernel() -> Bytes:
    """The trap frame of a system call from ntdll's stub, and the process' PEB pointer."""
    memory = Bytes()
    trap = INITIAL - 0x190
    memory.put(trap, bytes(0x190))
    memory.put_u64(trap + 0x168, NTDLL + STUB + 0x14)
    memory.put_u16(trap + 0x170, 0x33)
    memory.put_u64(trap + 0x180, RSP)
    memory.put_u64(PROCESS + 8, PEB)
    return memory


def loaded(memory: Bytes, images: list[tuple[str, int]]) -> None:
    memory.put_u64(PEB + 0x18, LDR)
    entries = [ENTRIES + 0x200 * number for number in range(len(images))]
    memory.link(LDR + 0x10, *entries)
    for number, (name, base) in enumerate(images):
        entry, text = entries[number], TEXTS + 0x200 * number
        memory.put(entry + 0x10, bytes(0x60))
        memory.put_u64(entry + 0x30, base)
        memory.put_u32(entry + 0x40, 0x8000)
        memory.put_unicode(entry + 0x48, f"C:\\Work\\{name}", text)
        memory.put_unicode(entry + 0x58, name, text + 0x100)


def program() -> Bytes:
    """ntdll's stub, called by a function of work.exe, called by another one, at whose return address a 0 lies."""
    memory = Bytes()
    loaded(memory, [("Work.exe", WORK), ("ntdll.dll", NTDLL)])
    for base in (NTDLL, WORK):
        put_image(memory, base, [(CALLER, CALLER + 0x100, 0x4000), (CALLER + 0x100, CALLER + 0x200, 0x4020)])
        memory.put(base + 0x4000, info(alloc(9, 0x28), push(5, RBX), prolog=9))
        memory.put(base + 0x4020, info(alloc(4, 0x18), prolog=4))
        for at in (CALLER, CALLER + 0x100, STUB):
            memory.put(base + at, b"\x90" * 0x40 + CALL + b"\x90" * 0x60)
    memory.put(RSP, bytes(STACK_BASE - RSP))
    memory.put_u64(RSP, WORK + CALLER + RETURNS)
    memory.put_u64(RSP + 8 + 0x30, WORK + CALLER + 0x100 + RETURNS)
    memory.put_u64(TEB + 8, STACK_BASE)
    return memory


def walk(space: Bytes, memory: Bytes | None = None, **changes: object) -> Stack | None:
    spaces = {TABLE: space}
    return UserStacks(memory or kernel(), NAMES, SymbolFiles(), spaces.__getitem__).stack(a_thread(**changes), HOME)


def test_a_system_call_is_followed_into_its_program() -> None:
    stack = walk(program())
    assert stack is not None
    assert [(frame.symbol, frame.trust) for frame in stack.frames] == [
        (f"ntdll+{STUB + 0x14:#x}", Trust.CONTEXT),
        ("work+0x1045", Trust.UNWIND),
        ("work+0x1145", Trust.UNWIND),
    ]
    assert stack.end == "the bottom of the stack: the next return address is 0"


def test_without_unwind_data_the_program_is_scanned_and_says_so() -> None:
    space = program()
    for base in (NTDLL, WORK):
        space.lose(base + 0x5000, 0x1000)  # .pdata
    stack = walk(space)
    assert stack is not None
    assert [frame.symbol for frame in stack.frames] == [f"ntdll+{STUB + 0x14:#x}", "work+0x1045", "work+0x1145"]
    assert {frame.trust for frame in stack.frames[1:]} == {Trust.SCAN}
    assert "found by scanning" in stack.end


def test_a_program_whose_list_of_images_is_gone_gives_its_address_and_no_more() -> None:
    space = program()
    space.lose(LDR, 0x20)
    stack = walk(space)
    assert stack is not None
    assert [frame.symbol for frame in stack.frames] == [f"{NTDLL + STUB + 0x14:#x}"]


def test_a_stack_that_was_not_saved_says_why() -> None:
    space = program()
    space.lose(RSP & -0x1000, 0x1000)
    stack = walk(space)
    assert stack is not None
    assert stack.frames == ()
    assert stack.end.startswith(f"the program's stack cannot be read at {RSP:#x}: mapped, but the page was not saved")


def test_no_program_no_stack() -> None:
    assert walk(program(), is_system=True) is None
    assert walk(program(), memory=Bytes()) is None
    inside = kernel()
    inside.put_u16(INITIAL - 0x190 + 0x170, 0x10)  # interrupted in the kernel
    assert walk(program(), memory=inside) is None
    assert UserStacks(kernel(), NAMES, SymbolFiles(), None).stack(a_thread(), HOME) is None


@pytest.mark.parametrize("wrong", [0, 0xFFFF_A000_0000_0000, ENTRIES + 0x200, 3])
def test_a_list_of_images_that_lies_ends_where_it_lies(wrong: int) -> None:
    space = program()
    assert [one.name for one in program_images(space, PEB)] == ["work.exe", "ntdll.dll"]
    space.put_u64(ENTRIES + 0x200 + 8, wrong)  # the second entry's back link
    assert [one.name for one in program_images(space, PEB)] == ["work.exe"]
    space.put_u64(ENTRIES, wrong)  # the first one's forward link: at worst it leads to the second
    assert [one.name for one in program_images(space, PEB)] == ["work.exe"]


def test_a_list_of_images_without_an_end_is_left() -> None:
    space = program()
    loaded(space, [(f"one{number}.dll", NTDLL + 0x1_0000 * number) for number in range(MAX_PROGRAM_IMAGES + 9)])
    assert len(program_images(space, PEB)) == MAX_PROGRAM_IMAGES
    assert program_images(space, 0xFFFF_A000_0000_0000) == ()


def test_what_no_image_can_be_is_left_out() -> None:
    space = program()
    space.put_u64(ENTRIES + 0x30, 0xFFFF_F800_0000_0000)
    assert [one.name for one in program_images(space, PEB)] == ["ntdll.dll"]
    space.put_u32(ENTRIES + 0x240, 0)
    assert program_images(space, PEB) == ()
