"""Layouts of structures, and typed views of structures in memory.

Where a layout comes from (a built-in table, an ISF file, later a PDB) is the business of its source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.memory.reader import Memory


@dataclass(frozen=True, slots=True)
class Field:
    """One member: byte ``offset`` in its structure, ``size`` in bytes (0 where the source does not say).

    A bit field has ``bits`` > 0 of them from ``bit`` on, counted from the lowest bit of the integer of
    ``size`` bytes at ``offset``. ``type_name`` is the structure's name where the member is one, or the
    pointed-to structure's name behind a ``*``; empty where unknown.
    """

    offset: int
    size: int = 0
    bit: int = 0
    bits: int = 0
    type_name: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A structure: its name as Windows spells it, its size in bytes, and its members by name.

    Members of members are reachable by a dotted name where the source flattens them ("ApcState.Process").
    """

    name: str
    size: int
    fields: Mapping[str, Field]

    def has(self, field: str) -> bool:
        """Whether this build's structure has that member."""
        return field in self.fields

    def offset(self, field: str) -> int:
        """The byte offset of a member. Raises: KeyError."""
        return self.fields[field].offset


class Struct:
    """A structure at an address: ``thread.u8("State")``. Every read may raise Unreadable."""

    __slots__ = ("address", "layout", "memory")

    def __init__(self, memory: "Memory", layout: Layout, address: int) -> None:
        self.memory = memory
        self.layout = layout
        self.address = address

    def has(self, field: str) -> bool:
        """Whether this build's structure has that member."""
        return field in self.layout.fields

    def address_of(self, field: str) -> int:
        """The address of a member."""
        return self.address + self.layout.fields[field].offset

    def u8(self, field: str) -> int:
        """A member as an unsigned 8-bit integer."""
        return self.memory.u8(self.address_of(field))

    def u16(self, field: str) -> int:
        """A member as an unsigned 16-bit integer."""
        return self.memory.u16(self.address_of(field))

    def u32(self, field: str) -> int:
        """A member as an unsigned 32-bit integer."""
        return self.memory.u32(self.address_of(field))

    def u64(self, field: str) -> int:
        """A member as an unsigned 64-bit integer."""
        return self.memory.u64(self.address_of(field))

    def pointer(self, field: str) -> int:
        """A member as a pointer."""
        return self.memory.pointer(self.address_of(field))

    def bits(self, field: str) -> int:
        """A bit field's value."""
        member = self.layout.fields[field]
        raw = int.from_bytes(self.memory.read(self.address + member.offset, member.size or 4), "little")
        return raw >> member.bit & (1 << member.bits) - 1

    def unicode(self, field: str) -> str:
        """The text of a ``UNICODE_STRING`` member."""
        return self.memory.unicode_string(self.address_of(field))
