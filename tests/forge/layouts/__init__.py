"""Structure layouts by build, as the builder uses them: names to offsets, sizes and kinds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests.forge.layouts.structures import MAJORS, STRUCTURES

# Fixed since the first 64-bit Windows; the tables leave them out.
PLAIN = """
_LIST_ENTRY 10
  Flink *_LIST_ENTRY 0
  Blink *_LIST_ENTRY 8

_UNICODE_STRING 10
  Length u16 0
  MaximumLength u16 2
  Buffer * 8

_CLIENT_ID 10
  UniqueProcess * 0
  UniqueThread * 8

_KEVENT 18
  Header _DISPATCHER_HEADER 0

_KSEMAPHORE 20
  Header _DISPATCHER_HEADER 0
  Limit u32 18

_KWAIT_CHAIN 8
  Head * 0

_KAPC_STATE 30
  ApcListHead _LIST_ENTRY[2] 0
  Process *_KPROCESS 20
"""

# Structures whose members move in a "shifted" kernel: from this offset on, by this much.
SHIFTS = {
    "_KTHREAD": (0x48, 0x10),
    "_ETHREAD": (0x300, 0x28),
    "_KPROCESS": (0x30, 0x08),
    "_EPROCESS": (0x100, 0x18),
    "_KPRCB": (0x40, 0x40),
    "_ERESOURCE": (0x18, 0x08),
    "_FAST_ERESOURCE_INTERNAL": (0x18, 0x08),
    "_DEVICE_NODE": (0x28, 0x10),
    "_KWAIT_BLOCK": (0x18, 0x08),
    "_DEVOBJ_EXTENSION": (0x18, 0x08),
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member: ``kind`` is u8…u64, ``*`` or ``*_NAME`` for pointers, ``_NAME`` for a structure, ``bits``."""

    offset: int
    kind: str
    bit: int = 0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure's size in bytes and its members by name."""

    size: int
    members: Mapping[str, Member]


class Layouts:
    """All structures of one build."""

    def __init__(self, major: int, structures: Mapping[str, Structure]) -> None:
        self.major = major
        self.structures = structures

    def has(self, structure: str, member: str) -> bool:
        """Whether this build has that member."""
        return structure in self.structures and member in self.structures[structure].members

    def offset(self, structure: str, member: str) -> int:
        """A member's byte offset. Raises: KeyError."""
        return self.structures[structure].members[member].offset

    def member(self, structure: str, member: str) -> Member:
        """A member. Raises: KeyError."""
        return self.structures[structure].members[member]

    def size(self, structure: str) -> int:
        """A structure's size in bytes. Raises: KeyError."""
        return self.structures[structure].size

    def shifted(self) -> "Layouts":
        """The same build with members moved: a kernel for which no table is right."""
        moved = {name: _shift(name, structure) for name, structure in self.structures.items()}
        return Layouts(self.major, moved)


def layouts_of(major: int) -> Layouts:
    """The layouts of one of the eight majors. Raises: ValueError for another build."""
    column = MAJORS.index(major)
    structures = _parse(STRUCTURES, column)
    structures.update(_parse(PLAIN, 0))
    structures["_EPROCESS"].members.update(Pcb=Member(0, "_KPROCESS"))  # type: ignore[attr-defined]  # a dict until here
    structures["_ETHREAD"].members.update(Tcb=Member(0, "_KTHREAD"))  # type: ignore[attr-defined]  # as above
    if 9600 <= major < 19041:  # the array itself; later a pointer to it
        threads = structures["_KTHREAD"].members
        entries = replace(threads["LockEntries"], kind="_KLOCK_ENTRY[6]")
        threads.update(LockEntries=entries)  # type: ignore[attr-defined]  # as above
    return Layouts(major, structures)


def nearest_major(build: int) -> int:
    """The newest of the eight majors not newer than ``build``; the oldest for anything older."""
    return max((major for major in MAJORS if major <= build), default=MAJORS[0])


def _parse(text: str, column: int) -> dict[str, Structure]:
    structures: dict[str, Structure] = {}
    for block in text.strip().split("\n\n"):
        head, *lines = block.splitlines()
        name, *sizes = head.split()
        size = sizes[column % len(sizes)] if len(sizes) > 1 else sizes[0]
        if size == "-":
            continue
        members = {}
        for line in lines:
            member, kind, *offsets = line.split()
            text_offset = offsets[column] if len(offsets) > 1 else offsets[0]
            if text_offset != "-":
                members[member] = _member(kind, text_offset)
        structures[name] = Structure(int(size, 16), members)
    return structures


def _member(kind: str, text: str) -> Member:
    found = re.fullmatch(r"([0-9a-f]+)(?::(\d+)\+(\d+))?", text)
    assert found, text
    return Member(int(found[1], 16), kind, int(found[2] or 0), int(found[3] or 0))


def _shift(name: str, structure: Structure) -> Structure:
    start, by = SHIFTS.get(name, (0, 0))
    members = {
        member: replace(found, offset=found.offset + by) if found.offset >= start else found
        for member, found in structure.members.items()
    }
    return Structure(structure.size + by, members)
