"""What crashes leave on the disk beside history: kept dumps and fetched pages; and deleting these with them."""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from analysis.fingerprint import IDENTITY_BYTES, identity, identity_of
from bot.fetch.blocks import PAGE, drop_blocks, places
from bot.fetch.workspace import KEPT, downloads, job_name
from bot.posted import numbers
from storage.forgetting import Forgotten
from storage.store import Store

FRESH_SECONDS = 3600.0


def forget_team(store: Store, home: Path, team: str) -> Forgotten:
    """Delete whatever is kept of a workspace, rows and files."""
    gone = store.forget_team(team)
    remove_files(home, gone)
    return gone


def remove_files(home: Path, gone: Forgotten) -> int:
    """Delete the kept dumps and the fetched pages of what left history; how many entries went.

    An archive that was kept goes whole, with the other dumps in it. Pages that a running analysis reads go when it
    ends, for they are found again then by what they are pages of.
    """
    wanted = gone.identities
    kept = [entry for entry in _entries(downloads(home)) if entry.name.startswith(KEPT)]
    names = {f"{KEPT}{job_name(number)}" for number in gone.jobs}
    mine = [entry for entry in kept if entry.name in names or _holds(entry, wanted)]
    for entry in mine:
        shutil.rmtree(entry, ignore_errors=True)
    pages = [place for place in places(home) if _identity_of_pages(place) in wanted]
    return len(mine) + sum(drop_blocks(place) for place in pages)


def remove_forgotten(store: Store, home: Path) -> int:
    """Delete kept dumps and fetched pages of crashes that are in history no more, wherever they were forgotten; how
    many entries went. What a job kept without finding a crash in it stays as long as the job is remembered, and pages
    stay for an hour: what is read of them may be on its way to history."""
    gone = 0
    for place in places(home):
        whose = _identity_of_pages(place) if _is_old(place) else None
        if whose is not None and store.reports.number_of_dump(whose) is None:
            gone += drop_blocks(place)
    for entry in _entries(downloads(home)):
        number = entry.name.removeprefix(f"{KEPT}{job_name(0)[:-1]}")
        if entry.name.startswith(KEPT) and number.isdecimal() and not _is_known(store, int(number), entry):
            shutil.rmtree(entry, ignore_errors=True)
            gone += 1
    return gone


def _is_old(place: Path) -> bool:
    with suppress(OSError):
        return (place / "marks").stat().st_mtime < time.time() - FRESH_SECONDS
    return False


def _is_known(store: Store, number: int, kept: Path) -> bool:
    job = store.jobs.get(number)
    if job is not None:
        found = numbers(job.memory)
        return not found or any(store.reports.get(report) is not None for report in found)
    try:
        files = [path for path in kept.rglob("*") if path.is_file()]
        identities = [identity(path, path.stat().st_size) for path in files]
    except OSError:
        return True  # it is looked at again
    return any(store.reports.number_of_dump(one) is not None for one in identities)


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _holds(directory: Path, identities: frozenset[str]) -> bool:
    with suppress(OSError):
        files = [path for path in directory.rglob("*") if path.is_file()]
        return any(identity(path, path.stat().st_size) in identities for path in files)
    return False


def _identity_of_pages(place: Path) -> str | None:
    # The first bytes are always there: by them the dump was known before anything else of it was read.
    try:
        size = (place / "data").stat().st_size
        with (place / "data").open("rb") as data, (place / "marks").open("rb") as marks:
            needed = -(-min(size, IDENTITY_BYTES) // PAGE)
            return identity_of(size, data.read(IDENTITY_BYTES)) if marks.read(needed) == b"\1" * needed else None
    except OSError:
        return None
