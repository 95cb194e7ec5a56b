"""Names of a stream's records as arrays: found by their CRC-32, told apart by the stream itself, kept on disk as is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Names:
    """The CRC-32 of each name, rising, and which record it is of; equal ones stand in the order they were given in."""

    hashes: NDArray[np.uint32]
    rows: NDArray[np.int32]

    def candidates(self, name: bytes) -> list[int]:
        """The records whose name may be this one, in order."""
        wanted = np.uint32(crc32(name))
        first, last = np.searchsorted(self.hashes, wanted), np.searchsorted(self.hashes, wanted, side="right")
        found: list[int] = self.rows[first:last].tolist()
        return found


def names_of(data: bytes, spans: Iterable[tuple[int, int]]) -> Names:
    """The names that lie in spans of a stream, each up to its first zero, in order."""
    hashes = np.fromiter(_hashes(data, spans), np.uint32)
    order = np.argsort(hashes, kind="stable")
    return Names(hashes[order], order.astype(np.int32))


def _hashes(data: bytes, spans: Iterable[tuple[int, int]]) -> Iterator[int]:
    find, view = data.find, memoryview(data)
    for start, end in spans:
        close = find(b"\0", start, end)
        yield crc32(view[start : end if close < 0 else close])
