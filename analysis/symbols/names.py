"""What a source of symbols offers, whatever it reads them from."""

from dataclasses import dataclass
from typing import Protocol

from analysis.symbols.layout import Layout


@dataclass(frozen=True, slots=True)
class PdbIdentity:
    """What names one PDB: its file name, its GUID as 32 upper-case hex digits, and its age."""

    name: str
    guid: str
    age: int


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
