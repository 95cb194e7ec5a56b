"""The index of a large PDB, kept on disk: what takes half a second to find out is read back in milliseconds.

A kept index is used only for the very file that it was made from (GUID, age, size and time of change), and only as it
was written: a checksum covers all of it, and nothing in it may lead out of the stream.
"""

import json
import os
import struct
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

VERSION = 1  # of what is kept; another one's files are made anew
WORTH = 1 << 20  # bytes of a stream below which finding out is as fast as reading back
MAX_FILES = 256
_HEAD = struct.Struct("<8sII")  # mark, checksum of the rest, bytes of the description that follows
_MARK = b"PDBINDEX"
_KINDS = frozenset({"<u4", "<i4", "<i8"})
_ALIGNED = 8


@dataclass(frozen=True, slots=True)
class Column:
    """What one array of an index holds, by NumPy's name of its numbers: as many as ``like`` has; offsets in the stream
    with ``room`` bytes behind them; or rows of the array ``of``."""

    kind: str
    like: str = ""
    room: int = 0
    of: str = ""

    def holds(self, arrays: Arrays, own: NDArray[Any], stream_size: int) -> bool:
        """Whether an array is one of these."""
        if own.dtype.str != self.kind or (self.like and len(own) != len(arrays[self.like])):
            return False
        top = len(arrays[self.of]) - 1 if self.of else stream_size - self.room
        return not (self.of or self.room) or not len(own) or bool(own.min() >= 0 and own.max() <= top)


@dataclass(frozen=True, slots=True)
class KeptIndex:
    """Where the index of one PDB file is kept; nowhere without a ``directory``. ``key`` names the file's content."""

    directory: Path | None
    key: str

    def load(self, part: str, columns: Mapping[str, Column], stream_size: int) -> Arrays | None:
        """The arrays of a part by name, or None: they are not there, damaged, or no index of a stream of that size."""
        if self.directory is None:
            return None
        try:
            content = self._path(self.directory, part).read_bytes()
            mark, checksum, length = _HEAD.unpack_from(content)
            if mark != _MARK or crc32(memoryview(content)[8 + 4 :]) != checksum:
                return None
            described = json.loads(content[_HEAD.size : _HEAD.size + length])
            found = _arrays(content, described, _HEAD.size + length)
        except (OSError, ValueError, struct.error, TypeError, AttributeError):
            return None
        # A checksum proves that it was written so, not that it was written by us: a lie would lead out of the stream.
        if found is None or set(found) != set(columns):
            return None
        return found if all(one.holds(found, found[name], stream_size) for name, one in columns.items()) else None

    def save(self, part: str, arrays: Arrays) -> None:
        """Keeps the arrays of a part. Where that cannot be, they are found out again the next time."""
        if self.directory is None:
            return
        described = {name: [one.dtype.str, len(one)] for name, one in arrays.items()}
        text = json.dumps(described).encode()
        text += b" " * (-(_HEAD.size + len(text)) % _ALIGNED)
        rest = b"".join(one.tobytes() + bytes(-one.nbytes % _ALIGNED) for one in arrays.values())
        tail = struct.pack("<I", len(text)) + text + rest
        with suppress(OSError):
            self.directory.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self.directory, prefix=".part-")
            os.close(number)
            Path(name).write_bytes(_MARK + struct.pack("<I", crc32(tail)) + tail)
            Path(name).replace(self._path(self.directory, part))
            _prune(self.directory)

    def _path(self, directory: Path, part: str) -> Path:
        return directory / f"{self.key}-{part}.v{VERSION}"


def _arrays(content: bytes, described: dict[str, list[str | int]], at: int) -> Arrays | None:
    found: dict[str, NDArray[Any]] = {}
    for name, (kind, count) in described.items():
        if kind not in _KINDS or not isinstance(count, int) or count < 0:
            return None
        found[name] = np.frombuffer(content, np.dtype(str(kind)), count, at)
        at += found[name].nbytes + -found[name].nbytes % _ALIGNED
    return found


# Those that were written longest ago go: what is still needed is made anew.
def _prune(directory: Path) -> None:
    files = sorted(directory.glob("*.v*"), key=lambda path: path.stat().st_mtime)
    for path in files[: max(0, len(files) - MAX_FILES)]:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108  # a file, never what a link leads to
