"""volatility3 ISF files of invented kernels, and the BUILDS.tsv beside them."""

import json
import lzma
import re
from pathlib import Path
from typing import Any

from tests.forge.facts import Facts
from tests.forge.layouts import Layouts, Member

BASE_TYPES = {
    "pointer": (8, False, "int"),
    "unsigned char": (1, False, "char"),
    "unsigned short": (2, False, "int"),
    "unsigned long": (4, False, "int"),
    "unsigned long long": (8, False, "int"),
    "void": (0, False, "void"),
}
_BY_BITS = {"u8": "unsigned char", "u16": "unsigned short", "u32": "unsigned long", "u64": "unsigned long long"}
UPDATE = 777  # the update number that BUILDS.tsv gives the invented kernels


def write_isf(directory: Path, facts: Facts, layouts: Layouts) -> Path:
    """Write ``ntkrnlmp.pdb/GUID-1.json.xz`` under a directory and its line in BUILDS.tsv, the same bytes each time."""
    folder = directory / "ntkrnlmp.pdb"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{facts.kernel_guid}-1.json.xz"
    path.write_bytes(isf_bytes(facts, layouts))
    builds = directory / "BUILDS.tsv"
    lines = builds.read_text().splitlines() if builds.exists() else ["kernel_build\tos\tfile"]
    version = {7601: "6.1", 9600: "6.3"}.get(facts.build, "10.0")
    line = f"{version}.{facts.build}.{UPDATE}\tforged\t{path.name}"
    if line not in lines:
        lines.append(line)
    builds.write_text("\n".join(lines) + "\n")
    return path


def isf_bytes(facts: Facts, layouts: Layouts) -> bytes:
    """The compressed table."""
    text = json.dumps(isf(facts, layouts), sort_keys=True, separators=(",", ":"))
    return lzma.compress(text.encode(), format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=6)


def isf(facts: Facts, layouts: Layouts, pointer: int = 8) -> dict[str, Any]:
    """The table as a document; ``pointer`` is the size of one on the kernel's machine."""
    known = layouts.structures
    database, machine = ("ntkrnlmp.pdb", 0x8664) if pointer == 8 else ("ntkrpamp.pdb", 0x14C)
    return {
        "metadata": {
            "format": "6.1.0",
            "producer": {"datetime": "2022-05-04T00:00:00", "name": "forge", "version": "1.0.0"},
            "windows": {"pdb": {"GUID": facts.kernel_guid, "age": 1, "database": database, "machine_type": machine}},
        },
        "base_types": {
            name: {"size": size, "signed": signed, "kind": kind, "endian": "little"}
            for name, (size, signed, kind) in {**BASE_TYPES, "pointer": (pointer, False, "int")}.items()
        },
        "enums": {},
        "symbols": {name: {"address": rva} for name, rva in facts.symbols},
        "user_types": {
            name: {
                "kind": "struct",
                "size": structure.size,
                "fields": {
                    member: {"offset": found.offset, "type": _type(found, known)}
                    for member, found in structure.members.items()
                    if "." not in member
                },
            }
            for name, structure in known.items()
        },
    }


def _type(member: Member, known: Any) -> dict[str, Any]:
    kind = member.kind
    if kind == "bits":
        base = {"kind": "base", "name": "unsigned long"}
        return {"kind": "bitfield", "bit_length": member.bits, "bit_position": member.bit, "type": base}
    array = re.fullmatch(r"(.+)\[(\d+)\]", kind)
    if array:
        return {"kind": "array", "count": int(array[2]), "subtype": _type(Member(0, array[1]), known)}
    if kind in _BY_BITS:
        return {"kind": "base", "name": _BY_BITS[kind]}
    if kind.startswith("*"):
        target = kind[1:]
        if target in known:
            return {"kind": "pointer", "subtype": {"kind": "struct", "name": target}}
        return {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}}
    if kind in known:
        return {"kind": "struct", "name": kind}
    return {"kind": "base", "name": "unsigned long long"}
