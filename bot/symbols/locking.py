"""One download per file, also across processes: the second one waits, and then finds what the first one fetched."""

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

FOLDER = ".locks"
SLOTS = 256  # lock files; two files that share one wait for each other, which costs time and no more
STEP_SECONDS = 0.05


@contextmanager
def alone(store: Path, what: str, until: float) -> Iterator[bool]:
    """Holds the lock of a file of a store; whether it was had before ``until`` (``time.monotonic``).

    Where the system has no such locks, or the store cannot be written, nobody waits: files are put in place whole, so
    that a second download is a waste and no harm.
    """
    if sys.platform == "win32":
        yield True
        return
    slot = hashlib.sha256(what.encode()).digest()[0] % SLOTS
    try:
        (store / FOLDER).mkdir(parents=True, exist_ok=True)
        file = (store / FOLDER / f"{slot:02x}").open("a")
    except OSError:
        yield True
        return
    with file:
        held = _taken(file.fileno(), until)
        yield held


if sys.platform != "win32":

    def _taken(number: int, until: float) -> bool:
        while True:
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back when the file is closed
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                time.sleep(STEP_SECONDS)
            except OSError:  # a file system without locks
                return True
            else:
                return True
