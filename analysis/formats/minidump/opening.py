"""A file to the facts of a user-mode minidump."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from analysis.errors import BadDump
from analysis.formats.image import DataBlock
from analysis.formats.minidump import lists, streams
from analysis.formats.minidump.directory import SIGNATURE, Directory, Stream, read_directory
from analysis.formats.minidump.facts import UserDump, UserSystem
from analysis.formats.minidump.kinds import Kind
from analysis.formats.raw import RawFile

_T = TypeVar("_T")


def is_minidump(raw: RawFile) -> bool:
    """Whether the file claims to be a user-mode minidump."""
    return raw.read(0, raw.available(0, 4), "the signature") == SIGNATURE


def read_minidump(raw: RawFile) -> UserDump:
    """The facts of a minidump. One stream that is damaged costs that stream: ``notes`` says so.

    Raises:
        BadDump: nothing in it tells about a process: no threads, no exception, no modules and no system.
    """
    directory = read_directory(raw)
    reading = _Reading(raw, directory)
    found = reading.dump()
    if not (found.threads or found.modules or found.exception) and found.system == UserSystem():
        raise BadDump("a minidump that holds no threads, no exception, no modules and no system")
    return found


@dataclass(slots=True)
class _Reading:
    # One file's reading; notes collect on the way.

    raw: RawFile
    directory: Directory
    notes: list[str] = field(default_factory=list)

    def dump(self) -> UserDump:
        names = self.of(Kind.THREAD_NAMES, lists.read_thread_names) or {}
        starts = self.of(Kind.THREAD_INFO_LIST, lists.read_thread_starts) or {}
        threads = self.of(Kind.THREAD_LIST, lambda raw, one: lists.read_threads(raw, one, names, starts)) or ()
        info = self.of(Kind.MISC_INFO, streams.read_misc_info)
        breakpad = self.of(Kind.BREAKPAD_INFO, streams.read_breakpad_info)
        return UserDump(
            raw=self.raw,
            system=self.system(),
            exception=self.of(Kind.EXCEPTION, streams.read_exception),
            threads=threads,
            modules=self.of(Kind.MODULE_LIST, lists.read_modules) or (),
            unloaded=self.of(Kind.UNLOADED_MODULE_LIST, lists.read_unloaded) or (),
            memory=self.memory(),
            crash_time=self.directory.written,
            process_id=info.process_id if info else None,
            process_started=self.started(info.started if info else None),
            requesting_thread=breakpad,
            assertion=self.of(Kind.BREAKPAD_ASSERTION, streams.read_assertion),
            notes=(*self.directory.notes, *self.notes),
        )

    def of(self, kind: Kind, read: Callable[[RawFile, Stream], _T]) -> _T | None:
        stream = self.directory.streams.get(kind)
        if stream is None:
            return None
        try:
            return read(self.raw, stream)
        except BadDump as damage:
            self.notes.append(f"the stream of type {kind:#x} ({kind.words}) cannot be read: {damage}")
            return None

    def system(self) -> UserSystem:
        found = self.of(Kind.SYSTEM_INFO, streams.read_system) or UserSystem()
        release = self.directory.streams.get(Kind.LINUX_RELEASE)
        return streams.with_release(found, self.raw, release) if release else found

    def memory(self) -> tuple[DataBlock, ...]:
        small = self.of(Kind.MEMORY_LIST, lists.read_memory_list) or ()
        whole = self.of(Kind.MEMORY_64_LIST, lists.read_memory_64_list) or ()
        missing = sum(block.size - self.raw.available(block.offset, block.size) for block in (*small, *whole))
        if missing:
            self.notes.append(f"the file is cut short: {missing} bytes of the process' memory are missing")
        return tuple(
            DataBlock(block.address, block.offset, held)
            for block in (*small, *whole)
            if (held := self.raw.available(block.offset, block.size))
        )

    def started(self, started: datetime | None) -> datetime | None:
        written = self.directory.written
        return started if started and (written is None or started <= written) else None
