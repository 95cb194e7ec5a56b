"""A body on its way to a file: hashed, capped in size, time and disk, and looked at before much of it is here.

The name that a client gives is shown, never used: the file is ours, under a name of ours.
"""

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.errors import NotADump
from analysis.formats.raw import RawFile
from analysis.formats.sniff import sniff
from analysis.formats.windbg.sniff import is_windbg_text
from bot.archives.kinds import HEAD_BYTES, archive_kind, is_dump
from bot.fetch.limits import FetchLimits
from bot.fetch.workspace import make_room
from bot.mrkdwn import visible
from bot.wording import size as size_text

MAX_NAME = 120
MAX_TEXT = 64 << 20  # of what a debugger printed
SPARE_DISK = 64 << 20
ROOM_EVERY = 256 << 20
_PLACES = re.compile(r"[\\/]")
_NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")


class Unwelcome(Exception):
    """A body that is not taken: a status of HTTP, and a sentence why."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status
        self.line = line


@dataclass(frozen=True, slots=True)
class Received:
    """What lies on the disk now."""

    size: int
    sha256: str


class Sink:
    """A file that grows. Raises: Unwelcome, from whatever is written too much or is no dump."""

    def __init__(self, path: Path, limits: FetchLimits) -> None:
        self._path = path
        self._limits = limits
        self._head = b""
        self._judged = False
        self._most = limits.max_bytes
        self._sha256 = hashlib.sha256()
        self.size = 0
        self._file: BinaryIO = path.open("xb")

    def write(self, data: bytes) -> None:
        """Take some more."""
        before, self.size = self.size, self.size + len(data)
        if self.size > self._most:
            raise Unwelcome(413, f"The file is over the size cap of {size_text(self._most)}.")
        if not self._judged:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) >= HEAD_BYTES:
                self._judge()
        if before == 0 or before // ROOM_EVERY != self.size // ROOM_EVERY:
            check_room(self._path.parents[1], ROOM_EVERY if before else len(data), self._limits)
        self._sha256.update(data)
        self._file.write(data)

    def finish(self) -> Received:
        """Nothing more comes."""
        self._file.close()
        if not self.size:
            raise Unwelcome(400, "The file is empty.")
        if not self._judged:
            self._judge()
        return Received(self.size, self._sha256.hexdigest())

    def close(self) -> None:
        """Let go of the file, whatever became of it."""
        self._file.close()

    def _judge(self) -> None:
        # Most of what is no dump shows it in its first bytes; the rest need not come.
        self._judged = True
        if archive_kind(self._head) is not None or is_dump(self._head):
            return
        if _NO_TEXT.search(self._head) and not self._head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise not_a_dump()
        self._most = min(self._most, MAX_TEXT)


def check_room(uploads: Path, size: int, limits: FetchLimits) -> None:
    """Raises: Unwelcome, where the disk or the quota has no room for so many bytes more."""
    free = shutil.disk_usage(uploads).free
    if size + SPARE_DISK > free or not make_room(uploads, size, limits.quota_bytes):
        raise Unwelcome(507, f"There is no room here for {size_text(size)}.")


def check_file(path: Path) -> None:
    """Look at the whole file once it is here. Raises: Unwelcome, for one that holds nothing that can be read."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if archive_kind(head) is not None or head.startswith(b"MDMP"):
        return
    try:
        with RawFile(path) as raw:
            if not is_windbg_text(raw):
                sniff(raw)
    except NotADump as error:
        raise not_a_dump(error.what) from error


def not_a_dump(why: str = "") -> Unwelcome:
    """The refusal of what is no dump."""
    usual = "This is neither a dump, nor an archive, nor what a debugger printed."
    return Unwelcome(415, f"This is {visible(why)[:200]}." if why else usual)


def shown_name(given: str | None) -> str:
    """How a client's file is called where people read of it: no directories, nothing that draws nothing."""
    last = _PLACES.split(visible(given or ""))[-1].strip(". ")
    return last[:MAX_NAME] or "a dump"


async def paced(body: AsyncIterator[bytes], limits: FetchLimits) -> AsyncIterator[bytes]:
    """The parts of a body, as long as they come fast enough. Raises: Unwelcome."""
    started, received = time.monotonic(), 0
    parts = aiter(body)
    while True:
        try:
            async with asyncio.timeout(limits.idle_seconds):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Unwelcome(408, f"Nothing came for {limits.idle_seconds:g} s.") from error
        received += len(part)
        elapsed = time.monotonic() - started
        is_slow = elapsed > limits.patience_seconds and received < elapsed * limits.slowest_rate
        if elapsed > limits.total_seconds or is_slow:
            raise Unwelcome(408, "It comes too slowly.")
        yield part
