"""From a symbol's section and offset to an RVA and back, through OMAP where an optimiser moved code after linking."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SECTION_HEADER = np.dtype([("name", "S8"), ("size", "<u4"), ("rva", "<u4"), ("rest", "V24")])
OMAP = np.dtype([("source", "<u4"), ("target", "<u4")])

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Sections:
    """The sections that symbols count in. ``starts`` and ``sizes`` are RVAs and bytes, the first section first.

    Where an image was rearranged after linking, these are the sections before that; ``to_image`` and ``from_image``
    are the maps (``OMAP``, by rising source) from there to the image and back.
    """

    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    to_image: NDArray[np.void] | None = None
    from_image: NDArray[np.void] | None = None

    def linked(self, sections: NDArray[np.integer], offsets: NDArray[np.integer]) -> NDArray[np.int64]:
        """RVAs as linked of places in sections (numbered from 1); ``NOWHERE`` for those in no section."""
        index = sections.astype(np.int64) - 1
        sound = (index >= 0) & (index < len(self.starts))
        if not len(self.starts):
            return np.full(len(index), NOWHERE, np.int64)
        index = np.where(sound, index, 0)
        inside = sound & (offsets < self.sizes[index])
        return np.where(inside, self.starts[index] + offsets.astype(np.int64), NOWHERE)

    def in_image(self, linked: int) -> int | None:
        """The RVA in the image of an RVA as linked; None where the optimiser left that out."""
        return linked if self.to_image is None else _mapped(self.to_image, linked)

    def from_rva(self, rva: int) -> int | None:
        """The RVA as linked of one in the image; None where the optimiser put in something of its own."""
        return rva if self.from_image is None else _mapped(self.from_image, rva)

    def section_of(self, linked: int) -> int | None:
        """The index, from 0, of the section that an RVA as linked lies in."""
        inside = np.flatnonzero((self.starts <= linked) & (linked < self.starts + self.sizes))
        return int(inside[0]) if len(inside) else None


def read_sections(headers: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """RVAs and sizes from a stream of section headers."""
    rows = np.frombuffer(headers, SECTION_HEADER, len(headers) // SECTION_HEADER.itemsize)
    return rows["rva"].astype(np.int64), rows["size"].astype(np.int64)


def read_omap(data: bytes) -> NDArray[np.void]:
    """An OMAP stream, by rising source."""
    rows: NDArray[np.void] = np.frombuffer(data, OMAP, len(data) // OMAP.itemsize)
    return rows[np.argsort(rows["source"], kind="stable")]


# An entry holds from its source up to the next one's; target 0 says that nothing is there.
def _mapped(omap: NDArray[np.void], rva: int) -> int | None:
    at = int(np.searchsorted(omap["source"], rva, side="right")) - 1
    if at < 0 or not int(omap["target"][at]):
        return None
    return int(omap["target"][at]) + rva - int(omap["source"][at])
