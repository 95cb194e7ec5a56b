"""Everything known about one dump's kernel, in one read-only place for those who draw conclusions.

``read_scene`` reads the lists once; what only a few threads need (stacks, requests, devices) is read when asked for.
A part that cannot be read becomes a note and the others stand.
"""

from functools import cached_property

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.formats.image import MACHINE_ARM64, DumpImage
from analysis.kernel.computer_name import computer_name
from analysis.kernel.context import Registers, context_registers
from analysis.kernel.current32 import current_thread32
from analysis.kernel.devices import Devices
from analysis.kernel.dispatcher import is_process, is_thread
from analysis.kernel.driver_symbols import DriverSymbols
from analysis.kernel.facts import Device, Irp, KernelFacts, Module, Process, Stack, Thread
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.irps import read_irp
from analysis.kernel.pnp import completion_nodes
from analysis.kernel.processes import read_process
from analysis.kernel.reading import program_memory, read_facts
from analysis.kernel.running import running_context, running_stack
from analysis.kernel.spinning import Processor
from analysis.kernel.stacks import Walker
from analysis.kernel.threads import ThreadReader
from analysis.kernel.user_stacks import UserStacks
from analysis.kernel.waiting_for import doing
from analysis.kernel.working_on import DeviceFinder, WorkedOn
from analysis.memory.reader import Memory
from analysis.symbols.kernel import KernelSymbols

POWER_STATE_FAILURE = 0x9F


