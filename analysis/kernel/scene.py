"""Everything known about one dump's kernel, in one read-only place for those who draw conclusions.

``read_scene`` reads the lists once; what only a few threads need (stacks, requests, devices) is read when asked for.
A part that cannot be read becomes a note and the others stand.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.formats.image import DumpImage, TriageData
from analysis.kernel.clock import read_clock
from analysis.kernel.dispatcher import is_thread
from analysis.kernel.facts import KernelFacts, Lock, Module, Process, Stack, Thread
from analysis.kernel.locks import read_locks
from analysis.kernel.modules import name_kernel, read_modules, read_unloaded
from analysis.kernel.processes import read_process, read_processes
from analysis.kernel.processors import read_running
from analysis.kernel.stacks import Walker
from analysis.kernel.threads import ThreadReader, read_threads, thread_reader
from analysis.memory.reader import Memory
from analysis.symbols.kernel import KernelSymbols

_T = TypeVar("_T")


class Scene:
    """One dump's kernel: the open dump, its memory, names, and the facts read from them."""

    def __init__(self, image: DumpImage, memory: Memory, symbols: KernelSymbols, facts: KernelFacts) -> None:
        self.image = image
        self.memory = memory
        self.symbols = symbols
        self.facts = facts
        self.walker = Walker(memory, symbols, facts.modules, facts.unloaded)
        self._modules = sorted(facts.modules, key=lambda module: module.base)
        self._bases = [module.base for module in self._modules]
        self._stacks: dict[VirtAddr, Stack] = {}

    def module_at(self, address: int) -> Module | None:
        """The loaded image that an address lies in, or None."""
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address >= self._modules[index].end:
            return None
        return self._modules[index]

    def symbol(self, address: int) -> str:
        """What is printed for an address: "nt!Name+0x12", "driver+0x1234", or the address itself."""
        return self.walker.names.name(address)

    def stack(self, thread: VirtAddr) -> Stack:
        """The stack of a thread that was switched out; walked once, when first asked for."""
        if thread not in self._stacks:
            known = self.facts.threads.get(thread)
            missing = Stack(end="the thread is not in this dump")
            self._stacks[thread] = self.walker.thread_stack(known) if known else missing
        return self._stacks[thread]


def read_scene(image: DumpImage, memory: Memory, symbols: KernelSymbols) -> Scene:
    """Reads modules, processes, threads and locks. Never fails on what a dump lacks: ``facts.notes`` says so."""
    reading = _Reading(image, memory, symbols)
    modules = reading.modules()
    processes, threads = reading.processes_and_threads()
    locks = reading.locks(modules, threads)
    facts = KernelFacts(modules, reading.unloaded(), processes, threads, locks, tuple(reading.notes))
    return Scene(image, memory, symbols, facts)


class _Reading:
    # The notes of one dump's reading, collected while its parts are read.

    def __init__(self, image: DumpImage, memory: Memory, symbols: KernelSymbols) -> None:
        self.image = image
        self.memory = memory
        self.symbols = symbols
        self.notes: list[str] = []

    def attempt(self, what: str, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except (Unreadable, MissingLayout) as reason:
            self.notes.append(f"{what}: {reason}")
            return None

    def modules(self) -> tuple[Module, ...]:
        if self.image.triage is not None:
            return _triage_modules(self.image.triage, self.symbols.base)
        head = self.symbols.address("PsLoadedModuleList") or self.image.header.loaded_modules
        modules, notes = read_modules(self.memory, head, self.symbols.base)
        self.notes += notes
        return modules

    def unloaded(self) -> tuple[Module, ...]:
        if self.image.triage is not None:
            return tuple(
                Module(one.name.lower(), VirtAddr(one.start), one.end - one.start, unloaded=True)
                for one in self.image.triage.unloaded
            )
        pointer = self.symbols.address("MmUnloadedDrivers")
        if pointer is None:
            self.notes.append("unloaded drivers: where their list is cannot be told")
            return ()
        return self.attempt("unloaded drivers", lambda: read_unloaded(self.memory, pointer)) or ()

    def processes_and_threads(self) -> tuple[dict[VirtAddr, Process], dict[VirtAddr, Thread]]:
        reader = self.attempt("threads", self.thread_reader)
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
        for address in reader.running:
            # The idle threads are on no process' list.
            if address not in threads and is_thread(self.memory, address):
                thread = self.attempt("running threads", partial(reader.read, address, None))
                threads |= {address: thread} if thread else {}
        return threads

    def current(
        self, triage: TriageData, reader: ThreadReader | None
    ) -> tuple[dict[VirtAddr, Process], dict[VirtAddr, Thread]]:
        # A small dump holds the crashing thread and its process, and lists of neither.
        process = thread = None
        if triage.process and triage.process.address:
            address = triage.process.address
            process = self.attempt("process", lambda: read_process(self.memory, self.symbols, address))
        if reader and triage.thread and triage.thread.address:
            at = triage.thread.address
            thread = self.attempt("thread", lambda: reader.read(at, process))
        return (
            {process.address: process} if process else {},
            {thread.address: thread} if thread else {},
        )

    def thread_reader(self) -> ThreadReader:
        clock = read_clock(self.memory, self.symbols.address("KeTimeIncrement"))
        count = self.image.header.processors
        running = self.attempt("processors", lambda: read_running(self.memory, self.symbols, count)) or {}
        return thread_reader(self.memory, self.symbols, clock, running)

    def locks(self, modules: tuple[Module, ...], threads: dict[VirtAddr, Thread]) -> dict[VirtAddr, Lock]:
        found = read_locks(self.memory, self.symbols, threads, modules)
        self.notes += found.notes
        return found.locks


def _triage_modules(triage: TriageData, kernel_base: int) -> tuple[Module, ...]:
    listed = (
        Module(
            one.name.lower() or f"unnamed-{one.base:x}.sys",
            VirtAddr(one.base),
            one.size,
            one.timestamp,
            path=one.path or None,
        )
        for one in triage.drivers
    )
    return name_kernel(listed, kernel_base)
