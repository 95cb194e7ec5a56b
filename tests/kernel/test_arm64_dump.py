"""A whole ARM64 machine in a full dump: compiled code stopped in the middle, and what is said of it.

No other reader of ARM64 kernel dumps was at hand to compare with.
"""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.address import VirtAddr
from analysis.kernel.context import Arm64Registers
from analysis.kernel.facts import Module
from analysis.kernel.stacks import Walker
from analysis.limits import MAX_STACK_FRAMES
from analysis.pipeline import Options, analyze
from analysis.trust import Trust
from analysis.verdict.report import Report
from tests.forge.arm64 import MachineArm64, context_arm64
from tests.kernel.invented import Bytes
from tests.symbols import llvm
from tests.unwinding import emulation
from tests.unwinding.emulation import ARM64_NAMES, Moment
from tests.unwinding.judging import NoNames
from tests.unwinding.programs import BASE, Program, compiled

REASON = llvm.missing() or emulation.missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def deepest(program: Program) -> tuple[Moment, bytes]:
    """The moment with the most callers, and its stack."""
    found: list[tuple[Moment, bytes]] = []

    def look(moment: Moment) -> None:
        if not found or len(moment.callers) > len(found[-1][0].callers):
            low = moment.sp & ~0xFFF
            found.append((moment, moment.read(low, emulation.STACK + emulation.STACK_BYTES - low)))

    emulation.run(program, look, visits=8)
    return found[-1]


def dump(program: Program, moment: Moment, stack: bytes, *, lost: tuple[int, ...] = ()) -> bytes:
    """A full dump of that moment; ``lost`` are pages of the image that it lacks."""
    registers = {number: moment.registers[name] for number, name in enumerate(ARM64_NAMES) if name.startswith("x")}
    machine = MachineArm64(context=context_arm64(moment.address, moment.sp, registers))
    for page in range(0, len(program.data), 0x1000):
        if page // 0x1000 not in lost:
            machine.put_range(BASE + page, program.data[page : page + 0x1000])
    machine.put_range(moment.sp & ~0xFFF, stack)
    machine.load([("ntoskrnl.exe", 0xFFFF_F800_0100_0000, 0x80_0000), ("program.sys", BASE, len(program.data))])
    return machine.full()


def told(tmp_path: Path, data: bytes, *symbols: Path) -> Report:
    path = tmp_path / "arm64.dmp"
    path.write_bytes(data)
    return analyze(path, Options(symbols))


ADDRESSES = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(BASE, BASE + 0x8000).map(lambda at: at & ~3),
    st.integers(emulation.STACK, emulation.STACK + 0x1000).map(lambda at: at & ~7),
)


@settings(max_examples=60)
@given(
    st.lists(ADDRESSES, min_size=64, max_size=64),
    st.lists(st.binary(min_size=16, max_size=16), min_size=2, max_size=6),
    st.tuples(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES),
)
def test_no_stack_and_no_unwind_data_crash_or_hang_the_walk(
    words: list[int], records: list[bytes], registers: tuple[int, int, int, int]
) -> None:
    memory = Bytes()
    memory.put_u64(emulation.STACK + 0x1000 - 64 * 8, *words)
    rows = [(0x1000 + 0x200 * index, 0x4000 + 0x40 * index) for index in range(len(records))]
    put_arm64_image(memory, rows)
    for (_, at), raw in zip(rows, records, strict=True):
        memory.put(BASE + at, raw)
    pc, sp, pointer, link = registers
    walker = Walker(memory, NoNames(), (Module("program.sys", VirtAddr(BASE), 0x8000),), arm64=True)
    stack = walker.arm64_stack(Arm64Registers(pc, sp, {29: pointer, 30: link}))
    assert 1 <= len(stack.frames) <= MAX_STACK_FRAMES
    assert stack.end
    assert stack.frames[0].trust is Trust.CONTEXT