class Scene:
    """One dump's kernel: the open dump, its memory, names, and the facts read from them.

    What is read when first asked for is kept; nothing else ever changes.
    """

    def __init__(
        self,
        image: DumpImage,
        memory: Memory,
        symbols: KernelSymbols,
        facts: KernelFacts,
        reader: ThreadReader | None = None,
    ) -> None:
        self.image = image
        self.memory = memory
        self.symbols = symbols
        self.facts = facts
        self.image_files = ImageFiles(symbols.files)
        self.driver_symbols = DriverSymbols(symbols.files, facts.modules, self.image_files)
        self.walker = Walker(
            memory,
            symbols,
            facts.modules,
            facts.unloaded,
            self.driver_symbols,
            files=self.image_files,
            arm64=image.header.machine == MACHINE_ARM64,
        )
        self._space = space = program_memory(image, memory)
        self._user_stacks = UserStacks(memory, symbols, symbols.files, space, far=image.raw.is_remote)
        self._reader = reader
        self._threads: dict[int, Thread | None] = {}
        self._stacks: dict[int, Stack] = {}
        self._worked_on: dict[int, tuple[WorkedOn, ...]] = {}

    @property
    def computer_name(self) -> str | None:
        """What the machine is called, where the dump holds its programs; not fetched of one that lies elsewhere."""
        if self._space is None or self.image.raw.is_remote:
            return None
        return computer_name(self.memory, self.symbols, self._space, self.facts.processes.values())

    @property
    def crashing(self) -> VirtAddr | None:
        """The thread that stopped, where something other than a saved context names it."""
        if self.memory.pointer_size == 4 and self.image.triage is None:
            return current_thread32(self.memory, self.image.header.kdbg)
        return None

    def module_at(self, address: int) -> Module | None:
        """The loaded image that an address lies in, or None."""
        return self.walker.names.module_at(address)

    def unloaded_at(self, address: int) -> Module | None:
        """The image that was once loaded at an address where none is now, or None."""
        return self.walker.names.unloaded_at(address)

    def symbol(self, address: int) -> str:
        """How an address is printed: "nt!KeBugCheckEx", "rassstp+0x1234", or the bare address."""
        return self.walker.names.name(address)

    def thread(self, address: int) -> Thread | None:
        """The thread at an address, also one that no process lists any more; None where no thread object is."""
        listed = self.facts.threads.get(VirtAddr(address))
        if listed is not None or self._reader is None:
            return listed
        if address not in self._threads:
            self._threads[address] = self._read_thread(self._reader, address)
        return self._threads[address]

    def _read_thread(self, reader: ThreadReader, address: int) -> Thread | None:
        if not is_thread(self.memory, address):
            return None
        try:
            return reader.read(address, self.process(reader.process_of(address) or 0))
        except Unreadable:
            return None

    def process(self, address: int) -> Process | None:
        """The process at an address, also one that is on no list any more; None where no process object is."""
        listed = self.facts.processes.get(VirtAddr(address))
        if listed is not None or not is_process(self.memory, address) or self.symbols.layout("_EPROCESS") is None:
            return listed
        try:
            return read_process(self.memory, self.symbols, address)
        except Unreadable:
            return None

    def stack(self, address: int) -> Stack:
        """The stack of the thread at an address; empty, with the reason as its end, where it cannot be walked."""
        if address not in self._stacks:
            self._stacks[address] = self._walk(self.thread(address), address)
        return self._stacks[address]

    def user_stack(self, address: int) -> Stack | None:
        """The part of a thread's stack that lies in its program; None where it has none or programs were not saved."""
        thread = self.thread(address)
        return None if thread is None else self._user_stacks.stack(thread, self.process(thread.process))

    def _walk(self, thread: Thread | None, address: int) -> Stack:
        if thread is None:
            return Stack(end=f"no thread can be read at {address:#x}")
        if thread.processor is None and thread.state != "Running":
            return self.walker.thread_stack(thread)
        return running_stack(self.memory, self.symbols, self.walker, self.image.header.context, thread)

    @cached_property
    def processors(self) -> tuple[Processor, ...]:
        """What each processor was running, in the order of their numbers; those that cannot be told are left out."""
        running = [thread for thread in self.facts.threads.values() if thread.processor is not None]
        running.sort(key=lambda thread: thread.processor or 0)
        return tuple(Processor(thread, self.stack(thread.address), self._registers(thread)) for thread in running)

    def _registers(self, thread: Thread) -> Registers | None:
        context = running_context(self.memory, self.symbols, self.image.header.context, thread)
        return context_registers(context) if context is not None else None

    @cached_property
    def devices(self) -> Devices:
        """The reader of driver objects, device stacks and devnodes."""
        return Devices(self.memory, self.symbols, self.module_at)

    @cached_property
    def device_finder(self) -> DeviceFinder:
        """What tells which device a thread works on."""
        block = self.image.header.parameters[3] if self.image.header.code == POWER_STATE_FAILURE else 0
        pending = completion_nodes(self.memory, self.devices, block)
        return DeviceFinder(self.memory, self.symbols, self.devices, pending)

    def device(self, address: int) -> Device | None:
        """The device object at an address with its stack, drivers and devnode; None where there is none."""
        return self.devices.device(address)

    def device_driver(self, address: int) -> str | None:
        """The image name of the driver of the device object at an address."""
        return self.devices.device_driver(address)

    def driver_image(self, address: int) -> str | None:
        """The image name of the driver object at an address."""
        driver = self.devices.driver(address)
        return driver.image if driver else None

    def irp(self, address: int) -> Irp | None:
        """The I/O request at an address, or None."""
        return read_irp(self.memory, self.symbols, self.devices, address)

    def worked_on(self, address: int) -> tuple[WorkedOn, ...]:
        """Devices that the thread at an address seems to work on, best first."""
        thread = self.thread(address)
        if thread is None:
            return ()
        if address not in self._worked_on:
            self._worked_on[address] = self.device_finder.worked_on(thread, self.stack(address))
        return self._worked_on[address]

    def doing(self, address: int) -> str | None:
        """What the thread at an address was doing, in plain words ("system shutdown"); None where nothing tells."""
        thread = self.thread(address)
        if thread is None:
            return None
        stack = self.stack(address)
        return doing(thread, stack) or self._doing_by_device(thread, stack)

    def _doing_by_device(self, thread: Thread, stack: Stack) -> str | None:
        best = next(iter(self.worked_on(thread.address)), None)
        if best is None:
            return None
        return doing(thread, stack, device_being_removed=best.being_removed, device_starting=best.starting)


def read_scene(image: DumpImage, memory: Memory, symbols: KernelSymbols) -> Scene:
    """Reads modules, processes, threads and locks. Never fails on what a dump lacks: ``facts.notes`` says so."""
    facts, reader = read_facts(image, memory, symbols)
    return Scene(image, memory, symbols, facts, reader)
