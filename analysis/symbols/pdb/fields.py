"""The members that one field list of a PDB describes."""

import struct
from dataclasses import dataclass, field

from analysis.symbols.pdb.records import BadRecord, number, text

LF_MEMBER, LF_STMEMBER, LF_METHOD, LF_NESTTYPE, LF_ONEMETHOD = 0x150D, 0x150E, 0x150F, 0x1510, 0x1511
LF_BCLASS, LF_VBCLASS, LF_IVBCLASS, LF_BINTERFACE = 0x1400, 0x1401, 0x1402, 0x151A
LF_ENUMERATE, LF_VFUNCTAB, LF_VFUNCOFF, LF_INDEX = 0x1502, 0x1409, 0x140C, 0x1404
LF_FRIENDCLS, LF_FRIENDFCN, LF_NESTTYPEEX = 0x140A, 0x150C, 0x1512
INTRODUCING_VIRTUAL = (4, 6)
PADDING = 0xF0  # a byte of padding says in its low half how far the next record is

_HEAD = struct.Struct("<HHI")  # kind, attributes or padding, type


@dataclass(frozen=True, slots=True)
class Member:
    """A data member as written: byte offset, the index of its type, its name."""

    offset: int
    type_index: int
    name: str


@dataclass(slots=True)
class FieldList:
    """What a field list names: data members, base classes (offset and type), enumerators, and how many other things
    (static members, methods, nested types, friends, virtual function pointers)."""

    members: list[Member] = field(default_factory=list)
    bases: list[Member] = field(default_factory=list)
    virtual_bases: list[int] = field(default_factory=list)
    enumerators: dict[str, int] = field(default_factory=dict)
    others: int = 0
    continues: int | None = None


def read_field_list(data: bytes, at: int, end: int, found: FieldList) -> None:
    """Adds what the field list record between two offsets names to ``found``.

    Raises:
        BadRecord: it holds something unknown, or contradicts itself.
    """
    found.continues = None
    while at < end:
        if data[at] >= PADDING:
            at += max(data[at] & 15, 1)
            continue
        if at + _HEAD.size > end:
            raise BadRecord("has a field list that is cut short")
        at = _read_one(data, at, end, found)


def _read_one(data: bytes, at: int, end: int, found: FieldList) -> int:
    kind, attributes, index = _HEAD.unpack_from(data, at)
    behind = at + _HEAD.size
    match kind:
        case 0x150D:  # LF_MEMBER
            offset, behind = number(data, behind, end)
            name, behind = text(data, behind, end)
            found.members.append(Member(offset, index, name))
        case 0x1502:  # LF_ENUMERATE: the value is where others have a type
            value, behind = number(data, at + 4, end)
            name, behind = text(data, behind, end)
            found.enumerators[name] = value
        case 0x1400 | 0x151A:  # LF_BCLASS, LF_BINTERFACE
            offset, behind = number(data, behind, end)
            found.bases.append(Member(offset, index, ""))
        case 0x1401 | 0x1402:  # LF_VBCLASS, LF_IVBCLASS: where the base lies is known only at run time
            _, behind = number(data, behind + 4, end)
            _, behind = number(data, behind, end)
            found.virtual_bases.append(index)
        case 0x1404:  # LF_INDEX
            found.continues = index
        case _:
            behind = _pass_over(data, kind, attributes, behind, end)
            found.others += 1
    return behind


def _pass_over(data: bytes, kind: int, attributes: int, at: int, end: int) -> int:
    if kind in (LF_VFUNCTAB, LF_FRIENDCLS):
        return at
    if kind == LF_VFUNCOFF:
        return at + 4
    if kind == LF_ONEMETHOD and attributes >> 2 & 7 in INTRODUCING_VIRTUAL:
        at += 4
    elif kind not in (LF_ONEMETHOD, LF_STMEMBER, LF_METHOD, LF_NESTTYPE, LF_NESTTYPEEX, LF_FRIENDFCN):
        raise BadRecord(f"has a field list with an entry of the unknown kind {kind:#x}")
    return text(data, at, end)[1]
