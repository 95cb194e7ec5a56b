"""What the kernel readers ask of symbols, and nothing more."""

from typing import Protocol

from analysis.address import VirtAddr
from analysis.errors import MissingLayout
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout, Struct


class KernelNames(Protocol):
    """Names and layouts of the kernel of this dump. Addresses are the dump's, relocated."""

    @property
    def base(self) -> int:
        """Where the kernel's image lies."""

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure ("_KTHREAD"), or None where this kernel's is not known."""

    def struct(self, memory: Memory, name: str, address: int) -> Struct:
        """A typed view of the structure at ``address``. Raises: MissingLayout."""

    def address(self, name: str) -> VirtAddr | None:
        """Where the symbol lies, or None."""

    def name_at(self, address: int) -> str | None:
        """The symbol at exactly this address, or None."""

    def nearest(self, address: int) -> tuple[str, int] | None:
        """The symbol at or below the address and the distance to it, or None."""


def require(names: KernelNames, structure: str, *members: str) -> Layout:
    """The layout of a structure that has all these members.

    Raises:
        MissingLayout: no source knows the structure, or what it knows lacks one of them.
    """
    layout = names.layout(structure)
    if layout is None:
        raise MissingLayout(structure)
    for member in members:
        if not layout.has(member):
            raise MissingLayout(structure, member)
    return layout
