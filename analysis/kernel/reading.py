"""Reads all facts of one kernel, each part on its own: one that fails becomes a note, and the others stand."""

from collections.abc import Callable
from functools import cache, partial
from typing import TypeVar

from analysis.address import VirtAddr
from analysis.errors import BadDump, MissingLayout, Unreadable
from analysis.formats.image import DataBlock, DumpImage, TriageData
from analysis.kernel.clock import read_clock
from analysis.kernel.critical_sections import Programs
from analysis.kernel.dispatcher import is_process, is_thread
from analysis.kernel.facts import KernelFacts, Lock, Module, Process, Thread
from analysis.kernel.locks import list_resources, read_locks
from analysis.kernel.modules import name_kernel, read_modules, read_unloaded, unnamed, with_image
from analysis.kernel.modules32 import read_modules32
from analysis.kernel.processes import read_process, read_processes
from analysis.kernel.processors import read_running
from analysis.kernel.published import published_reader
from analysis.kernel.threads import ThreadReader, read_threads, thread_reader
from analysis.memory.reader import Memory
from analysis.memory.snapshot import Snapshot
from analysis.memory.x64 import AddressSpace
from analysis.symbols.kernel import KernelSymbols

_T = TypeVar("_T")
# An owner that no process lists may itself wait for something whose owner no process lists. Seen: one level.
_MAX_ROUNDS = 4
ONLY_MODULES = "32-bit kernel without symbols of its own: its modules and the crashing stack are read, nothing else"
_WITH_PROGRAMS = frozenset({"kernel-full", "kernel-bitmap-full", "kernel-ranges"})


def read_facts(image: DumpImage, memory: Memory, symbols: KernelSymbols) -> tuple[KernelFacts, ThreadReader | None]:
    """The facts, and the reader of threads for those that turn up later; None where no thread can be read."""
    reading = _Reading(image, memory, symbols)
    modules = reading.modules()
    unloaded = reading.unloaded()
    if memory.pointer_size == 4 and symbols.layout_source == "none":
        return KernelFacts(modules, unloaded, notes=(*reading.notes, ONLY_MODULES)), None
    reader = reading.attempt("threads", reading.thread_reader)
    processes, threads = reading.processes_and_threads(reader)
    locks = reading.locks(modules, reader, processes, threads)
    return KernelFacts(modules, unloaded, processes, threads, locks, tuple(reading.notes)), reader


