"""The loaded images as code: bytes, .pdata rows and executable sections, each as far as its pages were saved.

In a kernel dump single pages of an image are missing (pageable code, its .pdata), so rows are kept page by page
and an address that falls into a gap is told apart from one that no function covers.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.address import PAGE_SIZE, VirtAddr
from analysis.errors import Absence, Unreadable
from analysis.kernel.facts import Module
from analysis.kernel.unwind_codes import RUNTIME_FUNCTION_SIZE, RuntimeFunction
from analysis.memory.reader import Memory

EXCEPTION_DIRECTORY = 3
EXECUTABLE = 0x2000_0000  # IMAGE_SCN_MEM_EXECUTE
MAX_SECTIONS = 96  # the loader's own limit
MAX_PDATA_BYTES = 1 << 24  # 1.4 million functions; nt has 60,000
PE_PLUS = 0x20B


class Image:
    """One module's image in memory."""

    def __init__(self, memory: Memory, module: Module) -> None:
        self.base = module.base
        self.size = module.size
        self._memory = memory
        self._sections = self._read_sections()
        self._rows: NDArray[np.uint32] | None = None
        self._gaps = False

    def read(self, rva: int, size: int) -> bytes:
        """Bytes of the image. Raises: Unreadable, also where the range leaves the image."""
        if rva < 0 or rva + size > self.size:
            raise Unreadable(self.base + rva, Absence.NOT_MAPPED, "outside its image")
        return self._memory.read(self.base + rva, size)

    def is_code(self, rva: int) -> bool | None:
        """Whether the section of ``rva`` is executable; None where the section table was not saved."""
        if self._sections is None:
            return None
        return any(start <= rva < end and flags & EXECUTABLE for start, end, flags in self._sections)

    def function_at(self, rva: int) -> RuntimeFunction | None:
        """The .pdata row that covers ``rva``; None where all rows are there and none does.

        Raises:
            Unreadable: the row may be in a page that was not saved.
        """
        if self._rows is None:
            self._rows = self._read_rows()
        index = int(np.searchsorted(self._rows[:, 0], rva, side="right")) - 1
        if index >= 0:
            begin, end, unwind = (int(value) for value in self._rows[index])
            if begin <= rva < end:
                return RuntimeFunction(begin, end, unwind)
        if self._gaps:
            raise Unreadable(self.base + rva, Absence.NOT_SAVED, "its unwind data were not saved")
        return None

    def _headers(self) -> tuple[int, int, int]:
        """The RVA of the optional header, its size, the number of sections. Raises: Unreadable."""
        nt = int.from_bytes(self.read(0x3C, 4), "little")
        if self.read(0, 2) != b"MZ" or nt > 0x1000 - 0x108 or self.read(nt, 4) != b"PE\0\0":
            raise Unreadable(self.base, Absence.NOT_MAPPED, "no image headers there")
        sections = int.from_bytes(self.read(nt + 6, 2), "little")
        return nt + 24, int.from_bytes(self.read(nt + 20, 2), "little"), min(sections, MAX_SECTIONS)

    def _read_sections(self) -> list[tuple[int, int, int]] | None:
        try:
            optional, size, count = self._headers()
            table = self.read(optional + size, count * 40)
        except Unreadable:
            return None
        sections = []
        for at in range(0, len(table), 40):
            length, start = (int.from_bytes(table[at + field : at + field + 4], "little") for field in (8, 12))
            sections.append((start, start + length, int.from_bytes(table[at + 36 : at + 40], "little")))
        return sections

    def _exception_directory(self) -> tuple[int, int]:
        optional, _, _ = self._headers()
        if int.from_bytes(self.read(optional, 2), "little") != PE_PLUS:
            raise Unreadable(self.base, Absence.NOT_MAPPED, "not a 64-bit image")
        entry = self.read(optional + 112 + EXCEPTION_DIRECTORY * 8, 8)
        rva, size = int.from_bytes(entry[:4], "little"), int.from_bytes(entry[4:], "little")
        size = min(size, MAX_PDATA_BYTES, max(self.size - rva, 0))
        return rva, size - size % RUNTIME_FUNCTION_SIZE

    def _read_rows(self) -> NDArray[np.uint32]:
        empty = np.empty((0, 3), np.uint32)
        try:
            rva, size = self._exception_directory()
        except Unreadable:
            self._gaps = True
            return empty
        raw = bytearray(size)
        for start in range(0, size, PAGE_SIZE):
            length = min(PAGE_SIZE, size - start)
            raw[start : start + length] = self._page_by_page(rva + start, length)
        rows = np.frombuffer(bytes(raw), "<u4").reshape(-1, 3)
        # Rows in missing pages, and the padding some linkers leave, read as zeros.
        rows = rows[(rows[:, 0] != 0) & (rows[:, 0] < rows[:, 1]) & (rows[:, 2] != 0)]
        return rows[np.argsort(rows[:, 0], kind="stable")] if len(rows) else empty

    def _page_by_page(self, rva: int, length: int) -> bytes:
        cut = min(length, PAGE_SIZE - (self.base + rva) % PAGE_SIZE)
        out = b""
        for start, size in ((rva, cut), (rva + cut, length - cut)):
            try:
                out += self.read(start, size) if size else b""
            except Unreadable:
                self._gaps = True
                out += bytes(size)
        return out


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
