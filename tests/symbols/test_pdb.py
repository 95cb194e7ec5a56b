"""PDB files: what is read from them, what is refused, and that damage is always told as damage."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import BadSymbols
from analysis.symbols.layout import Field
from analysis.symbols.names import PdbIdentity
from analysis.symbols.pdb import PdbTable, open_pdb
from tests.symbols import pdbs
from tests.symbols.pdbs import GUID, Contribution, Pdb

T = 0x1000  # index of the first type that has a record


def table(tmp_path: Path, pdb: Pdb, block: int = 4096) -> PdbTable:
    return open_pdb(pdb.write(tmp_path / "driver.pdb", block))


def driver() -> Pdb:
    """A driver of two object files: one with its functions described, one with public symbols alone."""
    stop = pdbs.procedure("Device::Stop", 0x100, 0x80)
    return Pdb(
        symbols=[
            pdbs.public("?Stop@Device@@QEAAXXZ", 0x100),
            pdbs.public("DriverEntry", 0x200),
            pdbs.public("Folded", 0x240),
            pdbs.public("?Folded@@YAXXZ", 0x240),
            pdbs.public("??_C@_0M@text@", 0x240),
            pdbs.public("Lock", 0x10, section=2, kind=0x110D),
            pdbs.reference("Hidden", 0, 4 + len(stop)),
        ],
        modules=[[stop, pdbs.procedure("Hidden", 0x180, 0x20, kind=0x110F), pdbs.thunk("Jump", 0x1A0, 6)], []],
        contributions=[Contribution(0, 0x100, 0x100), Contribution(1, 0x200, 0x100), Contribution(1, 0x300, 0x100)],
        sections=[(".text", 0x1000, 0x800), (".data", 0x3000, 0x100)],
    )


@pytest.mark.parametrize("block", [512, 4096, 32768])
@pytest.mark.parametrize("newest", [False, True])
def test_names_are_found_both_ways_in_blocks_of_any_size(tmp_path: Path, block: int, newest: bool) -> None:
    pdb = driver()
    pdb.newest = newest
    found = table(tmp_path, pdb, block)
    assert found.identity == PdbIdentity("driver.pdb", GUID, 1)
    assert (found.machine, found.problems) == (0x8664, [])
    assert found.rva("DriverEntry") == 0x1200
    assert found.rva("Lock") == 0x3010
    assert found.rva("Hidden") == 0x1180  # only its module describes it
    assert found.rva("NoSuchName") is None
    assert found.nearest(0x1200) == ("DriverEntry", 0)
    assert found.nearest(0x1234) == ("DriverEntry", 0x34)


def test_a_described_function_names_exactly_its_own_bytes(tmp_path: Path) -> None:
    found = table(tmp_path, driver())
    assert found.nearest(0x117F) == ("Device::Stop", 0x7F)
    assert found.nearest(0x1185) == ("Hidden", 5)
    assert found.nearest(0x11A5) == ("Jump", 5)


def test_a_name_never_reaches_into_another_object_file_or_section(tmp_path: Path) -> None:
    found = table(tmp_path, driver())
    assert found.nearest(0x1310) is None  # the second contribution of module 1 has no name of its own
    assert found.nearest(0x1090) is None  # in front of everything
    assert found.nearest(0x3004) is None  # in .data, where the public symbols below lie in .text
    assert found.nearest(0x9_0000) is None


def test_of_several_names_of_one_address_a_plain_one_is_shown(tmp_path: Path) -> None:
    assert table(tmp_path, driver()).nearest(0x1244) == ("Folded", 4)


def test_a_part_that_lies_elsewhere_is_named_after_its_function(tmp_path: Path) -> None:
    stop = pdbs.procedure("Stop", 0x100, 0x80)
    pdb = Pdb(
        modules=[[stop, pdbs.separated(4, 0x700, 0x40, 0x150)]],
        contributions=[Contribution(0, 0x100, 0x80), Contribution(0, 0x700, 0x40)],
    )
    assert table(tmp_path, pdb).nearest(0x1710) == ("Stop", 0x610)


def test_symbols_follow_an_optimiser_that_moved_code(tmp_path: Path) -> None:
    pdb = Pdb(
        symbols=[pdbs.public("Moved", 0x100), pdbs.public("Gone", 0x200)],
        sections=[(".text", 0x5000, 0x1000)],
        original=[(".text", 0x1000, 0x1000)],
        to_image=[(0x1000, 0x5000), (0x1100, 0x5800), (0x1200, 0), (0x1300, 0x5100)],
        from_image=[(0x5000, 0x1000), (0x5100, 0x1300), (0x5800, 0x1100), (0x5900, 0)],
    )
    found = table(tmp_path, pdb)
    assert found.rva("Moved") == 0x5800
    assert found.rva("Gone") is None
    assert found.nearest(0x5810) == ("Moved", 0x10)
    assert found.nearest(0x5901) is None


def test_types_of_every_shape(tmp_path: Path) -> None:
    pdb = Pdb(
        types=[
            pdbs.structure("_NODE", 0, 0, forward=True, unique=".?AU_NODE@@"),  # 0
            pdbs.pointer(T),  # 1
            pdbs.bitfield(0x75, 3, 5),  # 2
            pdbs.array(0x20, 0x9000),  # 3
            pdbs.field_list(pdbs.member("Low", 0x22, 0), pdbs.member("High", 0x12, 4)),  # 4
            pdbs.structure("<unnamed-tag>", 8, T + 4),  # 5
            pdbs.field_list(pdbs.member("Other", 0x22, 0)),  # 6
            pdbs.structure("<unnamed-tag>", 4, T + 6),  # 7
            pdbs.field_list(pdbs.enumerate_("Minus", -1), pdbs.enumerate_("Big", 0x1_0000_0000)),  # 8
            pdbs.enum("_STATE", 0x74, T + 8),  # 9
            pdbs.field_list(pdbs.member("Tail", 0x77, 0x9020)),  # 10
            pdbs.modifier(T + 9),  # 11
            pdbs.field_list(
                pdbs.member("Next", T + 1, 0),
                pdbs.member("Flags", T + 2, 8),
                pdbs.member("Quad", T + 7, 0xC),
                pdbs.member("State", T + 11, 0x14),
                pdbs.member("Data", T + 3, 0x20),
                pdbs.continued(T + 10),
            ),  # 12
            pdbs.structure("_NODE", 0x9028, T + 12, unique=".?AU_NODE@@"),  # 13
            pdbs.structure("_VIEW", 8, T + 4, kind=0x1506),  # 14
            pdbs.field_list(pdbs.base(T + 14, 8), pdbs.member("Low", 0x20, 0)),  # 15
            pdbs.structure("Derived", 16, T + 15, kind=0x1504),  # 16
            pdbs.array(T, 0x9028 * 2),  # 17
            pdbs.field_list(pdbs.member("Nodes", T + 17, 0)),  # 18
            pdbs.structure("_PAIR", 0x9028 * 2, T + 18),  # 19
        ]
    )
    found = table(tmp_path, pdb)
    node = found.layout("_NODE")
    assert node is not None
    assert node.size == 0x9028
    assert dict(node.fields) == {
        "Next": Field(0, 8, type_name="*_NODE"),
        "Flags": Field(8, 4, bit=5, bits=3),
        "Quad": Field(0xC, 4, type_name="__unnamed_1007"),
        "State": Field(0x14, 4),
        "Data": Field(0x20, 0x9000),
        "Tail": Field(0x9020, 8),
    }
    assert node.offset("Quad.Other") == 0xC
    derived = found.layout("Derived")
    assert derived is not None
    assert dict(derived.fields) == {"Low": Field(0, 1), "High": Field(12, 4)}  # its own Low hides the base's
    assert found.enumerators("_STATE") == {"Minus": -1, "Big": 0x1_0000_0000}
    assert found.enumerators("_NODE") is None
    assert found.layout("_STATE") is None
    pair = found.layout("_PAIR")
    assert pair is not None
    assert pair.fields["Nodes"] == Field(0, 0x9028 * 2, type_name="_NODE")
    assert found.problems == []


def test_a_class_of_endless_bases_and_a_field_list_without_an_end_are_told(tmp_path: Path) -> None:
    pdb = Pdb(
        types=[
            pdbs.field_list(*[pdbs.base(T + 1, 0)] * 9),
            pdbs.structure("Itself", 8, T),
            pdbs.field_list(pdbs.continued(T + 2)),
            pdbs.structure("Endless", 8, T + 2),
        ]
    )
    found = table(tmp_path, pdb)
    assert found.layout("Itself") is None
    assert found.layout("Endless") is None
    assert "more than 256 bases" in found.problems[0]
    assert "never ends" in found.problems[1]


def test_an_enumeration_of_an_integer_that_does_not_exist_is_told(tmp_path: Path) -> None:
    pdb = Pdb(types=[pdbs.field_list(pdbs.enumerate_("A", 1)), pdbs.enum("_STATE", T + 70, T)])
    found = table(tmp_path, pdb)
    assert found.enumerators("_STATE") is None
    assert found.layout("_STATE") is None
    assert "has no type 0x1046" in found.problems[0]


def test_one_damaged_module_costs_only_its_own_names(tmp_path: Path) -> None:
    pdb = driver()
    pdb.modules[0] = [b"\0\0\0\0" * 8]
    found = table(tmp_path, pdb)
    assert found.nearest(0x1110) == ("?Stop@Device@@QEAAXXZ", 0x10)
    assert found.nearest(0x1200) == ("DriverEntry", 0)
    (problem,) = found.problems
    assert "functions of module 0" in problem


def test_the_image_s_age_counts_not_the_file_s(tmp_path: Path) -> None:
    path = Pdb(age=3, own_age=9).write(tmp_path / "driver.pdb")
    assert open_pdb(path).identity.age == 3


def test_another_image_s_pdb_is_refused(tmp_path: Path) -> None:
    path = Pdb(age=1).write(tmp_path / "driver.pdb")
    open_pdb(path, PdbIdentity("driver.pdb", GUID, 1)).close()
    for other in (PdbIdentity("driver.pdb", GUID, 2), PdbIdentity("driver.pdb", "F" * 32, 1)):
        with pytest.raises(BadSymbols, match=f"it is {GUID}-1, but {other.guid}-{other.age} is asked for"):
            open_pdb(path, other)


def refused(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "bad.pdb"
    path.write_bytes(data)
    with pytest.raises(BadSymbols) as caught:
        open_pdb(path)
    return caught.value.reason


def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert "portable PDB" in refused(tmp_path, b"BSJB\1\0\1\0" + bytes(64))
    assert "MSF 2.0" in refused(tmp_path, b"Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0" + bytes(64))
    assert "/DEBUG:FASTLINK" in refused(tmp_path, Pdb(features=(20140508, pdbs.MINIMAL)).build())
    assert "no section headers" in refused(tmp_path, pdbs.msf([b"", Pdb()._info(), b"", _bare_debug()]))
    assert "not a PDB" in refused(tmp_path, b"MZ" + bytes(64))
    assert "not a PDB" in refused(tmp_path, b"")
    good = bytearray(driver().build())
    good[0x20:0x24] = struct.pack("<I", 4095)
    assert "blocks of 4095 bytes" in refused(tmp_path, bytes(good))


def _bare_debug() -> bytes:
    return struct.pack("<iIIHHHHHHiiiiiIiiHHI", -1, 1, 1, *[pdbs.NONE] * 6, *[0] * 5, 0, 0, 0, 0, 0x8664, 0)


@pytest.mark.parametrize("offset", [0x28, 0x2C, 0x34])
@pytest.mark.parametrize("value", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x10_0000])
def test_each_count_of_the_header_is_held_against_the_file(tmp_path: Path, offset: int, value: int) -> None:
    data = bytearray(driver().build())
    data[offset : offset + 4] = struct.pack("<I", value)
    refused(tmp_path, bytes(data))


def test_a_directory_of_too_many_streams_is_refused(tmp_path: Path) -> None:
    data = bytearray(driver().build(512))
    at = data.find(struct.pack("<II", 9, 0))  # nine streams, the first of them empty
    assert at > 0
    data[at : at + 4] = struct.pack("<I", 0x4000_0000)
    assert "streams do not fit" in refused(tmp_path, bytes(data))


def ask_everything(path: Path) -> None:
    """Asks a PDB everything; only a refusal is allowed to come out of it."""
    try:
        found = open_pdb(path)
    except BadSymbols:
        return
    for rva in (0x1000, 0x1110, 0x1234, 0x1700, 0x3010):
        found.nearest(rva)
    for name in ("DriverEntry", "Hidden", "Lock"):
        found.rva(name)
    for name in ("_NODE", "__unnamed_1001", "Derived"):
        found.layout(name)
        found.enumerators(name)
    list(found.functions())
    found.close()


def rich() -> bytes:
    pdb = driver()
    pdb.types = [
        pdbs.field_list(pdbs.member("A", T + 2, 0), pdbs.enumerate_("B", 70000), pdbs.base(T + 1, 8)),
        pdbs.structure("_NODE", 16, T),
        pdbs.array(0x20, 8),
        pdbs.bitfield(0x75, 3, 5),
        pdbs.pointer(T + 1),
        pdbs.structure("Derived", 16, T, forward=True, unique="?"),
    ]
    return pdb.build(512)


def test_cut_at_every_byte_it_is_refused_or_answers(tmp_path: Path) -> None:
    data = rich()
    path = tmp_path / "cut.pdb"
    last_block = len(data) - 512
    for size in range(0, len(data), 13):
        path.write_bytes(data[:size])
        ask_everything(path)
        if size <= last_block:
            with pytest.raises(BadSymbols):
                open_pdb(path)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 12_000), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])), min_size=1, max_size=8))
def test_any_bytes_changed_it_is_refused_or_answers(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(RICH)
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "changed.pdb"
    path.write_bytes(data)
    ask_everything(path)


RICH = rich()


def test_public_names_of_32_bit_code_are_known_as_their_source_has_them(tmp_path: Path) -> None:
    names = ("_Variable", "_Standard@8", "@Fast@4", "__under", "?Method@Class@@QAEXXZ", "Plain", "_With@sign", "@odd")
    symbols = [pdbs.public(name, 0x10 * at) for at, name in enumerate(names)]
    found = table(tmp_path, Pdb(symbols=symbols, sections=[(".text", 0x1000, 0x800)], machine=0x14C))
    plain = ("Variable", "Standard", "Fast", "_under", "?Method@Class@@QAEXXZ", "Plain", "With@sign", "@odd")
    assert [found.rva(name) for name in plain] == [0x1000 + 0x10 * at for at in range(len(names))]
    assert [found.nearest(0x1001 + 0x10 * at) for at in range(len(names))] == [(name, 1) for name in plain]
    assert found.rva("_Standard@8") == 0x1010
    wide = table(tmp_path, Pdb(symbols=symbols, sections=[(".text", 0x1000, 0x800)]))
    assert (wide.rva("Variable"), wide.nearest(0x1000)) == (None, ("_Variable", 0))


def test_a_public_symbol_without_a_name_names_nothing(tmp_path: Path) -> None:
    symbols = [pdbs.public("", 0x10), pdbs.public("Named", 0x20), pdbs.public("", 0x20)]
    found = table(tmp_path, Pdb(symbols=symbols, sections=[(".text", 0x1000, 0x800)]))
    assert (found.nearest(0x1011), found.nearest(0x1021)) == (None, ("Named", 1))
