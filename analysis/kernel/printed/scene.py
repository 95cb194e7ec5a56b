"""The scene of a text: what a dump's scene answers from memory, answered from what a debugger printed."""

import re

from analysis.address import PhysAddr, VirtAddr
from analysis.errors import Absence, Unreadable
from analysis.formats.image import MACHINE_ARM64, MACHINE_X64, MACHINE_X86, DumpHeader, DumpImage, ExceptionRecord
from analysis.formats.raw import RawFile
from analysis.formats.windbg.facts import PrintedStack, WindbgText
from analysis.formats.windbg.patterns import HEX, number
from analysis.kernel.facts import Device, Irp, KernelFacts, Module, Process, Stack, Thread
from analysis.kernel.printed.facts import device_of, irp_of, lock_of, processes_of, stack_of, thread_of
from analysis.kernel.printed.names import ImageNames
from analysis.kernel.printed.places import PAGE, described_module, find_module, listed_modules, placed_modules
from analysis.kernel.scene import Scene
from analysis.kernel.stacks import Walker
from analysis.kernel.symbolize import KERNEL_MODULE
from analysis.kernel.waiting_for import doing
from analysis.kernel.working_on import WorkedOn
from analysis.memory.reader import Memory
from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.windows import version_of

KIND = "windbg-text"
MACHINES = {"x64": MACHINE_X64, "x86": MACHINE_X86, "arm64": MACHINE_ARM64}
HOW = "names are those that WinDbg printed"
UNNAMED = VirtAddr(0)  # stands for the thread of a stack that the text shows without saying whose it is
MAJOR = re.compile(r"(?<!\d)\d{4,6}(?!\d)")
_STOPPING = ("KeBugCheckEx", "KeBugCheck2", "KeBugCheck", "KiBugCheckDebugBreak", "RtlpBreakWithStatusInstruction")
# "0xEF_svchost.exe_BUGCHECK_CRITICAL_PROCESS_2f0a4080_ntdll!NtTerminateProcess"
_CRITICAL = re.compile(r"(?:X64_)?0xEF_(\S{1,60}?)_BUGCHECK_CRITICAL_PROCESS_")
_COMMAND_THREAD = re.compile(rf"\.thread (?:/\w+ )*({HEX})\b")


def _in_bucket(bucket: str) -> str | None:
    found = _CRITICAL.match(bucket)
    return found[1] if found else None


class _NoMemory(Memory):
    """A text holds no memory."""

    def __init__(self, pointer_size: int) -> None:
        self.pointer_size = pointer_size

    def read(self, address: int, size: int) -> bytes:  # noqa: ARG002  # the signature of every memory
        raise Unreadable(address, Absence.NOT_SAVED, "a text holds no memory")


class _PrintedWalker(Walker):
    """There is one stack of the stop, and it is printed: no context and no trap frame leads to another."""

    def __init__(self, memory: Memory, symbols: KernelSymbols, modules: tuple[Module, ...], main: Stack) -> None:
        super().__init__(memory, symbols, modules)
        self._main = main

    def context_stack(self, context: bytes, thread: Thread | None = None) -> Stack:  # noqa: ARG002
        """The printed stack of the stop."""
        return self._main

    def trap_stack(self, address: int, thread: Thread | None = None) -> Stack:  # noqa: ARG002
        """The printed stack of the stop: WinDbg starts from the trap frame where it should."""
        return self._main


