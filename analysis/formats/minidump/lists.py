"""The streams of a minidump that are lists: threads, modules, memory. Every count is held against its stream first.

Records are taken apart by the ``minidump`` package where it can do that without following offsets by itself: it reads
strings of any claimed length, and knows nothing of CodeView.
"""

import io
import struct
from collections.abc import Mapping
from uuid import UUID

from analysis.errors import BadDump
from analysis.formats.image import DataBlock
from analysis.formats.minidump.directory import Stream
from analysis.formats.minidump.facts import CodeView, UserModule, UserThread
from analysis.formats.raw import RawFile
from analysis.limits import MAX_MODULES

MAX_THREADS = 65_536
MAX_RANGES = 1 << 20
# What is kept of a name: thousands of modules may all point at one string of 64 KiB.
MAX_NAME_BYTES = 1024
MAX_CONTEXT = 0x2000
THREAD_SIZE, MODULE_SIZE, RANGE_SIZE = 48, 108, 16
_UNLOADED = struct.Struct("<QIIII")
_RANGE64 = struct.Struct("<QQ")
_VERSION_SIGNATURE = 0xFEEF04BD
_RSDS = struct.Struct("<4s16sI")
_NB10 = struct.Struct("<4sIII")
_HIGHEST = 1 << 64


def read_threads(
    raw: RawFile, stream: Stream, names: Mapping[int, str], starts: Mapping[int, int]
) -> tuple[UserThread, ...]:
    """The threads in the order of the dump: the one that started the process comes first. Raises: BadDump."""
    from minidump.streams.ThreadListStream import MINIDUMP_THREAD  # the package is slow to load, kernel dumps need none

    number, first = _count(raw, stream, THREAD_SIZE, MAX_THREADS, "threads")
    found = []
    for index in range(number):
        one = MINIDUMP_THREAD.parse(_record(raw, first, THREAD_SIZE, index, "a thread"))
        stack = DataBlock(one.Stack.StartOfMemoryRange, one.Stack.MemoryLocation.Rva, one.Stack.MemoryLocation.DataSize)
        held = raw.available(stack.offset, stack.size)
        found.append(
            UserThread(
                tid=one.ThreadId,
                teb=one.Teb,
                suspended=one.SuspendCount,
                stack=DataBlock(stack.address, stack.offset, held) if held and stack.address else None,
                context=read_context(raw, one.ThreadContext.Rva, one.ThreadContext.DataSize),
                name=names.get(one.ThreadId),
                start=starts.get(one.ThreadId),
            )
        )
    return tuple(found)


def read_context(raw: RawFile, offset: int, size: int) -> bytes:
    """A thread's CONTEXT, or nothing where it does not lie in the file whole."""
    if not 0 < size <= MAX_CONTEXT or raw.available(offset, size) < size:
        return b""
    return raw.read(offset, size, "a thread's context")


def read_modules(raw: RawFile, stream: Stream) -> tuple[UserModule, ...]:
    """The loaded images in the order of the dump: on Windows the program itself comes first. Raises: BadDump."""
    from minidump.streams.ModuleListStream import MINIDUMP_MODULE

    number, first = _count(raw, stream, MODULE_SIZE, MAX_MODULES, "modules")
    found = []
    for index in range(number):
        one = MINIDUMP_MODULE.parse(_record(raw, first, MODULE_SIZE, index, "a module"))
        if not one.SizeOfImage or one.BaseOfImage + one.SizeOfImage > _HIGHEST:
            continue
        found.append(
            UserModule(
                path=read_string(raw, one.ModuleNameRva) or f"unnamed-{one.BaseOfImage:x}",
                base=one.BaseOfImage,
                size=one.SizeOfImage,
                timestamp=one.TimeDateStamp or None,
                version=_version(one.VersionInfo),
                pdb=_code_view(raw, one.CvRecord.Rva, one.CvRecord.DataSize),
            )
        )
    return tuple(found)


def read_unloaded(raw: RawFile, stream: Stream) -> tuple[UserModule, ...]:
    """The images that were unloaded, as far as the process remembers them. Raises: BadDump."""
    first, entry, number = _header(raw, stream, _UNLOADED.size, "unloaded modules")
    found = []
    for index in range(number):
        base, size, _, stamp, name = _UNLOADED.unpack(raw.read(first + entry * index, _UNLOADED.size, "a module"))
        path = read_string(raw, name)
        if path and size and base + size <= _HIGHEST:
            found.append(UserModule(path, base, size, stamp or None))
    return tuple(found)


def read_thread_names(raw: RawFile, stream: Stream) -> dict[int, str]:
    """The names that threads were given, by thread id. Raises: BadDump."""
    number, first = _count(raw, stream, 12, MAX_THREADS, "thread names")
    found = {}
    for index in range(number):
        tid, offset = struct.unpack("<IQ", raw.read(first + 12 * index, 12, "a thread's name"))
        name = read_string(raw, offset)
        if name:
            found[tid] = name
    return found


