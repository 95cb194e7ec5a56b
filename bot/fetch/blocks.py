"""Pages of remote dumps on disk: sparse files shared by all jobs that read the same dump.

A dump is known by address, validator and size; each has a directory with the sparse ``data`` and one byte a page in
``marks``. Written by this process only after a page's bytes, a mark means that they are there. The marks of a machine
that went down may have reached the disk without the bytes, so they count only until the next start of the system. A
directory in use is locked; those of nobody are thrown away, the longest unused first, when all take too much room.
"""

import hashlib
import json
import mmap
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

PAGE = 4096
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_OWN = uuid.uuid4().hex  # where a system does not say when it started, marks count within this process only

Run = tuple[int, int]  # first page, number of pages


def blocks_home(home: Path) -> Path:
    """Where the pages lie under the home directory."""
    return home / "blocks"


class BlockFile:
    """The pages of one dump of ``size`` bytes, shared while it is open.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self.size = size
        self.pages = -(-size // PAGE)
        self.data, self.marks = directory / "data", directory / "marks"
        self._lock = _locked(directory)
        with (directory / "making").open("a+b") as making:  # of two at once, one makes and the other finds
            _lock(making, "LOCK_EX")
            if not self._is_current(directory / "about.json"):
                _make(self.data, size)
                _make(self.marks, self.pages)
                (directory / "about.json").write_text(json.dumps(self._about()))
        os.utime(directory)
        self._data = self.data.open("r+b")
        self._marked = self.marks.open("r+b")
        self._map = mmap.mmap(self._marked.fileno(), self.pages)

    def write(self, offset: int, data: bytes) -> None:
        """Keep bytes that start on a page's border and end on one, or at the end of the file. Raises: OSError."""
        os.pwrite(self._data.fileno(), data, offset)
        first = offset // PAGE
        count = (min(offset + len(data), self.size) - offset + PAGE - 1) // PAGE
        self._map[first : first + count] = b"\1" * count

    def missing(self, runs: list[Run]) -> list[Run]:
        """The parts of these runs whose pages are not there, runs outside the file left out."""
        found: list[Run] = []
        for first, count in runs:
            position, end = max(first, 0), min(first + count, self.pages)
            while (start := self._map.find(b"\0", position, end)) >= 0:
                stop = self._map.find(b"\1", start, end)
                position = end if stop < 0 else stop
                found.append((start, position - start))
        return found

    def close(self) -> None:
        """Let go of it. Safe to call twice."""
        if not self._map.closed:
            self._map.close()
        for file in (self._data, self._marked, self._lock):
            file.close()

    def _about(self) -> dict[str, object]:
        return {"size": self.size, "since": _start_of_system()}

    def _is_current(self, about: Path) -> bool:
        try:
            known = json.loads(about.read_text()) == self._about()
            return known and self.data.stat().st_size == self.size and self.marks.stat().st_size == self.pages
        except (OSError, ValueError):
            return False


def open_blocks(home: Path, url: str, validator: str, size: int) -> BlockFile:
    """The pages of the dump at ``url`` in this very version. Nothing of the address can be read from the disk.

    Raises:
        OSError: no room, or no file can be made.
    """
    key = hashlib.sha256("\0".join((url, validator, str(size))).encode()).hexdigest()
    return BlockFile(blocks_home(home) / key, size)


def tidy_blocks(home: Path, limit: int) -> int:
    """Throw away what nobody uses, the longest unused first, until all takes at most ``limit`` bytes; how many."""
    found = sorted(places(home), key=lambda place: place.stat().st_mtime)
    used = {place: _disk_use(place) for place in found}
    total, gone = sum(used.values()), 0
    for place in found:
        if total > limit and drop_blocks(place):
            total -= used[place]
            gone += 1
    return gone


def places(home: Path) -> list[Path]:
    """The directory of each dump of which there are pages."""
    with suppress(OSError):
        return [place for place in blocks_home(home).iterdir() if place.is_dir()]
    return []


def _disk_use(place: Path) -> int:
    # A sparse file is as large as the dump and takes what was written of it.
    return sum(getattr(file.stat(), "st_blocks", 0) * 512 for file in place.iterdir())


def drop_blocks(place: Path) -> bool:
    """Throw away the pages of one dump. False: somebody reads them just now."""
    with suppress(OSError), (place / "lock").open("a+b") as lock:
        if _lock(lock, "LOCK_EX", "LOCK_NB"):
            shutil.rmtree(place)
            return True
    return False


def _make(path: Path, size: int) -> None:
    # A new file, never the old one emptied: another process may have that one mapped.
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.truncate(size)


def _start_of_system() -> str:
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return _OWN


def _locked(directory: Path) -> IO[bytes]:
    # The directory with its shared lock held. One that was thrown away while we waited for the lock is made again.
    while True:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            lock = (directory / "lock").open("a+b")
        except FileNotFoundError:
            continue
        _lock(lock, "LOCK_SH")
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), (directory / "lock").stat()):
                return lock
        lock.close()


def _lock(file: IO[bytes], *how: str) -> bool:
    # Whether the lock is held, at once for LOCK_NB. Without locks (Windows) what is unused cannot be told.
    try:
        import fcntl

        fcntl.flock(file, sum(getattr(fcntl, word) for word in how))
    except ImportError:
        return False
    except OSError:
        if "LOCK_NB" in how:
            return False
        raise
    return True
