"""Names inside the modules of a process: each image's own PDB where one can be had, else what the image exports."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from analysis.errors import BadDump, Unreadable
from analysis.kernel.driver_symbols import DriverSymbols
from analysis.kernel.facts import Stack
from analysis.kernel.symbolize import Symbolizer, plus
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout
from analysis.symbols.names import SymbolTable
from analysis.symbols.pe import read_image

STUB_BYTES = 0x20
_STUB = b"\x4c\x8b\xd1\xb8"  # mov r10, rcx; mov eax, number


class NoKernel:
    """The kernel's names in a dump of one process: there are none."""

    exact = False
    names = None

    def name_at(self, address: int) -> str | None:
        """No symbol."""

    def nearest(self, address: int) -> tuple[str, int] | None:
        """No symbol."""

    def address(self, name: str) -> int | None:
        """No address."""

    def layout(self, name: str) -> Layout | None:
        """No layout."""


class ProcessNames(Mapping[int, SymbolTable]):
    """The tables of the images of a process, by base; each is opened when it is first asked for."""

    def __init__(self, pdbs: DriverSymbols, memory: Memory, bases: tuple[int, ...]) -> None:
        self._pdbs = pdbs
        self._memory = memory
        self._bases = bases
        self._exports: dict[int, SymbolTable | None] = {}

    def __getitem__(self, base: int) -> SymbolTable:
        if base in self._pdbs:
            return self._pdbs[base]
        if base not in self._exports:
            self._exports[base] = self._read(base)
        found = self._exports[base]
        if found is None:
            raise KeyError(base)
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._bases)

    def __len__(self) -> int:
        return len(self._bases)

    def _read(self, base: int) -> SymbolTable | None:
        try:
            return read_image(self._memory, base).exports()
        except (Unreadable, BadDump):
            return None


def with_stub_named(stack: Stack, names: Symbolizer, memory: Memory) -> Stack:
    """The stack, its innermost frame named where that lies in a stub that calls the system.

    A stub is no function with unwind data, so that its name has to be told from its code, which begins in one way at an
    exported name.
    """
    if not stack.frames or "!" in stack.frames[0].symbol:
        return stack
    first = stack.frames[0]
    module = names.module_at(first.address)
    if module is None:
        return stack
    for start in range(first.address, max(first.address - STUB_BYTES, module.base), -1):
        found = names.function(start)
        if found is None or found[1]:
            continue
        if memory.read_available(start, len(_STUB)) != _STUB:
            return stack
        named = replace(first, symbol=f"{names.name(start)}{plus(first.address - start)}")
        return replace(stack, frames=(named, *stack.frames[1:]))
    return stack