class PrintedScene(Scene):
    """One text's kernel. What the text does not show is None, as it is for a dump that does not hold it."""

    def __init__(self, image: DumpImage, text: WindbgText) -> None:
        self.text = text
        self.images = ImageNames(text)
        self.memory = _NoMemory(4 if text.architecture == "x86" else 8)
        self._listed = listed_modules(text, self.images)
        self._placed = tuple(sorted(placed_modules(text, self.images), key=lambda one: one.base))
        described = described_module(text, self.images)
        loaded = tuple(one for one in self._listed if not one.unloaded)
        super().__init__(image, self.memory, _symbols(text), _facts(text, (*loaded, *_new(described, loaded)),
                         tuple(one for one in self._listed if one.unloaded)))  # fmt: skip
        self.main = stack_of(text.stack, self.images) if text.stack else Stack(end="the text shows no stack")
        self.walker = _PrintedWalker(self.memory, self.symbols, loaded, self.main)
        self.devices_shown = {one.address: one for one in text.devices}

    @property
    def crashing(self) -> VirtAddr | None:
        """The thread of the stop's stack: the one that the text names, else a stand-in where there is a stack."""
        named = self.faulting_thread
        if named is not None:
            return VirtAddr(named)
        running = [one.address for one in self.text.threads if one.processor is not None]
        if len(running) == 1:
            return VirtAddr(running[0])
        return UNNAMED if self.text.stack else None

    @property
    def faulting_thread(self) -> int | None:
        """The thread that !analyze switched to."""
        for text in (self.text.fields.get("FAULTING_THREAD", ""), self._command()):
            found = re.match(rf"({HEX})\b", text)
            if found and number(found[1]):
                # Of a 32-bit machine the command has it sign-extended: ".thread 0xffffffff84a3ed48".
                return number(found[1]) & (0xFFFF_FFFF if self.text.architecture == "x86" else 0xFFFF_FFFF_FFFF_FFFF)
        return None

    def _command(self) -> str:
        found = _COMMAND_THREAD.search(self.text.fields.get("STACK_COMMAND", ""))
        return found[1] if found else ""

    def module_at(self, address: int) -> Module | None:
        """The image of an address: listed, else placed by the text."""
        listed = super().module_at(address)
        return listed or (None if super().unloaded_at(address) else find_module(self._placed, address))

    def unloaded_at(self, address: int) -> Module | None:
        """The unloaded image of an address."""
        return None if self.module_at(address) else super().unloaded_at(address)

    def symbol(self, address: int) -> str:
        """How the text prints an address, else by the module it lies in."""
        printed = next((point.symbol for point in self.text.points if point.address == address), None)
        if printed is not None:
            return printed
        module = self.module_at(address)
        listed = super().module_at(address)
        if module is None or listed is not None:
            return super().symbol(address)
        name = "nt" if module.name == KERNEL_MODULE else module.name.rpartition(".")[0]
        # The lowest address that the text places in a module is its base only where it begins a page.
        return f"{name}+{address - module.base:#x}" if module.base % PAGE == 0 else name

    def thread(self, address: int) -> Thread | None:
        """A thread that the text shows in a THREAD block."""
        return self.facts.threads.get(VirtAddr(address))

    def process(self, address: int) -> Process | None:
        """A process that a thread names as its owner, or the one of the critical process that the analysis names."""
        found = self.facts.processes.get(VirtAddr(address))
        fields = self.text.fields
        if found is not None or not address:
            return found
        ended = fields.get("CRITICAL_PROCESS") or _in_bucket(fields.get("FAILURE_BUCKET_ID", ""))
        if ended and address == self.text.parameters[0]:
            return Process(VirtAddr(address), 0, ended)
        if number_in(fields.get("PROCESS_OBJECT", "")) != address:
            return None
        image = fields.get("IMAGE_NAME", "")
        name = image if image.lower().endswith(".exe") else fields.get("PROCESS_NAME", "")
        return Process(VirtAddr(address), 0, name) if name else None

    def stack(self, address: int) -> Stack:
        """The stack of a thread: of its THREAD block, or the analysis' own where that is this thread's."""
        shown = next((one.stack for one in self.text.threads if one.address == address and one.stack), None)
        if shown is not None:
            return stack_of(shown, self.images)
        if address == self.crashing or (self.faulting_thread is None and not _is_stop(self.text.stack)):
            # !analyze shows the stack of the thread that it found to be the story; that of the stop would begin with
            # the stop.
            return self.main
        return Stack(end="the text shows no stack of this thread")

    def doing(self, address: int) -> str | None:
        """What a thread was doing, told from its printed stack."""
        thread = self.thread(address) or Thread(VirtAddr(address), VirtAddr(0), "", 0, 0, "")
        return doing(thread, self.stack(address))

    def irp(self, address: int) -> Irp | None:
        """A request that !irp shows."""
        found = next((one for one in self.text.irps if one.address == address), None)
        return irp_of(found, self.images) if found else None

    def device(self, address: int) -> Device | None:
        """A device that !devstack or !devobj shows."""
        found = self.devices_shown.get(address)
        return device_of(found, self.text, self.images) if found else None

    def device_driver(self, address: int) -> str | None:
        """The image of the driver of a shown device."""
        found = self.devices_shown.get(address)
        return self.images.of_driver(found.driver) if found else None

    def driver_image(self, address: int) -> str | None:  # noqa: ARG002
        """A text ties no driver object to an image."""
        return None

    def worked_on(self, address: int) -> tuple[WorkedOn, ...]:  # noqa: ARG002
        """Which device a thread works on is found in memory, and a text holds none."""
        return ()


