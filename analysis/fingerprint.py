"""What tells one dump from another: its identity from the first bytes, and the hash of all of them."""

import hashlib
import threading
from pathlib import Path
from types import TracebackType

IDENTITY_BYTES = 8192
HASH_LIMIT = 1 << 30  # bytes; hashing more takes longer than the analysis, even beside it on another processor
_BLOCK = 1 << 20

# What a report says where the hash is not known.
NOT_HASHED = "The SHA-256 of the whole file: it is larger than what is hashed during an analysis."
NOT_FETCHED = "The SHA-256 of the whole file: only what the analysis reads of it was fetched."


def identity(path: Path, size: int) -> str:
    """The identity of a file of ``size`` bytes."""
    with path.open("rb") as file:
        return identity_of(size, file.read(IDENTITY_BYTES))


def identity_of(size: int, first: bytes) -> str:
    """The same for a dump however it was fetched: "1:" and a hash of its size and its first 8,192 bytes."""
    return "1:" + hashlib.sha256(size.to_bytes(8, "little") + first[:IDENTITY_BYTES]).hexdigest()


class BackgroundHash:
    """The SHA-256 of a file, made in a thread beside the analysis; hashing leaves the interpreter free.

    ``known`` is the hash where the file was hashed on its way in. A file above ``HASH_LIMIT`` is not
    hashed, nor one that is not ``possible`` to hash because not all of it is there.
    """

    def __init__(self, path: Path, known: str | None = None, *, possible: bool = True) -> None:
        self._path = path
        self._result = known
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if known is None and possible and path.stat().st_size <= HASH_LIMIT:
            self._thread = threading.Thread(target=self._work, name="hash", daemon=True)

    def __enter__(self) -> "BackgroundHash":
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def result(self) -> str | None:
        """The hash, waited for; None where the file is too large to be hashed or changed into none."""
        if self._thread is not None:
            self._thread.join()
        return self._result

    def _work(self) -> None:
        digest = hashlib.sha256()
        try:
            with self._path.open("rb") as file:
                while block := file.read(_BLOCK):
                    if self._stop.is_set():
                        return
                    digest.update(block)
        except OSError:
            return
        self._result = digest.hexdigest()
