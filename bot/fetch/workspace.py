"""A directory for one job's files, deleted when the job lets go of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def downloads(home: Path) -> Path:
    """Where downloaded dumps lie under the home directory."""
    return home / "downloads"


def job_name(job_id: int) -> str:
    """The directory's name of a job."""
    return f"job-{job_id}"


@contextmanager
def workspace(home: Path, name: str, *, keep: bool = False) -> Iterator[Path]:
    """A private directory for job ``name``, empty at the start, gone at the end unless ``keep``.

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
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