def read_printed(raw: RawFile, text: WindbgText) -> PrintedScene:
    """The scene of a text."""
    image = DumpImage(raw, _header(text), None, None, truncated=False, notes=text.notes)
    return PrintedScene(image, text)


def number_in(text: str) -> int | None:
    """The first hex number of a text."""
    found = re.match(rf"\s*({HEX})\b", text)
    return number(found[1]) if found else None


def _is_stop(stack: PrintedStack | None) -> bool:
    frames = stack.frames if stack else ()
    functions = [frame.symbol.partition("!")[2].partition("+")[0] for frame in frames]
    return not frames or any(function in _STOPPING for function in functions)


def _new(module: Module | None, known: tuple[Module, ...]) -> tuple[Module, ...]:
    # A module without a place answers by its name only; where the list has it, the list is better.
    return () if module is None or any(one.name == module.name for one in known) else (module,)


def _facts(text: WindbgText, modules: tuple[Module, ...], unloaded: tuple[Module, ...]) -> KernelFacts:
    threads = {VirtAddr(one.address): thread_of(one) for one in text.threads}
    locks = {VirtAddr(one.address): lock_of(one) for one in text.locks}
    return KernelFacts(modules, unloaded, processes_of(text.threads), threads, locks)


def _symbols(text: WindbgText) -> KernelSymbols:
    return KernelSymbols(
        base=VirtAddr(0),
        size=0,
        build=build_of(text),
        pdb=None,
        how=HOW,
        exact=True,
        layout_source="own",  # the debugger read the structures, and had what it needed for what it printed
        layouts=(),
        names=None,
        published={},
        os=text.fields.get("OSNAME") or None,
    )


def build_of(text: WindbgText) -> str | None:
    """The Windows build that the text names: "10.0.22621.2506", "6.1.7601", or None."""
    for known in (text.fields.get("OS_VERSION"), text.keys.get("WER.OS.Version"), text.fields.get("BUILDOSVER_STR")):
        found = re.match(r"\d{1,2}\.\d{1,2}\.\d{4,6}(?:\.\d{1,6})?", known or "")
        if found:
            return found[0]
    number_only = text.fields.get("OSBUILD") or text.fields.get("BUILD_VERSION_STRING", "").partition(".")[0]
    if re.fullmatch(r"\d{4,6}", number_only):
        return version_of(int(number_only))
    major, _, update = (text.banner.build or "").partition(".")
    return version_of(int(major)) + (f".{update}" if update else "") if major else None


def _header(text: WindbgText) -> DumpHeader:
    exception = text.exception
    build = MAJOR.search(build_of(text) or "")
    return DumpHeader(
        kind=KIND,
        type_code=0,
        major_version=0,
        build=int(build[0]) if build else 0,
        machine=MACHINES.get(text.architecture or "x64", MACHINE_X64),
        processors=0,
        code=text.code or 0,
        parameters=text.parameters,
        directory_table=PhysAddr(0),
        pfn_database=VirtAddr(0),
        loaded_modules=VirtAddr(0),
        active_processes=VirtAddr(0),
        kdbg=VirtAddr(0),
        context=b"",
        exception=ExceptionRecord(exception.code, 0, exception.address, exception.parameters) if exception else None,
        crash_time=None,
        uptime_seconds=None,
        product_type=None,
        suite_mask=None,
    )
