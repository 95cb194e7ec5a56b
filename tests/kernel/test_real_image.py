"""Unwind data of a real compiler's image, held against an independent reader and against the code itself."""

from pathlib import Path

import pytest

from analysis.address import VirtAddr
from analysis.errors import Absence, Unreadable
from analysis.kernel.context import RSP, Registers
from analysis.kernel.facts import Module
from analysis.kernel.images import Image
from analysis.kernel.scan import Evidence, judge
from analysis.kernel.unwind import unwind_frame
from analysis.kernel.unwind_codes import Op, read_unwind_info
from analysis.memory.reader import Memory

PROGRAM = Path("../shared/data/pe_pdb/rizin_seh_x64_xcpt4.exe")
BASE = 0xFFFF_F800_2000_0000
pytestmark = [pytest.mark.shared, pytest.mark.skipif(not PROGRAM.exists(), reason="needs ../shared/data")]
pefile = pytest.importorskip("pefile")

# What the independent reader calls an operation, and which of its numbers is the value in bytes.
OPERATIONS = {
    "PrologEpilogOpPushReg": (Op.PUSH_NONVOL, "", 0),
    "PrologEpilogOpAllocLarge": (Op.ALLOC_LARGE, "AllocSizeInQwords", 8),
    "PrologEpilogOpAllocSmall": (Op.ALLOC_SMALL, "AllocSizeInQwordsMinus8", 8),
    "PrologEpilogOpSetFP": (Op.SET_FPREG, "", 0),
    "PrologEpilogOpSaveReg": (Op.SAVE_NONVOL, "OffsetInQwords", 8),
    "PrologEpilogOpSaveXMM": (Op.SAVE_XMM128, "OffsetIn2Qwords", 16),
}


class Mapped(Memory):
    """A program as the loader maps it."""

    def __init__(self) -> None:
        self.pe = pefile.PE(str(PROGRAM))
        self.data: bytes = self.pe.get_memory_mapped_image()

    def read(self, address: int, size: int) -> bytes:
        at = address - BASE
        if at < 0 or at + size > len(self.data):
            raise Unreadable(address, Absence.NOT_MAPPED)
        return self.data[at : at + size]


@pytest.fixture(scope="module")
def mapped() -> Mapped:
    return Mapped()


@pytest.fixture(scope="module")
def image(mapped: Mapped) -> Image:
    return Image(mapped, Module("program.exe", VirtAddr(BASE), len(mapped.data)))


def test_every_function_reads_as_an_independent_reader_reads_it(mapped: Mapped, image: Image) -> None:
    entries = mapped.pe.DIRECTORY_ENTRY_EXCEPTION
    assert len(entries) == 241
    for entry in entries:
        row = image.function_at(entry.struct.BeginAddress)
        assert row is not None
        assert (row.begin, row.end, row.unwind) == (
            entry.struct.BeginAddress, entry.struct.EndAddress, entry.struct.UnwindData
        )  # fmt: skip
        info, other = read_unwind_info(image.read, row.unwind), entry.unwindinfo
        assert (info.version, info.flags, info.prolog_size) == (other.Version, other.Flags, other.SizeOfProlog)
        assert (info.frame_register, info.frame_offset) == (other.FrameRegister, other.FrameOffset * 16)
        expected = []
        for code in other.UnwindCodes:
            op, member, factor = OPERATIONS[type(code).__name__]
            value = getattr(code.struct, member) * factor if member else 0
            number = code.struct.Reg if hasattr(code.struct, "Reg") else None
            expected.append((code.struct.CodeOffset, op, number, value + 8 if op is Op.ALLOC_SMALL else value))
        assert [
            (code.prolog_offset, code.op, code.info if number is not None else None, code.value)
            for code, (_, _, number, _) in zip(info.codes, expected, strict=True)
        ] == expected


def test_running_an_epilogue_and_undoing_the_prologue_agree(mapped: Mapped, image: Image) -> None:
    """At the first instruction of an epilogue, the code's own way out must lead where the unwind data lead."""
    agreed = 0
    for entry in mapped.pe.DIRECTORY_ENTRY_EXCEPTION:
        begin, end = entry.struct.BeginAddress, entry.struct.EndAddress
        for rva in range(begin + entry.unwindinfo.SizeOfProlog, end - 4):
            if mapped.data[rva : rva + 3] not in {b"\x48\x83\xc4", b"\x48\x81\xc4"}:  # add rsp, …
                continue
            registers = Registers(BASE + rva, 0x10_0000, {})
            words: dict[int, int] = {}

            def word(address: int, words: dict[int, int] = words) -> int:
                return words.setdefault(address, address * 3)  # every slot holds something of its own

            body = unwind_frame(registers, image, word, called=True).registers
            epilogue = unwind_frame(registers, image, word, called=False).registers
            assert (body.rip, body.rsp) == (epilogue.rip, epilogue.rsp)
            shared = (body.known.keys() & epilogue.known.keys()) - {RSP}
            assert all(body.known[number] == epilogue.known[number] for number in shared)
            agreed += 1
    assert agreed > 200


def test_the_address_behind_every_direct_call_is_a_return_address_and_few_others_are(
    mapped: Mapped, image: Image
) -> None:
    starts = {entry.struct.BeginAddress for entry in mapped.pe.DIRECTORY_ENTRY_EXCEPTION}
    module = Module("program.exe", VirtAddr(BASE), len(mapped.data))
    behind, accepted, places = 0, 0, 0
    for entry in mapped.pe.DIRECTORY_ENTRY_EXCEPTION:
        for rva in range(entry.struct.BeginAddress + 5, entry.struct.EndAddress):
            evidence = judge(BASE + rva, module, image, lambda address: None)
            accepted += evidence is Evidence.CALL
            places += 1
            displacement = int.from_bytes(mapped.data[rva - 4 : rva], "little", signed=True)
            if mapped.data[rva - 5] == 0xE8 and rva + displacement in starts:
                assert evidence is Evidence.CALL
                behind += 1
    assert behind > 300
    assert accepted < places // 15
