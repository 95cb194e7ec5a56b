"""Symbol stores on disk: where a file lies in one, how it gets there whole, and how they are kept within their size.

Only what was put there by this program is ever removed: a note beside each such file says so. Source: Microsoft Learn,
"Using SymStore": two letters of the name stand above the name where the store's root holds a file index2.txt.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from analysis.symbols.names import Wanted
from analysis.symbols.search import packed_name, store_places

INDEX = "index2.txt"
POINTER = "file.ptr"
MAX_POINTER = 4096  # bytes of a file.ptr
NOTE, MISSING = ".fetched", "missing.json"
FRESH_SECONDS = 600.0  # what was used so lately may be in use


def place_in(store: Path, wanted: Wanted) -> Path:
    """The folder of a file in a store, whether or not it is there."""
    above = store / wanted.name[:2].lower() if (store / INDEX).is_file() else store
    return above / wanted.name / wanted.key


def held(directory: Path, wanted: Wanted) -> Iterator[Path]:
    """Files of a directory that may be the wanted one: at its places in a store, then a plain file."""
    yield from store_places(directory, wanted)
    plain = directory / wanted.name
    if plain.is_file():
        yield plain


def packed(directory: Path, wanted: Wanted) -> Iterator[Path]:
    """As ``held``, compressed."""
    for place in (*_folders(directory, wanted), directory):
        path = place / packed_name(wanted.name)
        if path.is_file():
            yield path


def pointed(directory: Path, wanted: Wanted) -> str | None:
    """What a file.ptr at the wanted file's place says, or None: there is none."""
    for place in _folders(directory, wanted):
        with suppress(OSError), (place / POINTER).open("rb") as file:
            return pointer_text(file.read(MAX_POINTER))
    return None


def pointer_text(content: bytes) -> str:
    """The one line of a file.ptr."""
    return " ".join(content.decode("utf-8", "replace").split())


def _folders(directory: Path, wanted: Wanted) -> Iterator[Path]:
    for below in (directory, directory / wanted.name[:2], directory / wanted.name[:2].lower()):
        for key in dict.fromkeys((wanted.key, wanted.key.lower(), wanted.key.upper())):
            yield below / wanted.name / key


@contextmanager
def part_of(place: Path) -> Iterator[Path]:
    """A file to write to, beside its final place: nobody must find one that is not whole. Gone at the end."""
    place.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=place, prefix=".part-")
    os.close(number)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def settle(part: Path, place: Path, wanted: Wanted, source: str) -> Path:
    """Gives a whole file its name in a store; where it lies. ``source`` is who had it. Raises: OSError."""
    path = place / wanted.name
    part.chmod(0o644)
    part.replace(path)
    (place / NOTE).write_text(json.dumps({"from": source}))
    with suppress(OSError):
        (place / MISSING).unlink(missing_ok=True)
    return path


def copy_into(store: Path, path: Path, wanted: Wanted, source: str) -> Path:
    """Copies a file to its place in a store; where it now lies. Raises: OSError."""
    place = place_in(store, wanted)
    with part_of(place) as part:
        shutil.copyfile(path, part)
        return settle(part, place, wanted, source)


def used(path: Path) -> None:
    """Notes that a file was used now. File systems often do not."""
    with suppress(OSError):
        os.utime(path.parent / NOTE)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that was fetched into a store: bytes, where from, when last used (seconds since 1970)."""

    path: Path
    size: int
    source: str
    last_used: float


def kept_in(store: Path) -> list[Kept]:
    """Every file that was fetched into a store, the one used longest ago first."""
    found = []
    for pattern in ("*/*", "*/*/*"):
        for note in store.glob(f"{pattern}/{NOTE}"):
            path = note.parent / note.parent.parent.name
            with suppress(OSError, ValueError, AttributeError):
                source = str(json.loads(note.read_text()).get("from", ""))
                found.append(Kept(path, path.stat().st_size, source, note.stat().st_mtime))
    return sorted(found, key=lambda kept: (kept.last_used, kept.path))


def prune(store: Path, most: int, keep: Path | None = None, fresh: float = FRESH_SECONDS) -> list[Kept]:
    """Removes fetched files that were used longest ago until they are at most ``most`` bytes; which ones.

    Files used in the last ``fresh`` seconds stay, and so does everything that was not fetched.
    """
    files = kept_in(store)
    total, gone = sum(one.size for one in files), []
    for one in files:
        if total <= most:
            break
        if one.path == keep or one.last_used > time.time() - fresh:
            continue
        with suppress(OSError):
            one.path.unlink()
            (one.path.parent / NOTE).unlink(missing_ok=True)
            total -= one.size
            gone.append(one)
            for folder in (one.path.parent, one.path.parent.parent):
                folder.rmdir()  # suppressed where something else is in it
    return gone