class _Reading:
    # One dump's reading: its sources, and the notes that collect while its parts are read.

    def __init__(self, image: DumpImage, memory: Memory, symbols: KernelSymbols) -> None:
        self.image = image
        self.memory = memory
        self.symbols = symbols
        self.notes: list[str] = []

    def attempt(self, what: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except (Unreadable, MissingLayout, BadDump) as reason:
            self.notes.append(f"{what}: {reason}")
            return None

    def modules(self) -> tuple[Module, ...]:
        if self.image.triage is not None:
            return _triage_modules(self.image.triage, self.symbols.base)
        head = self.symbols.address("PsLoadedModuleList") or self.image.header.loaded_modules
        if self.memory.pointer_size == 4:
            modules, notes = read_modules32(self.memory, head, self.symbols.base)
        else:
            entry = self.symbols.layout("_KLDR_DATA_TABLE_ENTRY")
            # Not among the public symbols of Windows 8.1 and older.
            stamp_at = entry.offset("TimeDateStamp") if entry and entry.has("TimeDateStamp") else None
            modules, notes = read_modules(self.memory, head, self.symbols.base, stamp_at)
        self.notes += notes
        return tuple(with_image(self.memory, module) for module in modules)

    def unloaded(self) -> tuple[Module, ...]:
        if self.image.triage is not None:
            return tuple(
                Module(one.name.lower(), VirtAddr(one.start), one.end - one.start, unloaded=True)
                for one in self.image.triage.unloaded
                if one.start <= one.end
            )
        pointer = self.symbols.address("MmUnloadedDrivers")
        if pointer is None:
            self.notes.append("unloaded drivers: where their list is cannot be told")
            return ()
        return self.attempt("unloaded drivers", lambda: read_unloaded(self.memory, pointer)) or ()

    def thread_reader(self) -> ThreadReader:
        clock = read_clock(self.memory, self.symbols.address("KeTimeIncrement"))
        count = self.image.header.processors
        running = self.attempt("processors", lambda: read_running(self.memory, self.symbols, count)) or {}
        try:
            return thread_reader(self.memory, self.symbols, clock, running)
        except MissingLayout as missing:
            published = published_reader(self.memory, self.symbols.kdbg, clock)
            if published is None:
                raise
            self.notes.append(f"threads: {missing}; single threads are read by the offsets that the kernel publishes")
            return published

    def processes_and_threads(
        self, reader: ThreadReader | None
    ) -> tuple[dict[VirtAddr, Process], dict[VirtAddr, Thread]]:
        if self.image.triage is not None:
            return self.current(self.image.triage, reader)
        processes = self.attempt("processes", self.processes) or {}
        threads = self.threads(reader, processes) if reader else {}
        return processes, threads

    def processes(self) -> dict[VirtAddr, Process]:
        head = self.symbols.address("PsActiveProcessHead") or self.image.header.active_processes
        processes, notes = read_processes(self.memory, self.symbols, head)
        self.notes += notes
        return processes

    def threads(self, reader: ThreadReader, processes: dict[VirtAddr, Process]) -> dict[VirtAddr, Thread]:
        threads, notes = read_threads(reader, self.symbols, processes.values())
        self.notes += notes
        # The idle threads run, and are on no process' list.
        self.add_threads(reader, processes, threads, set(reader.running))
        return threads

    def add_threads(
        self,
        reader: ThreadReader,
        processes: dict[VirtAddr, Process],
        threads: dict[VirtAddr, Thread],
        wanted: set[VirtAddr],
    ) -> bool:
        # Threads that were met elsewhere than on a process' list: idle ones, ended ones, those of a torn list.
        added = False
        for address in sorted(wanted.difference(threads)):
            if not is_thread(self.memory, address):
                continue
            home = reader.process_of(address)
            process = processes.get(home) if home else None
            if process is None and home and is_process(self.memory, home):
                process = self.attempt("process", partial(read_process, self.memory, self.symbols, home))
            thread = self.attempt("threads", partial(reader.read, address, process))
            if thread is not None:
                threads[address] = thread
                added = True
        return added

    def current(
        self, triage: TriageData, reader: ThreadReader | None
    ) -> tuple[dict[VirtAddr, Process], dict[VirtAddr, Thread]]:
        # A small dump holds the crashing thread and its process, and lists of neither.
        thread = None
        if reader and triage.thread and triage.thread.address:
            thread = self.attempt("thread", partial(reader.read, triage.thread.address, None))
        process = self.current_process(triage, thread)
        if reader and thread and process:
            thread = self.attempt("thread", partial(reader.read, thread.address, process))
        return (
            {process.address: process} if process else {},
            {thread.address: thread} if thread else {},
        )

    def current_process(self, triage: TriageData, thread: Thread | None) -> Process | None:
        block = triage.process
        if block is None:
            return None
        if block.address:
            return self.attempt("process", lambda: read_process(self.memory, self.symbols, block.address))
        # The block does not say where it was; its thread does, and both must name the same process.
        if thread is None or not thread.process:
            return None
        home = thread.process
        found = self.attempt("process", lambda: self.process_in(block, home))
        return found if found and found.pid == thread.pid else None

    def process_in(self, block: DataBlock, home: VirtAddr) -> Process:
        data = self.image.raw.read(block.offset, block.size, "the process of a small dump")
        return read_process(Snapshot(self.memory, home, block.size, data), self.symbols, home)

    def programs(self, processes: dict[VirtAddr, Process]) -> Programs | None:
        space = program_memory(self.image, self.memory)
        return Programs(space, processes) if space is not None else None

    def locks(
        self,
        modules: tuple[Module, ...],
        reader: ThreadReader | None,
        processes: dict[VirtAddr, Process],
        threads: dict[VirtAddr, Thread],
    ) -> dict[VirtAddr, Lock]:
        programs = self.programs(processes)
        listing = cache(partial(list_resources, self.memory, self.symbols))
        found = read_locks(self.memory, self.symbols, threads, modules, programs, listing=listing)
        for _ in range(_MAX_ROUNDS if reader else 0):
            involved = {held.thread for lock in found.locks.values() for held in (*lock.owners, *lock.waiters)}
            if reader is None or not self.add_threads(reader, processes, threads, involved):
                break
            found = read_locks(self.memory, self.symbols, threads, modules, programs, listing=listing)
        self.notes += found.notes
        return found.locks


def _triage_modules(triage: TriageData, kernel_base: int) -> tuple[Module, ...]:
    listed = (
        Module(
            one.name.lower() or unnamed(one.base, one.size, one.timestamp),
            VirtAddr(one.base),
            one.size,
            one.timestamp,
            path=one.path or None,
        )
        for one in triage.drivers
    )
    return name_kernel(listed, kernel_base)


def program_memory(image: DumpImage, memory: Memory) -> Callable[[int], Memory] | None:
    """What opens the memory of a process by its directory table; None where the dump holds no programs."""
    # Kernel dumps leave the programs' pages out; what a transition frame happens to hold is not looked for.
    if image.header.kind not in _WITH_PROGRAMS or not isinstance(memory, AddressSpace):
        return None
    return memory.process
