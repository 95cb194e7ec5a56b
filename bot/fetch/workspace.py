"""A directory for one job's files, deleted when the job lets go of it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bot.fetch.limits import Keep

SMALL_BYTES = 100_000_000  # of one job's files


def downloads(home: Path) -> Path:
    """Where downloaded dumps lie under the home directory."""
    return home / "downloads"


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def job_name(job_id: int) -> str:
    """The directory's name of a job."""
    return f"job-{job_id}"


@contextmanager
def workspace(home: Path, name: str, *, keep: Keep = "never") -> Iterator[Path]:
    """A private directory for job ``name``, empty at the start, gone at the end unless it is one to ``keep``.

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
        if keep == "never" or (keep == "small" and _size(directory) > SMALL_BYTES):
            shutil.rmtree(directory, ignore_errors=True)


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
