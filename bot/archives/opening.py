"""What a fetched file leads to: itself, or the dumps of the archive it is, unpacked by a confined child.

The child's word is not believed: a file counts if it is a plain one, in our directory, under a number.
"""

import asyncio
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from analysis.fingerprint import IDENTITY_BYTES, identity_of
from bot.archives.kinds import kind_of_file
from bot.archives.limits import USUAL_PASSWORDS, ArchiveFailed, ArchiveLimits, Kind
from bot.child import environment
from bot.fetch.download import Fetched

PROGRAM = ("-P", "-m", "bot.archives.inside")
SPARE_DISK = 64 << 20
MAX_OUTPUT = 1 << 20
WATCH_SECONDS = 1.0
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """The dumps behind a link: each under its name in the archive. ``left_out`` dumps are beyond the cap on their
    number, ``damaged`` the names of members that could not be read. ``is_archive`` false: the file itself.
    """

    dumps: tuple[tuple[str, Fetched], ...]
    is_archive: bool = False
    left_out: int = 0
    damaged: tuple[str, ...] = ()


async def open_archive(
    fetched: Fetched,
    name: str,
    limits: ArchiveLimits,
    password: str | None = None,
    unpacked: Callable[[int], None] = lambda _bytes: None,
    *,
    into: Path | None = None,
) -> Opened:
    """The dumps in a file, which is deleted if it is an archive. ``unpacked`` hears how many bytes came out so far.
    With ``into`` they are put there, and the archive stays.

    ``password`` is tried before the usual ones.

    Raises:
        ArchiveFailed: there are none, or a limit stopped it.
        OSError: the disk fails, or no process can be started.
    """
    if await asyncio.to_thread(kind_of_file, fetched.path) is None:
        return Opened(((name, fetched),))
    directory = (into or fetched.path.parent) / "unpacked"
    await asyncio.to_thread(directory.mkdir, 0o700)
    free = shutil.disk_usage(directory).free - SPARE_DISK
    capped = dataclasses.replace(limits, max_bytes=max(1, min(limits.max_bytes, free)))
    passwords = [*([password] if password else []), *USUAL_PASSWORDS]
    order = {
        "path": str(fetched.path.absolute()),
        "name": name,
        "directory": str(directory.absolute()),
        "passwords": passwords,
        "left_there": sorted(fetched.left_there),
        "limits": dataclasses.asdict(capped),
    }
    answer = await _run(order, directory, limits.seconds, unpacked)
    dumps = await asyncio.to_thread(_taken, answer, directory, fetched)
    if into is None:
        await asyncio.to_thread(fetched.path.unlink)
    left_out = answer.get("left_out")
    damaged = [str(name)[:120] for name in answer.get("damaged") or []]
    return Opened(dumps, True, left_out if isinstance(left_out, int) else 0, tuple(damaged))


async def _run(
    order: dict[str, Any], directory: Path, seconds: float, unpacked: Callable[[int], None]
) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(os.environ),
        start_new_session=True,
        limit=MAX_OUTPUT,
    )
    watching = asyncio.create_task(_watch(directory, unpacked))
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(json.dumps(order).encode() + b"\n")
    except TimeoutError:
        raise ArchiveFailed("limit", f"it was not unpacked after {seconds:g} s") from None
    finally:
        watching.cancel()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return _judged(output, process.returncode or 0)


async def _watch(directory: Path, unpacked: Callable[[int], None]) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        unpacked(await asyncio.to_thread(_bytes_in, directory))


def _bytes_in(directory: Path) -> int:
    total = 0
    for entry in directory.iterdir():
        with suppress(FileNotFoundError):
            total += entry.lstat().st_size
    return total


def _judged(output: bytes, status: int) -> dict[str, Any]:
    answer: Any = None
    with suppress(ValueError):
        answer = json.loads(output.splitlines()[-1]) if output else None
    if isinstance(answer, dict) and isinstance(answer.get("dumps"), list):
        return answer
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        kind, message = answer["error"].get("kind"), str(answer["error"].get("message"))[:500]
        raise ArchiveFailed(kind if kind in get_args(Kind) else "fault", message)
    if status in (-getattr(signal, "SIGXFSZ", 0), -getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)):
        raise ArchiveFailed("limit", "unpacking it took more than it may")
    raise ArchiveFailed("damaged", f"the process that unpacked it died ({_how(status)})")


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _taken(answer: dict[str, Any], directory: Path, outer: Fetched) -> tuple[tuple[str, Fetched], ...]:
    found = []
    for entry in answer["dumps"]:
        if not isinstance(entry, list) or len(entry) != 2 or not all(isinstance(word, str) for word in entry):
            raise ArchiveFailed("fault", "the process that unpacked it answered nonsense")
        name, file = entry
        path = directory / file
        if not file.isdecimal() or not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_nlink != 1:
            raise ArchiveFailed("fault", "the process that unpacked it answered nonsense")
        fetched = _fetched(path, f"{outer.source} › {name}", outer.seconds)
        found.append((name, dataclasses.replace(fetched, note=outer.note)))
    return tuple(found)


def _fetched(path: Path, source: str, seconds: float) -> Fetched:
    digest, size, head = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            head = head or block[:IDENTITY_BYTES]
            digest.update(block)
            size += len(block)
    return Fetched(path, size, digest.hexdigest(), identity_of(size, head), source, seconds)
