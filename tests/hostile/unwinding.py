"""Unwind data of x64 and ARM64 images, and stacks that they are tried on."""

import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from analysis.address import VirtAddr
from analysis.errors import Absence, AnalysisError, Unreadable
from analysis.kernel.context import Arm64Registers, Registers
from analysis.kernel.facts import Module
from analysis.kernel.images import Image
from analysis.kernel.unwind import ReadWord, unwind_frame
from analysis.kernel.unwind_arm64 import unwind_arm64
from analysis.kernel.unwind_codes import read_unwind_info
from tests.hostile.symbols import OneRange
from tests.kernel import assembled
from tests.kernel.test_unwind_arm64 import packed, record
from tests.symbols.images import BASE

ARM64, X64 = 0xAA64, 0x8664
CODE, STACK = 0x600, 0xFFFF_D000_0000_0000


def check_unwind(data: bytes, scratch: Path) -> None:
    """Read the unwind data of an image at every function, and step up from several places of its code."""
    memory = OneRange(BASE, data)
    image = Image(memory, Module("a.sys", VirtAddr(BASE), len(data)))
    stack = data[CODE:]

    def word(address: int) -> int:
        at = address - STACK
        if not 0 <= at <= len(stack) - 8:
            raise Unreadable(address, Absence.NOT_SAVED)
        return int.from_bytes(stack[at : at + 8], "little")

    if image.arm64:
        for rva in (*range(CODE, CODE + 32, 4), CODE + 0x80, CODE + 0x9C, 0, len(data)):
            _step_arm64(image, rva, stack)
        return
    for rva in (*range(CODE, CODE + 32), CODE + 0x80, CODE + 0x100, 0, len(data)):
        _step(image, rva, word)
    for rva in range(0x500, 0x600, 8):
        try:
            assert len(read_unwind_info(image.read, rva).codes) <= 255
        except AnalysisError:
            continue


def _step(image: Image, rva: int, word: ReadWord) -> None:
    part = image.part_of_function(rva)
    assert part is None or part.begin <= rva
    registers = Registers(image.base + rva, STACK, {number: STACK + 8 * number for number in (3, 5, 6, 7)})
    for called in (False, True):
        try:
            caller = unwind_frame(registers, image, word, called=called)
        except AnalysisError:
            continue
        assert caller.registers.rip >= 0


def _step_arm64(image: Image, rva: int, stack: bytes) -> None:
    def read(address: int, size: int) -> bytes:
        at = address - STACK
        if not 0 <= at <= len(stack) - size:
            raise Unreadable(address, Absence.NOT_SAVED)
        return stack[at : at + size]

    with suppress(AnalysisError):
        image.part_of_function(rva)
    registers = Arm64Registers(image.base + rva, STACK, {19: 1, 29: STACK + 0x20, 30: BASE + CODE})
    for called in (False, True):
        with suppress(AnalysisError):
            assert unwind_arm64(registers, image, read, called=called).registers.pc >= 0


def code_images() -> Iterable[bytes]:
    """Images of 4 KiB: .pdata at 0x400, unwind data at 0x500, code at 0x600."""
    body = b"\x55\x48\x83\xec\x20\x48\x8d\x6c\x24\x10\x90\x48\x8d\x65\x10\x5d\xc3\xe9\x80\0\0\0"
    simple = assembled.info(assembled.alloc(5, 0x20), assembled.push(1, assembled.RBP), prolog=5)
    framed = assembled.info(
        assembled.set_frame(10),
        assembled.alloc(5, 0x20),
        assembled.push(1, assembled.RBP),
        prolog=10,
        frame=5,
        frame_offset=16,
    )
    chained = assembled.info(assembled.save(9, assembled.RBX, 0x40), chained=(CODE, CODE + 0x40, 0x500))
    second = assembled.info(
        assembled.slot(5, 6, 1),
        assembled.slot(0x20, 6, 0),
        assembled.alloc(4, 0x1000),
        assembled.save_xmm(9, 6, 0x30),
        version=2,
    )
    trap = assembled.info(assembled.machine_frame(0, error_code=True))
    far = assembled.info(assembled.save(9, 12, 0x8_0000, far=True), assembled.alloc(7, 0x10_0000))
    for unwind in (simple, framed, chained, second, trap, far):
        yield _code_image(body, unwind, simple)
    # An allocation, a saved pair and the frame pointer; every other code; two epilogues.
    full = record(b"\x02\x9f\xe1\xe4", length=16)
    every = record(
        b"\xfc\xe6\xc8\x42\xd0\x41\xd6\x01\xd8\x02\xda\x03\xe2\x04\xe3\xe7\x13\x05\xe5\x21\xc1\x10\xe4", length=16
    )
    ends = record(b"\x02\x9f\xe1\xe4\x02\xe4", length=16, epilogs=((4, 0), (12, 4)))
    for first in (
        full,
        every,
        ends,
        record(b"\xe9\xe4", length=8),
        record(b"\x41\xe4", length=8, last=0, extended=True),
    ):
        yield _arm64_image(first, packed(length=4, integers=2, chained=3, frame=0x40))


def _code_image(body: bytes, unwind: bytes, other: bytes) -> bytes:
    data = bytearray(0x1000)
    struct.pack_into("<2s58xI", data, 0, b"MZ", 0x80)
    struct.pack_into("<4sHHI8xHH", data, 0x80, b"PE\0\0", X64, 1, 0x5F000000, 0xF0, 0x22)
    struct.pack_into("<H", data, 0x98, 0x20B)
    struct.pack_into("<I", data, 0x98 + 0x38, len(data))
    struct.pack_into("<I", data, 0x98 + 0x6C, 16)
    rows = struct.pack(
        "<9I", CODE, CODE + 0x40, 0x540, CODE + 0x80, CODE + 0x90, 0x500, CODE + 0x90, CODE + 0xA0, 0x401
    )
    data[0x400 : 0x400 + len(rows)] = rows
    data[0x500 : 0x500 + len(other)] = other
    data[0x540 : 0x540 + len(unwind)] = unwind
    struct.pack_into("<II", data, 0x98 + 0x70 + 8 * 3, 0x400, len(rows))
    struct.pack_into("<8sIIII12xI", data, 0x98 + 0xF0, b".text", 0x200, CODE, 0x200, CODE, 0x6000_0020)
    data[CODE : CODE + len(body)] = body
    struct.pack_into("<4Q", data, CODE + 0x100, BASE + CODE + 4, 0x10, 0x202, STACK)
    return bytes(data)


def _arm64_image(unwind: bytes, word: int) -> bytes:
    data = bytearray(_code_image(b"", unwind, b""))
    struct.pack_into("<H", data, 0x84, ARM64)
    rows = struct.pack("<6I", CODE, 0x540, CODE + 0x80, word, CODE + 0x90, packed(length=4, form=2))
    data[0x400:0x424] = rows.ljust(0x24, b"\0")
    struct.pack_into("<II", data, 0x98 + 0x70 + 8 * 3, 0x400, len(rows))
    return bytes(data)
