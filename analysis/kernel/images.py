"""The loaded images as code: bytes, .pdata rows and executable sections, each as far as it can be had.

In a kernel dump single pages of an image are missing (pageable code, its .pdata), in a small dump all of them. They are
taken from the image's file where that is at hand; else an address whose row may be in a missing page is told apart from
one that no function covers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.address import VirtAddr
from analysis.errors import Absence, BadDump, Unreadable
from analysis.kernel.arm64_records import PACKED_FRAGMENT, Arm64Unwind, function_length, read_arm64_unwind
from analysis.kernel.facts import Module
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.unwind_codes import (
    MAX_CHAIN,
    BadUnwind,
    RuntimeFunction,
    UnwindInfo,
    read_unwind_info,
)
from analysis.memory.reader import Memory
from analysis.symbols.image_file import ImageFile
from analysis.symbols.pe import DIRECTORY_EXCEPTION, FUNCTION, MACHINE_ARM64, PeImage, read_image

MAX_KEPT_UNWIND = 4096


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a function: where it begins, and where the function itself begins, as RVAs."""

    begin: int
    function: int


class Image:
    """One module's image: its bytes in memory, and behind them those of its file."""

    def __init__(self, memory: Memory, module: Module, files: ImageFiles | None = None) -> None:
        self.base: VirtAddr = module.base
        self.size = module.size
        self._memory = memory
        self._module = module
        self._files = files
        self._rows: NDArray[np.void] | None = None
        self._gaps = True
        self._unwind: dict[int, Arm64Unwind] = {}  # of ARM64, by the second word of a row
        self._infos: dict[int, UnwindInfo] = {}  # of x64, by RVA
        self._covering: dict[int, RuntimeFunction] = {}  # rows by an RVA that they cover

    def read(self, rva: int, size: int) -> bytes:
        """Bytes of the image. Raises: Unreadable, also where the range leaves the image."""
        if rva < 0 or rva + size > self.size:
            raise Unreadable(self.base + rva, Absence.NOT_MAPPED, "outside its image")
        try:
            return self._memory.read(self.base + rva, size)
        except Unreadable:
            file = self._file
            # What a running system writes to differs from the file.
            if file is None or not (file.is_constant(rva) and file.is_constant(rva + size - 1)):
                raise
            return file.read(self.base + rva, size)

    def read_available(self, rva: int, size: int) -> bytes:
        """The longest prefix of a range that can be read, possibly empty."""
        size = min(size, self.size - rva)
        try:
            return self.read(rva, size) if rva >= 0 and size > 0 else b""
        except Unreadable as gap:
            got = gap.address - self.base - rva
        return self.read(rva, got) if 0 < got < size else b""

    @property
    def arm64(self) -> bool:
        """Whether it holds ARM64 code; False where its headers were not saved."""
        return self._pe is not None and self._pe.machine == MACHINE_ARM64

    def is_code(self, rva: int) -> bool | None:
        """Whether the section of ``rva`` is executable; None where the section table cannot be had."""
        if self._pe is None or not self._pe.sections:
            return None
        return any(section.holds(rva) and section.executable for section in self._pe.sections)

    def function_at(self, rva: int) -> RuntimeFunction | None:
        """The .pdata row that covers ``rva``; None where all rows are there and none does.

        Raises:
            Unreadable: the row may be in a page that was not saved, or the image has no such rows at all.
        """
        known = self._covering.get(rva)
        if known is not None:  # the same calls are on many stacks
            return known
        rows = self._functions()
        index = int(np.searchsorted(rows["begin"], rva, side="right")) - 1
        row = self._row(index) if index >= 0 else None
        if row is not None and rva < row.end:
            if len(self._covering) >= MAX_KEPT_UNWIND:
                self._covering.clear()
            self._covering[rva] = row
            return row
        if self._gaps:
            raise Unreadable(self.base + rva, Absence.NOT_SAVED, "its unwind data were not saved")
        return None

    def _row(self, index: int) -> RuntimeFunction:
        begin, *end, unwind = self._functions()[index].tolist()
        # A row of ARM64 does not tell where its function ends; its unwind data do.
        return RuntimeFunction(begin, end[0] if end else begin + function_length(self.read, unwind), unwind)

    def arm64_unwind(self, row: RuntimeFunction) -> Arm64Unwind:
        """The unwind data of a row of ``function_at`` in an ARM64 image. Raises: BadUnwind, Unreadable."""
        known = self._unwind.get(row.unwind)
        if known is None:
            if len(self._unwind) >= MAX_KEPT_UNWIND:
                self._unwind.clear()
            known = self._unwind[row.unwind] = read_arm64_unwind(self.read, row.unwind)
        return known

    def unwind_info(self, rva: int) -> UnwindInfo:
        """The x64 unwind data at ``rva``; many stacks ask for the same. Raises: BadUnwind, Unreadable."""
        known = self._infos.get(rva)
        if known is None:
            if len(self._infos) >= MAX_KEPT_UNWIND:
                self._infos.clear()
            known = self._infos[rva] = read_unwind_info(self.read, rva)
        return known

    def part_of_function(self, rva: int) -> Part | None:
        """The part of a function that ``rva`` lies in, by its .pdata row and the row that it is chained to.

        None where unwind data are missing, contradictory, or cover no function there.
        """
        try:
            first = row = self.function_at(rva)
            if row is not None and self.arm64:
                return None if row.unwind & 3 == PACKED_FRAGMENT else Part(row.begin, row.begin)
            for _ in range(MAX_CHAIN):
                if first is None or row is None or row.unwind & 1:
                    return None
                info = self.unwind_info(row.unwind)
                if info.chained is None:
                    return Part(first.begin, row.begin)
                row = info.chained
        except (Unreadable, BadUnwind):
            pass
        return None

    def _functions(self) -> NDArray[np.void]:
        if self._rows is None:
            self._rows, self._gaps = _functions_in(self._pe)
            if self._gaps and self._file is not None:
                self._rows, self._gaps = _functions_in(self._file.headers)
        return self._rows

    @cached_property
    def _pe(self) -> PeImage | None:
        try:
            return read_image(self._memory, self.base)
        except (Unreadable, BadDump):
            return self._file.headers if self._file is not None else None

    @property
    def _file(self) -> ImageFile | None:
        return self._files.of(self._module) if self._files is not None else None


class Images:
    """The images of one dump, opened when first asked for. ``files`` has those of images that were not saved whole."""

    def __init__(self, memory: Memory, files: ImageFiles | None = None) -> None:
        self._memory = memory
        self._files = files
        self._open: dict[VirtAddr, Image] = {}

    def of(self, module: Module) -> Image:
        """The image of ``module``."""
        image = self._open.get(module.base)
        if image is None:
            image = self._open[module.base] = Image(self._memory, module, self._files)
        return image


# The rows of an image's function table, and whether some are missing.
def _functions_in(image: PeImage | None) -> tuple[NDArray[np.void], bool]:
    if image is None:
        return np.empty(0, FUNCTION), True
    _, size = image.directory(DIRECTORY_EXCEPTION)
    rows = image.functions_arm64() if image.machine == MACHINE_ARM64 else image.functions()
    # A packed driver may have no function table at all: that says nothing about its functions.
    return rows, not size or len(rows) != size // rows.itemsize
