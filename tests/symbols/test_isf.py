"""ISF files: what they say, and what strangers put into them."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import BadSymbols
from analysis.limits import MAX_SYMBOL_TEXT
from analysis.symbols.isf import CHUNK, IsfTable, open_isf, quick_guid, quick_machine, quick_rvas, read_text
from analysis.symbols.layout import Field
from analysis.symbols.names import PdbIdentity

DOCUMENT: dict[str, Any] = {
    "base_types": {
        "pointer": {"size": 8, "signed": False, "kind": "int", "endian": "little"},
        "unsigned char": {"size": 1, "signed": False, "kind": "char", "endian": "little"},
        "unsigned long": {"size": 4, "signed": False, "kind": "int", "endian": "little"},
    },
    "enums": {"_MODE": {"base": "long", "size": 4, "constants": {"A": 0}}},
    "metadata": {
        "format": "6.1.0",
        "windows": {"pdb": {"GUID": "AB" * 16, "age": 2, "database": "ntkrnlmp.pdb", "machine_type": 34404}},
    },
    "symbols": {
        "Beta": {"address": 0x2000},
        "Alpha": {"address": 0x1000, "type": {"kind": "base", "name": "void"}},
        "?Folded@@YAXXZ": {"address": 0x3000},
        "Folded": {"address": 0x3000},
        "LongerFolded": {"address": 0x3000},
        "??_C@_0text": {"address": 0x2100},
        "$$7": {"address": 0x2200},
    },
    "user_types": {
        "_INNER": {
            "kind": "struct",
            "size": 16,
            "fields": {
                "Low": {"offset": 0, "type": {"kind": "base", "name": "unsigned long"}},
                "High": {
                    "offset": 8,
                    "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "_OUTER"}},
                },
            },
        },
        "_OUTER": {
            "kind": "struct",
            "size": 64,
            "fields": {
                "Flag": {
                    "offset": 4,
                    "type": {
                        "kind": "bitfield",
                        "bit_position": 3,
                        "bit_length": 2,
                        "type": {"kind": "base", "name": "unsigned long"},
                    },
                },
                "Body": {"offset": 16, "type": {"kind": "struct", "name": "_INNER"}},
                "Rows": {
                    "offset": 32,
                    "type": {"kind": "array", "count": 2, "subtype": {"kind": "struct", "name": "_INNER"}},
                },
                "Mode": {"offset": 8, "type": {"kind": "enum", "name": "_MODE"}},
                "Any": {"offset": 12, "type": {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}}},
            },
        },
    },
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".json": bytes,
    ".json.xz": lzma.compress,
    ".json.gz": gzip.compress,
    ".json.bz2": bz2.compress,
}
TEXT = json.dumps(DOCUMENT, indent=2, sort_keys=True).encode()


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_packing_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(PACKERS[suffix](TEXT))
    table = open_isf(path)
    assert table.origin == f"ISF table{suffix}"
    assert table.rva("Alpha") == 0x1000


def test_members_of_all_kinds() -> None:
    layout = IsfTable("x", DOCUMENT).layout("_OUTER")
    assert layout is not None
    assert layout.size == 64
    assert dict(layout.fields) == {
        "Flag": Field(4, 4, bit=3, bits=2),
        "Body": Field(16, 16, type_name="_INNER"),
        "Rows": Field(32, 32, type_name="_INNER"),
        "Mode": Field(8, 4),
        "Any": Field(12, 8, type_name="*void"),
    }
    assert layout.fields["Body.High"] == Field(24, 8, type_name="*_OUTER")
    for absent in ("Body.None", "Any.Low", "None", "None.Low", "Body.High.Mode", ""):
        assert not layout.has(absent)


def test_names_and_nearest() -> None:
    table = IsfTable("x", DOCUMENT)
    assert table.nearest(0xFFF) is None
    assert table.nearest(0x1FFF) == ("Alpha", 0xFFF)
    assert table.nearest(0x2300) == ("Beta", 0x300)  # not the string or the numbered thunk in between
    assert table.nearest(0x3000) == ("Folded", 0)
    assert table.rva("??_C@_0text") == 0x2100
    assert table.has_functions


def test_identity() -> None:
    table = IsfTable("x", DOCUMENT)
    assert table.identity == PdbIdentity("ntkrnlmp.pdb", "AB" * 16, 2)
    assert table.machine == 0x8664
    assert (quick_machine(TEXT), quick_guid(TEXT)) == (0x8664, "AB" * 16)
    assert (quick_machine(b"{}"), quick_guid(b"{}")) == (None, None)


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_addresses_are_found_without_parsing(indent: int | None) -> None:
    text = json.dumps(DOCUMENT, indent=indent).encode()
    assert quick_rvas(text, ("Alpha", "Beta", "Gamma")) == {"Alpha": 0x1000, "Beta": 0x2000}


def test_unpacking_ends_where_enough_is_known(tmp_path: Path) -> None:
    path = tmp_path / "t.json.xz"
    path.write_bytes(lzma.compress(TEXT.ljust(CHUNK * 3)))
    assert len(read_text(path)) == CHUNK * 3
    assert len(read_text(path, lambda text: b"Alpha" in text)) == CHUNK


@pytest.mark.parametrize("end", range(8))
def test_a_number_cut_by_the_end_of_a_chunk_is_not_taken(end: int) -> None:
    text = b'"symbols": {"Alpha": {"address": 123456}}'
    whole = text.index(b"}") + 1
    expected = {} if end else {"Alpha": 123456}
    assert quick_rvas(text[: whole - end], ("Alpha",)) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"symbols": {}}', b"\xff\xfe", b"[" * 200_000, b'{"a": ' + b"9" * 5000 + b"}"],
)
def test_what_is_no_isf_document_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(BadSymbols) as refused:
        open_isf(path)
    assert refused.value.file == "t.json"


@pytest.mark.parametrize("suffix", [".json.xz", ".json.gz", ".json.bz2"])
def test_damaged_and_cut_archives_are_refused(tmp_path: Path, suffix: str) -> None:
    packed = PACKERS[suffix](TEXT)
    path = tmp_path / f"t{suffix}"
    for end in range(1, len(packed), 7):
        path.write_bytes(packed[:end])
        with pytest.raises(BadSymbols):
            read_text(path)
    path.write_bytes(b"random bytes" * 9)
    with pytest.raises(BadSymbols):
        read_text(path)


@pytest.mark.parametrize("suffix", [".json.xz", ".json.gz", ".json.bz2"])
def test_a_small_file_that_unpacks_to_very_much_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(PACKERS[suffix](bytes(MAX_SYMBOL_TEXT + 100)))
    with pytest.raises(BadSymbols, match="unpacks to more"):
        read_text(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSymbols):
        read_text(tmp_path / "none.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 1 << 40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_nonsense_anywhere_in_a_document_raises_nothing(data: st.DataObject) -> None:
    document = json.loads(TEXT)
    for _ in range(data.draw(st.integers(1, 4))):
        node: Any = document
        while isinstance(node, dict) and node:
            key = data.draw(st.sampled_from(sorted(node)))
            if not isinstance(node[key], dict) or data.draw(st.booleans()):
                node[key] = data.draw(JSON)
                break
            node = node[key]
    table = IsfTable("x", document)
    table.nearest(0x2500)
    for name in ("_OUTER", "_INNER", "_NONE"):
        layout = table.layout(name)
        assert layout is None or all(field.offset >= 0 for field in layout.fields.values())
        assert layout is None or layout.has("Body.High") in (True, False)


def test_a_structure_inside_itself_ends() -> None:
    loop = {"kind": "struct", "size": 8, "fields": {"Me": {"offset": 0, "type": {"kind": "struct", "name": "_LOOP"}}}}
    layout = IsfTable("x", {**DOCUMENT, "user_types": {"_LOOP": loop}}).layout("_LOOP")
    assert layout is not None
    assert layout.has("Me.Me.Me")
    assert not layout.has("Me.You")
