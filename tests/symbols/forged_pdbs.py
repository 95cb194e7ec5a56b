"""The PDBs of a forged machine: the kernel's with its types, and one for each driver with functions on a stack."""

import re
import struct
from pathlib import Path

from analysis.symbols.names import PdbIdentity
from tests.forge import Forged
from tests.forge.facts import PdbFact
from tests.forge.layouts import Layouts, Member
from tests.forge.x86_kernel import Forged32
from tests.symbols import pdbs
from tests.symbols.pdbs import Contribution, Pdb

SIMPLE = {"u8": 0x20, "u16": 0x21, "u32": 0x22, "u64": 0x23}
WHOLE = [(".all", 0x1000, 0x400_0000)]
START = WHOLE[0][1]


def store(directory: Path, identity: PdbIdentity, pdb: Pdb, tiers: int = 2) -> Path:
    """Writes a PDB to its place in a symbol store of two or three tiers."""
    pdb.guid, pdb.age = identity.guid, identity.age
    above = directory if tiers == 2 else directory / identity.name[:2]
    return pdb.write(above / identity.name / f"{identity.guid}{identity.age:X}" / identity.name)


def kernel_pdb(forged: Forged, *, types: bool = True) -> Pdb:
    """The kernel's PDB as Microsoft publishes it: public symbols, and the types of its structures."""
    symbols = [pdbs.public(name, rva - START) for name, rva in forged.facts.symbols if rva >= START]
    return Pdb(symbols=symbols, sections=WHOLE, types=kernel_types(forged.layouts) if types else [])


def kernel_pdb32(forged: Forged32, *, types: bool = True) -> Pdb:
    """The same of a 32-bit kernel, whose public names are decorated in one of the three ways of C."""
    forms = ("_{0}", "_{0}@8", "@{0}@4")
    data = forged.kernel.variables
    symbols = [
        pdbs.public(("_{0}" if name in data else forms[rva // 0x40 % 3]).format(name), rva - START)
        for name, rva in forged.facts.symbols
    ]
    records = kernel_types(forged.kernel.layouts, 4) if types else []
    return Pdb(symbols=symbols, sections=WHOLE, types=records, machine=0x14C)


def frameless_pdb(forged: Forged32, image: str) -> Pdb:
    """The PDB of a 32-bit driver with functions that set no frame pointer: public names, and frame data."""
    kernel = forged.kernel
    mine = {name: place - kernel.bases[image] for (home, name), place in kernel.places.items() if home == image}
    rows = [
        struct.pack("<6IHHI", rva, 0x40, kernel.frameless[image, name], 0, 0, 1, 0, 0, 4)
        for name, rva in mine.items()
        if (image, name) in kernel.frameless
    ]
    symbols = [pdbs.public(f"_{name}@8", rva - START) for name, rva in mine.items()]
    programs = b"\0$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =\0"
    return Pdb(symbols=symbols, sections=WHOLE, machine=0x14C, frames=b"".join(rows), programs=programs)


def kernel_types(layouts: Layouts, pointer: int = 8) -> list[bytes]:
    """Type records of every structure of a table of layouts; members of members are left to the inner structures.

    ``pointer`` is the size of one.
    """
    names = list(layouts.structures)
    records = [pdbs.structure(name, 0, 0, forward=True) for name in names]
    index = {name: 0x1000 + at for at, name in enumerate(names)}

    def add(record: bytes) -> int:
        records.append(record)
        return 0x1000 + len(records) - 1

    def kind(member: Member) -> int:
        if member.kind == "bits":
            return add(pdbs.bitfield(0x22, member.bits, member.bit))
        many = re.fullmatch(r"(.+)\[(\d+)\]", member.kind)
        if many:
            inner = kind(Member(0, many[1]))
            return add(pdbs.array(inner, int(many[2]) * size(many[1])))
        if member.kind.startswith("*"):
            target = member.kind[1:]
            return add(pdbs.pointer(index[target], pointer)) if target in index else {8: 0x603, 4: 0x403}[pointer]
        return SIMPLE.get(member.kind) or index.get(member.kind) or 0x23

    def size(name: str) -> int:
        known = {"u8": 1, "u16": 2, "u32": 4}
        return layouts.structures[name].size if name in layouts.structures else known.get(name, pointer)

    for name in names:
        structure = layouts.structures[name]
        entries = [
            pdbs.member(member, kind(found), found.offset)
            for member, found in structure.members.items()
            if "." not in member
        ]
        records.append(pdbs.structure(name, structure.size, add(pdbs.field_list(*entries))))
    return records


def driver_pdb(fact: PdbFact, *, private: bool = True) -> Pdb:
    """A driver's PDB: with its functions described, or with public symbols alone. Names are those of C++ methods."""
    functions = sorted(fact.functions, key=lambda function: function[1])
    if private:
        modules = [[pdbs.procedure(f"Driver::{name}", rva - START, size) for name, rva, size in functions]]
        return Pdb(sections=WHOLE, modules=modules, contributions=[Contribution(0, 0, 0x10_0000)])
    symbols = [pdbs.public(f"?{name}@Driver@@QEAAXXZ", rva - START) for name, rva, _ in functions]
    return Pdb(sections=WHOLE, symbols=symbols)


def write_driver_pdbs(directory: Path, forged: Forged, *, private: bool = True, tiers: int = 2) -> None:
    """The PDBs of all drivers of a machine, as a symbol store."""
    for fact in forged.facts.pdbs:
        store(directory, PdbIdentity(fact.name, fact.guid, fact.age), driver_pdb(fact, private=private), tiers)
