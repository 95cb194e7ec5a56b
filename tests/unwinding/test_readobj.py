"""Unwind data of compiled drivers and of Microsoft's compiler, equal to what llvm-readobj prints."""

import struct
from pathlib import Path

import pytest

from analysis.address import VirtAddr
from analysis.kernel.arm64_records import Arm64Unwind
from analysis.kernel.facts import Module
from analysis.kernel.images import Image
from analysis.kernel.unwind_codes import read_unwind_info
from analysis.symbols.image_file import ImageFile
from tests.symbols import llvm
from tests.unwinding import readobj
from tests.unwinding.programs import TARGETS, compiled
from tests.unwinding.readobj import Printed

PROGRAMS = {name: Path(f"../shared/data/pe_pdb/rizin_seh_{name}_xcpt4.exe") for name in ("x64", "ARM64")}
SIGNED = 2
PACIBSP, AUTIBSP, RET, MOV_X29_SP, LDP_POST, LDP = 0xD503_237F, 0xD503_23FF, 0xD65F_03C0, 0x9100_03FD, 0x2A3, 0x2A5
pytestmark = pytest.mark.skipif(llvm.missing() is not None, reason=llvm.missing() or "")


def opened(path: Path) -> tuple[Image, int]:
    """The image at its preferred base, which the printed addresses are of."""
    headers = ImageFile(path, 0).headers
    raw = path.read_bytes()
    new = int.from_bytes(raw[0x3C:0x40], "little")
    base = int.from_bytes(raw[new + 24 + 24 : new + 24 + 32], "little")
    file = ImageFile(path, base)
    return Image(file, Module(path.name, VirtAddr(base), headers.size_of_image)), base


def compare(path: Path) -> int:
    """Holds every function of an image against the printer; returns how many there were."""
    image, base = opened(path)
    functions = readobj.printed(path)
    for function in functions:
        if image.arm64:
            _compare_arm64(image, function, function.number("Function") - base)
        else:
            _compare_x64(image, function, function.number("StartAddress") - base, base)
    return len(functions)


def _compare_x64(image: Image, function: Printed, begin: int, base: int) -> None:
    row = image.function_at(begin)
    assert row is not None
    assert row.begin == begin
    assert (row.end, row.unwind) == (function.number("EndAddress") - base, function.number("UnwindInfoAddress") - base)
    info = read_unwind_info(image.read, row.unwind)
    assert (info.version, info.prolog_size) == (function.number("Version"), function.number("PrologSize"))
    assert info.flags == function.number("Flags")
    if info.frame_register:
        assert function.fields["FrameRegister"].startswith(readobj.REGISTERS[info.frame_register])
        assert info.frame_offset == function.number("FrameOffset") * 16
    codes = [readobj.x64_code(code, info.frame_offset, info.frame_register) for code in info.codes]
    assert codes == function.codes


def _compare_arm64(image: Image, function: Printed, begin: int) -> None:
    row = image.function_at(begin)
    assert row is not None
    assert (row.begin, row.end - row.begin) == (begin, function.number("FunctionLength"))
    unwind = image.arm64_unwind(row)
    assert unwind.length * 4 == row.end - row.begin
    if "Fragment" in function.fields:
        if function.number("CR") == SIGNED:
            _compare_code(unwind, image, begin)
        else:
            _compare_packed(unwind, function)
        return
    assert readobj.arm64_codes(unwind.steps, epilog=False) == list(readobj.resolved(function.codes))
    if function.fields["EpiloguePacked"] == "Yes":
        assert unwind.epilogs[0].end == unwind.length
        if function.number("EpilogueOffset"):  # else it shares the codes of the prologue
            assert readobj.arm64_codes(unwind.epilogs[0].steps, epilog=True) == list(
                readobj.resolved(function.epilogs[0])
            )
        return
    assert len(unwind.epilogs) == function.number("EpilogueScopes")
    for number, (epilog, codes) in enumerate(zip(unwind.epilogs, function.epilogs, strict=True)):
        assert epilog.start == function.number(f"StartOffset{number}")
        assert readobj.arm64_codes(epilog.steps, epilog=True) == list(readobj.resolved(codes))


def _compare_code(unwind: Arm64Unwind, image: Image, begin: int) -> None:
    """Signed return addresses, which the printer does not know: against the instructions themselves."""
    words = struct.unpack(f"<{unwind.length}I", image.read(begin, unwind.length * 4))
    (last,) = unwind.epilogs
    assert (words[0], words[unwind.prolog - 1]) == (PACIBSP, MOV_X29_SP)
    assert (words[last.end - 2], words[last.end - 1]) == (AUTIBSP, RET)
    assert words[last.start] >> 22 in (LDP_POST, LDP)


def _compare_packed(unwind: Arm64Unwind, function: Printed) -> None:
    words = {"fp": "x29", "mov fp, sp": "mov x29, sp", "sub sp, #": "sub sp, sp, #", "x29, x30": "x29, lr"}
    codes = readobj.arm64_codes(unwind.steps, epilog=False)
    for ours, theirs in words.items():
        codes = [code.replace(ours, theirs) for code in codes]
    assert [code.replace("str x30", "str lr") for code in codes] == function.codes


@pytest.mark.parametrize("architecture", TARGETS)
def test_unwind_data_of_compiled_drivers_are_read_as_llvm_reads_them(architecture: str, tmp_path: Path) -> None:
    for optimization in "02":
        path = tmp_path / f"{optimization}.sys"
        path.write_bytes(compiled(architecture, optimization).file)
        assert compare(path) > 30


@pytest.mark.slow
@pytest.mark.parametrize("architecture", TARGETS)
def test_unwind_data_of_random_drivers_are_read_as_llvm_reads_them(architecture: str, tmp_path: Path) -> None:
    for seed in range(1, 6):
        for optimization in "012s":
            path = tmp_path / f"{seed}{optimization}.sys"
            path.write_bytes(compiled(architecture, optimization, seed).file)
            assert compare(path) > 50


@pytest.mark.shared
@pytest.mark.parametrize("name", PROGRAMS)
def test_unwind_data_of_microsofts_compiler_are_read_as_llvm_reads_them(name: str) -> None:
    if not PROGRAMS[name].exists():
        pytest.skip("needs ../shared/data")
    assert compare(PROGRAMS[name]) > 200
