"""A reader that others wrote finds the same bytes at the same addresses."""

import struct
from pathlib import Path

import pytest

from analysis.formats import open_dump
from analysis.memory import AddressSpace, open_memory
from tests.formats.built import bitmap, full
from tests.memory.tables import LARGE, PAGE, PRESENT, Physical, Space

kdmp_parser = pytest.importorskip("kdmp_parser")
KERNEL = 0xFFFF_F800_0000_0000


@pytest.mark.parametrize("kind", ["full", "bitmap"])
def test_kdmp_parser_agrees(tmp_path: Path, kind: str) -> None:
    physical = Physical()
    space = Space(physical)
    addresses = [KERNEL + number * 0x7001 * PAGE for number in range(40)]
    for address in addresses:
        space.map(address, address.to_bytes(8, "little"))
    large = 0xFFFF_9000_0000_0000
    space.set_entry(large, 2, (physical.first >> 9 << 21) | LARGE | PRESENT)
    pages = {frame: bytes(page) for frame, page in physical.pages.items()}
    # It leaves out the last bits of a bitmap that is no whole number of bytes.
    bits = max(pages) + 8 & ~7
    dump = full(pages) if kind == "full" else bitmap(pages, type_code=5, signature=b"FDMP", bits=bits)
    struct.pack_into("<Q", dump, 0x10, space.cr3)
    path = tmp_path / "agreement.dmp"
    path.write_bytes(dump)
    theirs = kdmp_parser.KernelDumpParser(path)
    with open_dump(path) as image:
        ours = open_memory(image)
        assert isinstance(ours, AddressSpace)
        for address in [*addresses, large + (physical.first << 12)]:
            assert ours.translate(address + 0x18) == theirs.translate_virtual(address + 0x18)
            assert ours.read(address, PAGE) == bytes(theirs.read_virtual_page(address))
