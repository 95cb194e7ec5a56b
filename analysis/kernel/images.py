"""The loaded images as code: bytes, .pdata rows and executable sections, each as far as its pages were saved.

In a kernel dump single pages of an image are missing (pageable code, its .pdata), so an address whose row may be in
a missing page is told apart from one that no function covers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.address import VirtAddr
from analysis.errors import Absence, BadDump, Unreadable
from analysis.kernel.facts import Module
from analysis.kernel.unwind_codes import (
    MAX_CHAIN,
    RUNTIME_FUNCTION_SIZE,
    BadUnwind,
    RuntimeFunction,
    read_unwind_info,
)
from analysis.memory.reader import Memory
from analysis.symbols.pe import DIRECTORY_EXCEPTION, FUNCTION, PeImage, Section, read_image


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a function: where it begins, and where the function itself begins, as RVAs."""

    begin: int
    function: int


class Image:
    """One module's image in memory."""

    def __init__(self, memory: Memory, module: Module) -> None:
        self.base: VirtAddr = module.base
        self.size = module.size
        self._memory = memory
        self._pe = _headers(memory, module)
        self._rows: NDArray[np.void] | None = None
        self._gaps = True

    def read(self, rva: int, size: int) -> bytes:
        """Bytes of the image. Raises: Unreadable, also where the range leaves the image."""
        if rva < 0 or rva + size > self.size:
            raise Unreadable(self.base + rva, Absence.NOT_MAPPED, "outside its image")
        return self._memory.read(self.base + rva, size)

    def is_code(self, rva: int) -> bool | None:
        """Whether the section of ``rva`` is executable; None where the section table was not saved."""
        if self._pe is None or not self._pe.sections:
            return None
        return any(_holds(section, rva) and section.executable for section in self._pe.sections)

    def function_at(self, rva: int) -> RuntimeFunction | None:
        """The .pdata row that covers ``rva``; None where all rows are there and none does.

        Raises:
            Unreadable: the row may be in a page that was not saved, or the image has no such rows at all.
        """
        rows = self._functions()
        index = int(np.searchsorted(rows["begin"], rva, side="right")) - 1
        if index >= 0 and rva < int(rows["end"][index]):
            begin, end, unwind = rows[index].tolist()
            return RuntimeFunction(begin, end, unwind)
        if self._gaps:
            raise Unreadable(self.base + rva, Absence.NOT_SAVED, "its unwind data were not saved")
        return None

    def part_of_function(self, rva: int) -> Part | None:
        """The part of a function that ``rva`` lies in, by its .pdata row and the row that it is chained to.

        None where unwind data are missing, contradictory, or cover no function there.
        """
        try:
            first = row = self.function_at(rva)
            for _ in range(MAX_CHAIN):
                if first is None or row is None or row.unwind & 1:
                    return None
                info = read_unwind_info(self.read, row.unwind)
                if info.chained is None:
                    return Part(first.begin, row.begin)
                row = info.chained
        except (Unreadable, BadUnwind):
            pass
        return None

    def _functions(self) -> NDArray[np.void]:
        if self._rows is None:
            self._rows = np.empty(0, FUNCTION) if self._pe is None else self._pe.functions()
            if self._pe is not None:
                _, size = self._pe.directory(DIRECTORY_EXCEPTION)
                # A packed driver may have no function table at all: that says nothing about its functions.
                self._gaps = not size or len(self._rows) != size // RUNTIME_FUNCTION_SIZE
        return self._rows


class Images:
    """The images of one dump, opened when first asked for."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._open: dict[VirtAddr, Image] = {}

    def of(self, module: Module) -> Image:
        """The image of ``module``."""
        image = self._open.get(module.base)
        if image is None:
            image = self._open[module.base] = Image(self._memory, module)
        return image


def _headers(memory: Memory, module: Module) -> PeImage | None:
    try:
        return read_image(memory, module.base)
    except (Unreadable, BadDump):
        return None


def _holds(section: Section, rva: int) -> bool:
    return section.rva <= rva < section.rva + section.size
