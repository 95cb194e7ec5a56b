"""The single records of a minidump: system, exception, process, and what Breakpad adds.

Sources: Microsoft's public minidumpapiset.h; Breakpad's public minidump_format.h. The exception is taken apart by the
``minidump`` package; its reader of the system refuses processors and systems that it does not know (ARM64 among them).
"""

import io
import re
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from analysis.formats.minidump.directory import Stream
from analysis.formats.minidump.facts import Platform, UserException, UserSystem
from analysis.formats.minidump.lists import read_context, read_string
from analysis.formats.raw import RawFile

_ARCHITECTURES = {0: "x86", 9: "x64", 12: "arm64", 0x8003: "arm64"}
_PLATFORMS = {
    1: Platform.WINDOWS, 2: Platform.WINDOWS, 0x8101: Platform.MACOS, 0x8102: Platform.IOS,
    0x8201: Platform.LINUX, 0x8203: Platform.ANDROID,
}  # fmt: skip
_SYSTEM = struct.Struct("<HHHBBIIIII")
_EXCEPTION_SIZE = 168
_MAX_PARAMETERS = 15
_MISC = struct.Struct("<IIII")
_HAS_PROCESS_ID, _HAS_TIMES = 1, 2
_BREAKPAD = struct.Struct("<III")
_HAS_REQUESTING_THREAD = 2
_ASSERTION = struct.Struct("<256s256s256sII")
_MAX_RELEASE = 4096
_PRETTY = re.compile(r'^(?:DISTRIB_DESCRIPTION|PRETTY_NAME)="?([^"\n]{1,80})"?', re.MULTILINE)


def read_system(raw: RawFile, stream: Stream) -> UserSystem:
    """The machine and its system. Raises: BadDump."""
    processor, _, _, number, product, major, minor, build, platform, pack = _SYSTEM.unpack(
        raw.read(stream.offset, _SYSTEM.size, "the system's record")
    )
    return UserSystem(
        platform=_PLATFORMS.get(platform, Platform.OTHER),
        architecture=_ARCHITECTURES.get(processor),
        processors=number or None,
        product_type=product or None,
        major=major,
        minor=minor,
        build=build,
        service_pack=read_string(raw, pack),
    )


def with_release(system: UserSystem, raw: RawFile, stream: Stream) -> UserSystem:
    """The system with a Linux distribution's own name, from a saved /etc/lsb-release or os-release."""
    text = raw.read(stream.offset, min(stream.size, _MAX_RELEASE), "a release file").decode("utf-8", "replace")
    found = _PRETTY.search(text)
    return replace(system, name=found[1]) if found and found[1].isprintable() else system


def read_exception(raw: RawFile, stream: Stream) -> UserException:
    """The exception with the context it happened in. Raises: BadDump."""
    from minidump.streams.ExceptionStream import MINIDUMP_EXCEPTION_STREAM  # slow to load, kernel dumps need none

    data = raw.read(stream.offset, _EXCEPTION_SIZE, "the exception")
    one = MINIDUMP_EXCEPTION_STREAM.parse(io.BytesIO(data))
    record = one.ExceptionRecord
    # A count beyond the array's 15 slots is damage: the rest of the record may still be true.
    used = record.NumberParameters if record.NumberParameters <= _MAX_PARAMETERS else 0
    return UserException(
        thread=one.ThreadId,
        code=record.ExceptionCode_raw,
        flags=record.ExceptionFlags,
        address=record.ExceptionAddress,
        parameters=tuple(record.ExceptionInformation[:used]),
        context=read_context(raw, one.ThreadContext.Rva, one.ThreadContext.DataSize),
    )


@dataclass(frozen=True, slots=True)
class MiscInfo:
    """The process: its id and when it started."""

    process_id: int | None
    started: datetime | None


def read_misc_info(raw: RawFile, stream: Stream) -> MiscInfo:
    """What the dump says of the process. Raises: BadDump."""
    _, flags, process, created = _MISC.unpack(raw.read(stream.offset, _MISC.size, "the process' record"))
    started = datetime.fromtimestamp(created, UTC) if flags & _HAS_TIMES and created else None
    return MiscInfo(process if flags & _HAS_PROCESS_ID else None, started)


def read_breakpad_info(raw: RawFile, stream: Stream) -> int | None:
    """The id of the thread that asked for the dump, where Breakpad noted it. Raises: BadDump."""
    valid, _, requesting = _BREAKPAD.unpack(raw.read(stream.offset, _BREAKPAD.size, "Breakpad's record"))
    return requesting if valid & _HAS_REQUESTING_THREAD else None


def read_assertion(raw: RawFile, stream: Stream) -> str | None:
    """The failed assertion that Breakpad noted, in words; None where its fields are empty. Raises: BadDump."""
    expression, function, file, line, _ = _ASSERTION.unpack(raw.read(stream.offset, _ASSERTION.size, "an assertion"))
    texts = [field.decode("utf-16-le", "replace").partition("\0")[0] for field in (expression, function, file)]
    said, where, source = ("".join(letter for letter in text if letter.isprintable()) for text in texts)
    name = source.replace("\\", "/").rpartition("/")[2]
    parts = [said, f"in {where}" if where else "", f"at {name}:{line}" if name else ""]
    return " ".join(part for part in parts if part) or None
