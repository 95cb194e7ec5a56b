"""Physical memory of a page dump: page frame to bytes, through the dump's page map."""

from analysis.address import PAGE_MASK, PAGE_SIZE, PhysAddr
from analysis.errors import Absence, Unreadable
from analysis.formats.image import PageMap
from analysis.formats.raw import RawFile

_CACHED_FRAMES = 1 << 16


class PhysicalMemory:
    """Reads at physical addresses. Remembers where the last 65,536 frames lie, no page's content."""

    __slots__ = ("_frames", "pages", "raw")

    def __init__(self, raw: RawFile, pages: PageMap) -> None:
        self.raw = raw
        self.pages = pages
        self._frames: dict[int, int] = {}

    def page_offset(self, address: int) -> int | None:
        """Where the page of a physical address starts in the file, or None if it was not saved."""
        frame = address >> 12
        offset = self._frames.get(frame)
        if offset is None:
            found = self.pages.file_offset(frame)
            offset = -1 if found is None else found
            if len(self._frames) >= _CACHED_FRAMES:
                self._frames.clear()
            self._frames[frame] = offset
        return None if offset < 0 else offset

    def read(self, address: PhysAddr, size: int) -> bytes:
        """Exactly ``size`` bytes at a physical address; each page of the range is looked up by itself.

        Raises:
            Unreadable: a page of the range was not saved.
        """
        parts = []
        position, end = int(address), address + size
        while position < end:
            # What is left in this page: it changes with every page of a range that starts inside one.
            length = min(PAGE_SIZE - (position & PAGE_MASK), end - position)
            offset = self.page_offset(position)
            if offset is None:
                raise Unreadable(position, Absence.NOT_SAVED, "a physical address")
            parts.append(self.raw.read(offset + (position & PAGE_MASK), length, "a page of memory"))
            position += length
        return b"".join(parts)
