"""What every kernel dump opens as, whatever its kind: header, saved pages or saved blocks, and notes."""

from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from analysis.address import PhysAddr, VirtAddr
from analysis.formats.raw import RawFile

MACHINE_X64 = 0x8664
MACHINE_ARM64 = 0xAA64
MACHINE_X86 = 0x14C

ARCHITECTURES = ((MACHINE_X64, "x64"), (MACHINE_ARM64, "arm64"), (MACHINE_X86, "x86"))


@dataclass(frozen=True, slots=True)
class ExceptionRecord:
    """An EXCEPTION_RECORD64 as the header holds it. A bugcheck without an exception has code 0x80000003 there."""

    code: int
    flags: int
    address: int
    parameters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DumpHeader:
    """The first 8 KiB of a 64-bit kernel dump, or the first 4 KiB of a 32-bit one.

    What the writer left unset (filler words 'PAGE') is None or 0. ``kind`` is the report's word, ``build`` the major
    build (19041), ``code`` and ``parameters`` as written, not normalised. ``memory_bytes`` is the machine's memory,
    where its runs are listed. ``context`` is the raw CONTEXT of the crashing processor, empty where none was written.
    """

    kind: str
    type_code: int
    major_version: int
    build: int
    machine: int
    processors: int
    code: int
    parameters: tuple[int, int, int, int]
    directory_table: PhysAddr
    pfn_database: VirtAddr
    loaded_modules: VirtAddr
    active_processes: VirtAddr
    kdbg: VirtAddr
    context: bytes
    exception: ExceptionRecord | None
    crash_time: datetime | None
    uptime_seconds: float | None
    product_type: int | None
    suite_mask: int | None
    comment: str | None = None
    memory_bytes: int | None = None
    pae: bool = False  # 32-bit: whether page table entries have 64 bits

    @property
    def architecture(self) -> str:
        """The report's word: "x64", "arm64" or "x86"."""
        return dict(ARCHITECTURES)[self.machine]


class PageMap(Protocol):
    """Which physical pages a dump holds, and where. A page is 4 KiB, named by its page frame number."""

    @property
    def page_count(self) -> int:
        """How many whole pages lie in the file."""

    @property
    def frame_limit(self) -> int:
        """The first page frame above all that the machine had, saved or not."""

    def file_offset(self, pfn: int) -> int | None:
        """Where the page starts in the file; None if it was not saved or lies behind the file's end."""


@dataclass(frozen=True, slots=True)
class DataBlock:
    """``size`` bytes of memory from ``address`` on, kept at ``offset`` of the file. Address 0: unknown."""

    address: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class TriageDriver:
    """One loaded image. ``name`` is the file name as spelled in the dump, ``path`` all of what stands there.

    Both are empty where the name was cut off. ``timestamp`` is the image's TimeDateStamp.
    """

    name: str
    base: int
    size: int
    timestamp: int | None
    checksum: int | None
    path: str = ""


@dataclass(frozen=True, slots=True)
class TriageUnloaded:
    """An image unloaded before the crash; its name has at most 12 characters there. ``time`` is never stored."""

    name: str
    start: int
    end: int
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class TriageData:
    """What a small memory dump holds behind its header.

    ``prcb``, ``process`` and ``thread`` are copies of the crashing processor's block, its process and its thread;
    their address is 0 where it could not be told.
    """

    blocks: tuple[DataBlock, ...] = ()
    drivers: tuple[TriageDriver, ...] = ()
    unloaded: tuple[TriageUnloaded, ...] = ()
    stack: DataBlock | None = None
    prcb: DataBlock | None = None
    process: DataBlock | None = None
    thread: DataBlock | None = None
    debugger_data: DataBlock | None = None
    data_page: DataBlock | None = None
    broken_driver: str | None = None


@dataclass(frozen=True, slots=True)
class DumpImage:
    """An open dump. Either ``pages`` (physical pages) or ``triage`` (blocks of virtual memory) is there, or neither
    where the file ends behind its header. ``notes`` are sentences about what is missing or wrong.

    Use it in a ``with`` statement: leaving it gives the mapped file back.
    """

    raw: RawFile
    header: DumpHeader
    pages: PageMap | None
    triage: TriageData | None
    truncated: bool
    notes: tuple[str, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the mapped file back."""
        self.raw.close()