def put_arm64_image(memory: Bytes, rows: list[tuple[int, int]]) -> None:
    """Headers and function table of an image at ``BASE``, from literal offsets."""
    head = bytearray(0x400)
    struct.pack_into("<2s58xI", head, 0, b"MZ", 0x80)
    struct.pack_into("<4sHHI8xHH", head, 0x80, b"PE\0\0", 0xAA64, 1, 1, 240, 0x22)
    struct.pack_into("<H", head, 0x98, 0x20B)
    struct.pack_into("<I", head, 0x98 + 0x38, 0x8000)
    struct.pack_into("<I", head, 0x98 + 108, 16)
    struct.pack_into("<II", head, 0x98 + 112 + 3 * 8, 0x5000, 8 * len(rows))
    struct.pack_into("<8sII16xHHI", head, 0x98 + 240, b".text", 0x3000, 0x1000, 0, 0, 0x6000_0020)
    memory.put(BASE, bytes(head))
    memory.put(BASE + 0x5000, b"".join(struct.pack("<II", *row) for row in rows))


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled("arm64", "2")


@pytest.fixture(scope="module")
def stopped(program: Program) -> tuple[Moment, bytes]:
    return deepest(program)


def test_its_stack_is_unwound_through_its_own_page_tables(
    tmp_path: Path, program: Program, stopped: tuple[Moment, bytes]
) -> None:
    moment, stack = stopped
    report = told(tmp_path, dump(program, moment, stack))
    assert report.system.architecture == "arm64"
    assert [module.name for module in report.modules] == ["ntoskrnl.exe", "program.sys"]
    frames = report.threads[0].stack
    true = [moment.address, *(called.address for called in moment.callers)]
    assert [int(frame.address, 16) for frame in frames] == true
    assert [frame.trust for frame in frames] == ["context", *["unwind"] * (len(true) - 1)]
    assert {frame.module for frame in frames} == {"program.sys"}
    assert len(true) > 5


def test_without_its_unwind_data_no_frame_is_called_unwound(
    tmp_path: Path, program: Program, stopped: tuple[Moment, bytes]
) -> None:
    moment, stack = stopped
    code = range(1, 1 + program.code_size // 0x1000 + 1)
    lost = tuple(page for page in range(1, len(program.data) // 0x1000 + 1) if page not in code)
    report = told(tmp_path, dump(program, moment, stack, lost=lost))
    assert not {frame.trust for frame in report.threads[0].stack[1:]} & {"context", "unwind"}


def test_its_image_file_gives_the_unwind_data_that_were_not_saved(
    tmp_path: Path, program: Program, stopped: tuple[Moment, bytes]
) -> None:
    moment, stack = stopped
    new = int.from_bytes(program.file[0x3C:0x40], "little")
    stamp, size = (int.from_bytes(program.file[new + at : new + at + 4], "little") for at in (8, 24 + 56))
    place = tmp_path / "images" / "program.sys" / f"{stamp:08X}{size:x}" / "program.sys"
    place.parent.mkdir(parents=True)
    place.write_bytes(program.file)
    lost = tuple(range(1, len(program.data) // 0x1000 + 1))  # all of it but its headers
    report = told(tmp_path, dump(program, moment, stack, lost=lost), tmp_path / "images")
    frames = report.threads[0].stack
    assert [int(frame.address, 16) for frame in frames] == [moment.address, *(one.address for one in moment.callers)]
    assert [frame.trust for frame in frames] == ["context", *["unwind"] * (len(frames) - 1)]
    changed = bytearray(program.file)
    changed[new + 8] ^= 1  # another build's time stamp
    place.write_bytes(changed)
    report = told(tmp_path, dump(program, moment, stack, lost=lost), tmp_path / "images")
    assert not {frame.trust for frame in report.threads[0].stack[1:]} & {"context", "unwind"}
    assert any("not used" in note for note in report.notes)
