"""An executable file, read as the loader would lay it out: what takes the place of pages that a dump does not hold.

Relocations are not applied, so absolute addresses inside it are those of its preferred base. Headers, exports, function
tables and unwind data are all relative. Source: the public PE/COFF specification.
"""

from dataclasses import replace
from pathlib import Path

from analysis.address import VirtAddr
from analysis.errors import Absence, BadDump, BadSymbols, Unreadable
from analysis.formats.raw import RawFile
from analysis.limits import MAX_IMAGE_FILE
from analysis.memory.reader import Memory
from analysis.symbols.names import ImageIdentity
from analysis.symbols.pe import HEADER_BYTES, PeImage, read_image


class ImageFile(Memory):
    """The bytes of an image file at the addresses that they have once loaded at ``base``.

    Raises:
        BadSymbols: the file cannot be opened, or is no executable image.
    """

    def __init__(self, path: Path, base: int) -> None:
        self.path = path
        self.base = VirtAddr(base)
        try:
            self._raw = RawFile(path)
        except OSError as error:
            raise BadSymbols(path.name, f"cannot be read ({error.__class__.__name__})") from error
        try:
            self.headers = self._read_headers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the file back. Safe to call twice."""
        self._raw.close()

    @property
    def identity(self) -> ImageIdentity:
        """What the image says of itself, under its file's name."""
        return ImageIdentity(self.path.name, self.headers.timestamp, self.headers.size_of_image)

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises: Unreadable, where neither the headers nor a section lie."""
        found = bytearray()
        rva = address - self.base
        while len(found) < size:
            part = self._part(rva + len(found), size - len(found))
            if not part:
                raise Unreadable(address + len(found), Absence.NOT_MAPPED, f"{self.path.name} has nothing there")
            found += part
        return bytes(found)

    @property
    def is_whole(self) -> bool:
        """Whether the file holds all that its sections say it does."""
        return all(
            self._raw.available(section.file_offset, section.file_size) == section.file_size
            for section in self.headers.sections
        )

    def is_constant(self, rva: int) -> bool:
        """Whether what lies at an RVA is the same in memory as in the file, but for relocations."""
        return not any(section.writable and section.holds(rva) for section in self.headers.sections)

    # As many of the bytes as lie together: in the headers, in the file's part of a section, in the zeros behind that.
    def _part(self, rva: int, size: int) -> bytes:
        if 0 <= rva < self._header_bytes:
            return self._raw.read(rva, min(size, self._header_bytes - rva), "headers")
        section = next((one for one in self.headers.sections if one.holds(rva)), None)
        if section is None:
            return b""
        into = rva - section.rva
        size = min(size, section.size - into)
        held = self._raw.available(section.file_offset, section.file_size)
        if into >= held:
            return bytes(size)
        return self._raw.read(section.file_offset + into, min(size, held - into), "a section")

    def _read_headers(self) -> PeImage:
        if self._raw.size > MAX_IMAGE_FILE:
            raise BadSymbols(self.path.name, f"larger than {MAX_IMAGE_FILE} bytes")
        self._header_bytes = min(HEADER_BYTES, self._raw.size)
        start = _Start(self._raw.read(0, self._header_bytes, "headers"), self.base)
        try:
            found = read_image(start, self.base)
        except (BadDump, Unreadable) as error:
            raise BadSymbols(self.path.name, "not an executable image") from error
        return replace(found, memory=self)


class _Start(Memory):
    # The first bytes of a file, before its sections are known.

    def __init__(self, data: bytes, base: int) -> None:
        self._data = data
        self._base = base

    def read(self, address: int, size: int) -> bytes:
        at = address - self._base
        if at < 0 or at + size > len(self._data):
            raise Unreadable(max(address, self._base + len(self._data)), Absence.NOT_MAPPED)
        return self._data[at : at + size]


def open_image(path: Path, wanted: ImageIdentity, base: int) -> ImageFile:
    """The image file that ``wanted`` names, laid out at ``base``.

    Raises:
        BadSymbols: it cannot be read, is no image, another one's file, or not whole.
    """
    image = ImageFile(path, base)
    found = image.identity
    if (found.timestamp, found.size) != (wanted.timestamp, wanted.size):
        image.close()
        has, asked = f"{found.timestamp:08x}-{found.size:x}", f"{wanted.timestamp:08x}-{wanted.size:x}"
        raise BadSymbols(path.name, f"it is {has}, but {asked} is asked for: not used")
    if not image.is_whole:
        image.close()
        raise BadSymbols(path.name, "cut short: its sections go on behind the end of the file")
    return image
