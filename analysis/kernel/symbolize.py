"""Addresses to what is printed: ``module!Name+0x12`` where a name is certain, ``module+0x334c`` where it is not.

A wrong name is worse than none. Names inside the kernel come only from the kernel's very own table; an export is
used only for an address at its very start, for elsewhere the nearest export is merely a neighbour. (A walk of a stack
has unwind data beside it, which tell where a function begins, so that an export there names all of the function.)
Names inside a driver come only from the very PDB that its image names. C++ names are shown short.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from analysis.kernel.facts import Module
from analysis.symbols.demangling import short_name
from analysis.symbols.names import SymbolTable
from analysis.symbols.pdb import PdbTable
from analysis.symbols.pdb.frames import FrameRecord

KERNEL_MODULE = "ntoskrnl.exe"
MAX_FUNCTION = 0x1_0000  # bytes; the largest functions of nt are near 0x6000
MAX_KEPT_NAMES = 1 << 16


class KernelNames(Protocol):
    """The part of the kernel's symbols that names addresses."""

    @property
    def exact(self) -> bool:
        """Whether names come from the kernel's very own table."""

    @property
    def names(self) -> SymbolTable | None:
        """The kernel's table of names, where there is one."""

    def name_at(self, address: int) -> str | None:
        """The symbol at exactly this address."""

    def nearest(self, address: int) -> tuple[str, int] | None:
        """The symbol at or below this address, and the distance to it."""


class Symbolizer:
    """Names addresses of one dump. ``tables`` holds symbol tables of other images, by their base."""

    def __init__(
        self,
        symbols: KernelNames,
        modules: Sequence[Module],
        unloaded: Sequence[Module] = (),
        tables: Mapping[int, SymbolTable] | None = None,
    ) -> None:
        self._symbols = symbols
        # Whether there are any is not asked: that would open the PDB of every module.
        self._tables: Mapping[int, SymbolTable] = {} if tables is None else tables
        self._modules = sorted(modules, key=lambda module: module.base)
        self._bases = [module.base for module in self._modules]
        self._unloaded = tuple(unloaded)
        self._printed: dict[tuple[int, bool], str] = {}

    def printed(self, address: int, *, called: bool, find: Callable[[], str]) -> str:
        """What ``find`` gives for a frame, asked once: thousands of threads wait at the same few places."""
        known = self._printed.get((address, called))
        if known is None:
            if len(self._printed) >= MAX_KEPT_NAMES:
                self._printed.clear()
            known = self._printed[address, called] = find()
        return known

    def module_at(self, address: int) -> Module | None:
        """The loaded image that ``address`` lies in."""
        index = bisect_right(self._bases, address) - 1
        if index < 0:
            return None
        module = self._modules[index]
        return module if address < module.end else None

    def unloaded_at(self, address: int) -> Module | None:
        """The image that was once loaded at ``address``, the most recent first; None where one is loaded now."""
        if self.module_at(address) is not None:
            return None
        return next((module for module in self._unloaded if module.base <= address < module.end), None)

    def owner(self, address: int) -> Module | None:
        """The loaded or, failing that, the unloaded image of ``address``."""
        return self.module_at(address) or self.unloaded_at(address)

    def name(self, address: int) -> str:
        """What is printed for ``address``. In no image at all: the address itself, in hex."""
        module = self.module_at(address)
        if module is not None:
            found = self.function(address)
            return f"{stem(module)}{plus(address - module.base)}" if found is None else named(module, found)
        gone = self.unloaded_at(address)
        if gone is not None:
            return f"{gone.name}!Unloaded{plus(address - gone.base)}"
        return f"{address:#x}"

    def has_names(self, module: Module) -> bool:
        """Whether there is a table of names for an image at all."""
        return module.name == KERNEL_MODULE or module.base in self._tables

    def function(self, address: int) -> tuple[str, int] | None:
        """The name of the function or variable at ``address`` and the distance into it, where certain."""
        module = self.module_at(address)
        if module is None:
            return None
        is_kernel = module.name == KERNEL_MODULE
        found = self._kernel_function(address) if is_kernel else self._driver_function(module, address)
        return None if found is None else (short_name(found[0]), found[1])

    def frame_data(self, address: int) -> FrameRecord | None:
        """How the PDB of its image lays out the stack frame of 32-bit code at ``address``; None where nothing tells."""
        module = self.module_at(address)
        if module is None:
            return None
        own = self._symbols.names if self._symbols.exact else None
        table = own if module.name == KERNEL_MODULE else self._tables.get(module.base)
        return table.frame_at(address - module.base) if isinstance(table, PdbTable) else None

    def _driver_function(self, module: Module, address: int) -> tuple[str, int] | None:
        table = self._tables.get(module.base)
        if table is None:
            return None
        found = table.nearest(address - module.base)
        if found is None or (found[1] and not (table.has_functions and found[1] < MAX_FUNCTION)):
            return None
        return found

    def _kernel_function(self, address: int) -> tuple[str, int] | None:
        if self._symbols.exact:
            found = self._symbols.nearest(address)
            return found if found is not None and found[1] < MAX_FUNCTION else None
        name = self._symbols.name_at(address)
        return None if name is None else (name, 0)


def stem(module: Module) -> str:
    """A module's name in front of ``!``: without its extension, and ``nt`` for the kernel."""
    return "nt" if module.name == KERNEL_MODULE else PurePosixPath(module.name).stem


def named(module: Module, found: tuple[str, int]) -> str:
    """``module!Name+0x12``, without ``+0x0``."""
    name, distance = found
    return f"{stem(module)}!{name}{plus(distance)}"


def plus(distance: int) -> str:
    """``+0x12``, or nothing for zero."""
    return f"+{distance:#x}" if distance else ""
