"""A directory for one job's files, deleted when the job lets go of it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from bot.fetch.limits import Keep

SMALL_BYTES = 100_000_000  # of one job's files
KEPT = "kept-"  # before the name of a directory whose job is over


def downloads(home: Path) -> Path:
    """Where downloaded dumps lie under the home directory."""
    return home / "downloads"


def job_name(job_id: int) -> str:
    """The directory's name of a job."""
    return f"job-{job_id}"


@contextmanager
def workspace(home: Path, name: str, *, keep: Keep = "never") -> Iterator[Path]:
    """A private directory for job ``name``, empty at the start, gone at the end unless it is one to ``keep``: then its
    name is ``kept-…``.

    Raises:
        ValueError: the name is not a plain file name.
        OSError: it cannot be made.
    """
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ValueError(f"{name!r} is not a plain file name")
    directory = downloads(home) / name
    shutil.rmtree(directory, ignore_errors=True)  # a killed predecessor's
    directory.mkdir(parents=True, mode=0o700)
    try:
        yield directory
    finally:
        if keep == "always" or (keep == "small" and _size(directory) <= SMALL_BYTES):
            kept = directory.with_name(f"{KEPT}{name}")
            shutil.rmtree(kept, ignore_errors=True)
            directory.replace(kept)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def make_room(directory: Path, needed: int, quota: int) -> bool:
    """Delete kept dumps under the download directory, the oldest first, until ``needed`` more bytes stay within the
    quota. False: they do not, even without any kept dump."""
    sizes = {entry: _size(entry) for entry in directory.iterdir()} if directory.is_dir() else {}
    used = sum(sizes.values())
    for entry in sorted(sizes, key=_changed):
        if used + needed <= quota:
            break
        if entry.name.startswith(KEPT):
            shutil.rmtree(entry, ignore_errors=True)
            used -= sizes[entry]
    return used + needed <= quota


def _size(entry: Path) -> int:
    total = 0
    for path in entry.rglob("*") if entry.is_dir() else (entry,):
        with suppress(FileNotFoundError):  # its owner is deleting it right now
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _changed(entry: Path) -> float:
    try:
        return entry.lstat().st_mtime
    except FileNotFoundError:
        return 0.0


@asynccontextmanager
async def workspace_aside(home: Path, name: str, *, keep: Keep = "never") -> AsyncIterator[Path]:
    """``workspace`` beside an event loop: a file system takes seconds to delete a dump of many gigabytes.

    Raises: as ``workspace``.
    """
    made = workspace(home, name, keep=keep)
    directory = await asyncio.to_thread(made.__enter__)
    try:
        yield directory
    finally:
        await asyncio.to_thread(made.__exit__, None, None, None)
