"""What a source of symbols offers, whatever it reads them from, and the search that all of them need."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from analysis.symbols.layout import Layout


@dataclass(frozen=True, slots=True)
class PdbIdentity:
    """What names one PDB: its file name, its GUID as 32 upper-case hex digits, and its age."""

    name: str
    guid: str
    age: int

    @property
    def key(self) -> str:
        """The folder that holds it in a symbol store."""
        return f"{self.guid}{self.age:X}"

    def __str__(self) -> str:
        return f"{self.name} {self.guid}-{self.age:x}"


@dataclass(frozen=True, slots=True)
class ImageIdentity:
    """What names one executable image: its file name, its TimeDateStamp and its SizeOfImage."""

    name: str
    timestamp: int
    size: int

    @property
    def key(self) -> str:
        """The folder that holds it in a symbol store."""
        return f"{self.timestamp:08X}{self.size:x}"

    def __str__(self) -> str:
        return f"{self.name} {self.timestamp:08x}-{self.size:x}"


Wanted = PdbIdentity | ImageIdentity
"""A file that a symbol store may hold."""


class SymbolTable(Protocol):
    """Names and layouts of one image. Addresses here are relative to the image's base (RVA)."""

    @property
    def origin(self) -> str:
        """Where the table came from, for a person: "ISF 5278….json.xz", "exports", "built-in 19041"."""

    @property
    def has_functions(self) -> bool:
        """Whether names cover private functions too, so that the nearest name below an address is its function.

        False for exports: there the nearest export is only a neighbour.
        """

    def rva(self, name: str) -> int | None:
        """The RVA of a symbol, or None."""

    def nearest(self, rva: int) -> tuple[str, int] | None:
        """The symbol at or below ``rva`` and the distance to it, or None."""

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure, or None."""


# String constants and numbered thunks lie between functions and name nothing.
NAMELESS = ("??_C@", "$$")


def best_name(names: Iterable[str]) -> str | None:
    """The one of several names of an address that is printed, or None where all of them name nothing."""
    return min((name for name in names if name and not name.startswith(NAMELESS)), key=_rank, default=None)


class NameIndex:
    """Names and their RVAs, searched both ways. The order by address is made when first asked for."""

    def __init__(self, names: Mapping[str, int]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def rva(self, name: str) -> int | None:
        """The RVA of a symbol, or None."""
        return self._names.get(name)

    def nearest(self, rva: int) -> tuple[str, int] | None:
        """The symbol at or below ``rva`` and the distance to it in bytes, or None."""
        addresses, names = self._by_address
        at = bisect_right(addresses, rva) - 1
        return (names[at], rva - addresses[at]) if at >= 0 else None

    @cached_property
    def _by_address(self) -> tuple[list[int], list[str]]:
        best: dict[int, str] = {}
        for name, rva in self._names.items():
            if not name or name.startswith(NAMELESS):
                continue
            other = best.get(rva)
            if other is None or _rank(name) < _rank(other):
                best[rva] = name
        addresses = sorted(best)
        return addresses, [best[rva] for rva in addresses]


# Linkers fold equal functions into one, so an address may have dozens of names. Any choice may be wrong for this
# caller; a plain name reads better than a decorated one, and the order must not depend on the file's.
def _rank(name: str) -> tuple[bool, int, str]:
    return name.startswith("?"), len(name), name
