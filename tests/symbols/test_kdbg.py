"""The kernel's debugger data block: taken only when it makes sense."""

import struct

import pytest

from analysis.errors import Absence, Unreadable
from analysis.symbols.kdbg import find_kdbg, parse_kdbg, read_kdbg
from tests.symbols.flat import FlatMemory
from tests.symbols.mini import MARKS, NT, dump, kdbg_block

AT = NT + MARKS["KdDebuggerDataBlock"]


def test_addresses_offsets_and_sizes() -> None:
    block = kdbg_block(offsets={0x29C: 0x58, 0x2A2: 0x184, 0x2C0: 0x898, 0x35C: 0x283})
    struct.pack_into("<Q", block, 0x360, 0xFFFF_FD80_0000_0000)
    kdbg = read_kdbg(dump(), FlatMemory({AT: block}))
    assert kdbg is not None
    assert (kdbg.base, kdbg.size, kdbg.address) == (NT, 0x380, AT)
    assert kdbg.addresses["ExpSystemResourcesList"] == NT + MARKS["ExpSystemResourcesList"]
    assert "KiBugCheckData" not in kdbg.addresses  # zero in the block: not published
    assert kdbg.offsets == {
        ("_KTHREAD", "KernelStack"): 0x58,
        ("_KTHREAD", "State"): 0x184,
        ("_KTHREAD", "WaitReason"): 0x283,
    }
    assert kdbg.sizes == {"_ETHREAD": 0x898}
    assert kdbg.pte_base == 0xFFFF_FD80_0000_0000


def test_an_old_short_block_publishes_less() -> None:
    kdbg = parse_kdbg(AT, bytes(kdbg_block(size=0x340, offsets={0x29C: 0x38})))
    assert kdbg.offsets == {("_KTHREAD", "KernelStack"): 0x38}
    assert kdbg.pte_base is None


@pytest.mark.parametrize("end", range(0, 0x380, 16))
def test_a_cut_block_is_unreadable(end: int) -> None:
    kdbg, reason = find_kdbg(dump(), FlatMemory({AT: kdbg_block()[:end]}))
    assert kdbg is None
    assert "cannot be read" in reason
    assert Absence.NOT_MAPPED.value in reason


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0x10, 0x11111111, "encoded"),
        (0x14, 0x20, "claims a size"),
        (0x14, 0xFFFFFFFF, "claims a size"),
        (0x18, NT + 0x10, "as the kernel's base"),
        (0x18, 0, "as the kernel's base"),
    ],
)
def test_nonsense_is_refused_with_a_reason(at: int, value: int, why: str) -> None:
    block = kdbg_block()
    struct.pack_into("<Q" if at == 0x18 else "<I", block, at, value)
    kdbg, reason = find_kdbg(dump(), FlatMemory({AT: block}))
    assert kdbg is None
    assert why in reason


def test_a_header_without_its_address() -> None:
    assert find_kdbg(dump(kdbg=0), FlatMemory({}))[1].startswith("the dump header does not say")
    with pytest.raises(Unreadable):
        FlatMemory({}).read(AT, 1)