def read_thread_starts(raw: RawFile, stream: Stream) -> dict[int, int]:
    """The start address of each thread, by thread id. Raises: BadDump."""
    first, entry, number = _header(raw, stream, 64, "thread information")
    found = {}
    for index in range(number):
        data = raw.read(first + entry * index, 64, "a thread's information")
        tid, start = struct.unpack_from("<I", data)[0], struct.unpack_from("<Q", data, 48)[0]
        if start:
            found[tid] = start
    return found


def read_memory_list(raw: RawFile, stream: Stream) -> tuple[DataBlock, ...]:
    """The saved ranges of a small dump. Raises: BadDump."""
    number, first = _count(raw, stream, RANGE_SIZE, MAX_RANGES, "memory ranges")
    data = raw.read(first, number * RANGE_SIZE, "the memory ranges")
    return tuple(
        DataBlock(address, offset, size)
        for address, size, offset in struct.iter_unpack("<QII", data)
        if size and address + size <= _HIGHEST
    )


def read_memory_64_list(raw: RawFile, stream: Stream) -> tuple[DataBlock, ...]:
    """The saved ranges of a dump with full memory: one behind the other from one file offset on. Raises: BadDump."""
    number, position = _RANGE64.unpack(raw.read(stream.offset, 16, "the header of the memory ranges"))
    if number > MAX_RANGES or 16 + number * RANGE_SIZE > stream.size:
        raise BadDump(f"{number} memory ranges do not fit in a stream of {stream.size} bytes", stream.offset)
    found = []
    for address, size in _RANGE64.iter_unpack(raw.read(stream.offset + 16, number * RANGE_SIZE, "the memory ranges")):
        if size and address + size <= _HIGHEST:
            found.append(DataBlock(address, position, size))
        position += size
    return tuple(found)


def read_string(raw: RawFile, offset: int) -> str | None:
    """The MINIDUMP_STRING at a file offset, or None where there is none: a length in bytes, then UTF-16."""
    if raw.available(offset, 4) < 4 or not offset:
        return None
    length = raw.u32(offset, "a string's length")
    if not length or raw.available(offset + 4, length) < length:
        return None
    text = raw.read(offset + 4, min(length, MAX_NAME_BYTES) & ~1, "a string").decode("utf-16-le", "replace")
    return "".join(letter for letter in text.partition("\0")[0] if letter.isprintable()) or None


def _count(raw: RawFile, stream: Stream, size: int, limit: int, what: str) -> tuple[int, int]:
    """How many records a list holds and where the first lies: some writers put 4 bytes of padding in front."""
    number = raw.count(stream.offset, size, stream.offset + 4, what, limit)
    needed = 4 + number * size
    if needed > stream.size and not stream.cut:
        raise BadDump(f"{number} {what} do not fit in a stream of {stream.size} bytes", stream.offset)
    return number, stream.offset + (8 if stream.size == needed + 4 else 4)


def _header(raw: RawFile, stream: Stream, smallest: int, what: str) -> tuple[int, int, int]:
    """A list whose header says its own size, an entry's size, and how many: (first entry, entry size, count)."""
    header, entry, number = struct.unpack("<III", raw.read(stream.offset, 12, f"the header of the {what}"))
    if header < 12 or entry < smallest or number > MAX_MODULES or header + entry * number > stream.size:
        raise BadDump(f"{number} {what} of {entry} bytes do not fit in {stream.size} bytes", stream.offset)
    return stream.offset + header, entry, number


def _record(raw: RawFile, first: int, size: int, index: int, what: str) -> io.BytesIO:
    return io.BytesIO(raw.read(first + size * index, size, what))


def _version(info: object) -> str | None:
    signature, high, low = (getattr(info, name) for name in ("dwSignature", "dwFileVersionMS", "dwFileVersionLS"))
    if signature != _VERSION_SIGNATURE or not (high or low):
        return None
    return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"


def _code_view(raw: RawFile, offset: int, size: int) -> CodeView | None:
    if size <= _RSDS.size or raw.available(offset, size) < size:
        return None
    data = raw.read(offset, min(size, MAX_NAME_BYTES), "a CodeView record")
    if data[:4] == b"RSDS":
        _, guid, age = _RSDS.unpack_from(data)
        return CodeView(_file_name(data[_RSDS.size :]), UUID(bytes_le=guid).hex.upper(), age)
    if data[:4] == b"NB10":  # Visual C++ 6: a time stamp in place of the GUID
        _, _, stamp, age = _NB10.unpack_from(data)
        return CodeView(_file_name(data[_NB10.size :]), f"{stamp:08X}", age)
    return None


def _file_name(path: bytes) -> str:
    text = path.partition(b"\0")[0].decode("utf-8", "replace")
    return text.replace("\\", "/").rpartition("/")[2]
