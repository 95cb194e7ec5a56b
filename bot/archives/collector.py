"""What comes out of an archive: counted, sniffed, and written under a number of ours when it is wanted.

No path out of an archive is ever used: a name is something to show. Each byte that leaves a decoder is counted here,
wanted or not, before the next one is asked for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.errors import BadDump
from analysis.formats.raw import RawFile
from analysis.formats.windbg.sniff import is_windbg_text
from bot.archives.kinds import HEAD_BYTES, archive_kind, is_dump, may_be_text
from bot.archives.limits import ArchiveFailed, ArchiveLimits

MAX_NAME = 120
MAX_TEXT_BYTES = 64 << 20
MAX_NAMES_TOLD = 3


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was written: its name in the archive for people, where it lies, whether it is an archive itself."""

    name: str
    path: Path
    is_archive: bool = False


class Collector:
    """All members of one archive and of those inside it. ``packed`` is the outer archive's size in bytes.

    Its methods raise ArchiveFailed when a limit is passed. Whoever runs a decoder counts what it gives.
    """

    def __init__(self, directory: Path, packed: int, limits: ArchiveLimits) -> None:
        self.limits = limits
        self.dumps: list[Taken] = []
        self.nested: list[Taken] = []
        self.left_out = 0
        self.refused: list[str] = []  # names of members that are no dumps, for the line that says so
        self.damaged: list[str] = []  # names of members that broke off
        self.locked = 0  # members that no password opens
        self.too_deep = 0  # archives inside an archive inside an archive
        self.total = 0
        self.open: set[Member] = set()  # whose files are open
        self._members = 0
        self._numbers = 0
        self._directory = directory
        self._most = min(limits.max_bytes, max(limits.free_bytes, packed * limits.max_ratio))

    def member(self, name: str, *, deep: bool = False) -> "Member":
        """The next member, to be written to and closed; ``deep`` for one of an archive in an archive."""
        self._members += 1
        if self._members > self.limits.max_members:
            raise ArchiveFailed("limit", f"it has more than {self.limits.max_members} files")
        return Member(self, shown_name(name), deep=deep)

    def count(self, size: int) -> None:
        """Count bytes that a decoder gave."""
        self.total += size
        if self.total > self.limits.max_bytes:
            raise ArchiveFailed("limit", f"it unpacks to more than {self.limits.max_bytes:,} bytes")
        if self.total > self._most:
            raise ArchiveFailed("limit", f"it unpacks to more than {self.limits.max_ratio} times its size")

    def new_path(self) -> Path:
        """A path that no member had a say in."""
        self._numbers += 1
        return self._directory / str(self._numbers)

    def close(self) -> None:
        """Let go of what a limit or a damage left half done; nothing of it stays."""
        for member in list(self.open):
            member.abandon()

    def no_dump(self) -> ArchiveFailed:
        """Why nothing came out, naming the first members."""
        if self.locked:
            return ArchiveFailed("password", "it has a password, and none of those I know opens it")
        if self.damaged:
            return ArchiveFailed("damaged", f"{self.damaged[0]} in it is damaged or cut off")
        if not (self._members or self.refused):
            return ArchiveFailed("no-dump", "it is empty")
        if self.too_deep:
            return ArchiveFailed("no-dump", "what is in it are archives again, and those are not opened any deeper")
        names = ", ".join(self.refused[:MAX_NAMES_TOLD])
        more = f" and {len(self.refused) - MAX_NAMES_TOLD} more" if len(self.refused) > MAX_NAMES_TOLD else ""
        return ArchiveFailed("no-dump", f"there is no dump in it, only {names}{more}" if names else "no dump is in it")


class Member:
    """One member on its way out."""

    def __init__(self, collector: Collector, name: str, *, deep: bool) -> None:
        self.name = name
        self.wanted: bool | None = None  # None until enough has come to tell
        self._deep = deep
        self._collector = collector
        self._head = b""
        self._size = 0
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._is_text = False
        self._closed = False

    def write(self, chunk: bytes) -> bool:
        """Take the next bytes. False: the rest is not wanted."""
        self._size += len(chunk)
        if self.wanted is None:
            self._head += chunk
            if len(self._head) >= HEAD_BYTES:
                self._decide()
        elif self._file is not None:
            self._put(chunk)
        if self._is_text and self._size > MAX_TEXT_BYTES:
            self._drop()
        return self.wanted is not False

    def close(self) -> None:
        """The member is whole."""
        if self._closed:
            return
        self._closed = True
        if self.wanted is None:
            self._decide()
        if self._file is None or self._path is None:
            return
        self._collector.open.discard(self)
        try:
            self._file.close()
        except OSError as error:
            raise ArchiveFailed("limit", "there is no room here for what is in it") from error
        if self._is_text and not _is_windbg(self._path):
            self._drop()
            return
        taken = Taken(self.name, self._path, archive_kind(self._head) is not None)
        (self._collector.nested if taken.is_archive else self._collector.dumps).append(taken)

    def abandon(self) -> None:
        """The member broke off: nothing of it stays."""
        self._closed = True
        self._collector.damaged.append(self.name)
        self._remove()

    def _decide(self) -> None:
        is_archive = archive_kind(self._head) is not None
        self._is_text = not is_archive and not is_dump(self._head) and may_be_text(self.name)
        self.wanted = is_dump(self._head) or self._is_text or (is_archive and not self._deep)
        if not self.wanted:
            self._collector.refused.append(self.name)
            self._collector.too_deep += is_archive
        elif len(self._collector.dumps) >= self._collector.limits.max_dumps:
            self.wanted = False
            self._collector.left_out += is_dump(self._head)
        if self.wanted:
            self._path = self._collector.new_path()
            self._file = self._path.open("xb")
            self._collector.open.add(self)
            self._put(self._head)

    def _put(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError as error:  # the disk is full, or the cap on a file's size was met
            raise ArchiveFailed("limit", "there is no room here for what is in it") from error

    def _drop(self) -> None:
        self.wanted = False
        self._collector.refused.append(self.name)
        self._remove()

    def _remove(self) -> None:
        self._collector.open.discard(self)
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)
            self._file = None


def shown_name(name: str) -> str:
    """A member's name for people: its last component, whichever slash divides it, printable and short."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join(char if char.isprintable() else "?" for char in last)
    return clean[:MAX_NAME] or "a file without a name"


def _is_windbg(path: Path) -> bool:
    try:
        with RawFile(path) as raw:
            return is_windbg_text(raw)
    except (BadDump, OSError):
        return False
