"""The process of a minidump as memory, modules and stacks."""

from functools import cached_property

from analysis.address import VirtAddr
from analysis.formats.image import DataBlock
from analysis.formats.minidump import UserDump, UserModule, UserThread
from analysis.kernel.context import arm64_registers, context_registers
from analysis.kernel.driver_symbols import DriverSymbols
from analysis.kernel.ebp import x86_stack
from analysis.kernel.facts import Module, Stack
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.images import Images
from analysis.kernel.program_names import NoKernel, ProcessNames, with_stub_named
from analysis.kernel.stacks import Walker
from analysis.kernel.symbolize import Symbolizer
from analysis.kernel.x86_context import x86_registers
from analysis.limits import MAX_STACK_BYTES
from analysis.memory import BlockMemory
from analysis.symbols.names import PdbIdentity
from analysis.symbols.search import SymbolFiles
from analysis.usermode.blocks import is_wow64, wow64_registers


class Process:
    """One process: what was saved of it, and its stacks. ``memory`` has the size of pointers of the process' own code,
    also where a 64-bit tool captured a 32-bit process. ``files`` are where PDBs and images may be had."""

    def __init__(self, dump: UserDump, files: SymbolFiles | None = None) -> None:
        self.dump = dump
        self.wow64 = is_wow64(dump)
        blocks = (*dump.memory, *_stacks(dump))
        self.memory = BlockMemory(dump.raw, blocks)
        self.memory.pointer_size = 4 if dump.system.architecture == "x86" or self.wow64 else 8
        self._wide = BlockMemory(dump.raw, blocks) if self.wow64 else self.memory
        self._files = files or SymbolFiles()
        self.modules = tuple(_module(one) for one in dump.modules)
        self.unloaded = tuple(_module(one, unloaded=True) for one in dump.unloaded)
        self._images = {one.name: one for one in reversed(dump.modules)}  # of two of one name the first counts

    @property
    def application(self) -> UserModule | None:
        """The program itself: the first module, or the first with the extension of a program."""
        programs = (one for one in self.dump.modules if one.name.endswith(".exe"))
        return next(programs, next(iter(self.dump.modules), None))

    def spelled(self, name: str) -> str:
        """A module's file name with the case in which the dump has it."""
        found = self._images.get(name)
        return (found.path if found else name).replace("\\", "/").rpartition("/")[2]

    def image(self, name: str | None) -> UserModule | None:
        """The module of that name."""
        return self._images.get(name) if name is not None else None

    @cached_property
    def names(self) -> Symbolizer:
        """Names addresses."""
        return self._walker.names

    @cached_property
    def image_files(self) -> ImageFiles:
        """The images of the modules, where they can be had."""
        return ImageFiles(self._files)

    @cached_property
    def pdbs(self) -> DriverSymbols:
        """The PDBs of the modules, where they can be had."""
        return DriverSymbols(self._files, self.modules, self.image_files)

    @cached_property
    def _code(self) -> Images:
        """The images as code of this process."""
        return Images(self.memory, self.image_files)

    @cached_property
    def _walker(self) -> Walker:
        names = ProcessNames(self.pdbs, self.memory, tuple(one.base for one in self.modules))
        return Walker(self._wide, NoKernel(), self.modules, self.unloaded, names, files=self.image_files)

    def holds_code(self, address: int) -> bool:
        """Whether an address lies in an image, loaded or unloaded."""
        return self.names.owner(address) is not None

    def symbol(self, address: int) -> str:
        """How an address is printed."""
        return self.names.name(address)

    def stack(self, thread: UserThread | None, context: bytes = b"", limit: int = MAX_STACK_BYTES) -> Stack:
        """The stack of a thread from its own context, or from another that the exception came with. At most
        ``limit`` bytes of it are looked at."""
        found = context or (thread.context if thread else b"")
        if not found:
            return Stack(end="the thread's registers were not saved")
        high = thread.stack.address + thread.stack.size if thread and thread.stack else None
        architecture = self.dump.system.architecture
        if self.wow64:
            small = wow64_registers(self._wide, thread, found)
            stack = (
                x86_stack(self.memory, self.names, self._code, small, min(1 << 32, small.esp + limit))
                if small
                else Stack()
            )
            if stack.frames and stack.frames[0].module is not None:
                return stack
        if architecture == "x86":
            small = x86_registers(found)
            return (
                x86_stack(self.memory, self.names, self._code, small, min(high or 1 << 32, small.esp + limit))
                if small
                else _unusable()
            )
        if architecture == "arm64":
            arm = arm64_registers(found)
            return self._walker.arm64_stack(arm, high=min(high or 0, arm.sp + limit)) if arm else _unusable()
        registers = context_registers(found) if architecture == "x64" else None
        if registers is None:
            return _unusable()
        low = registers.rsp
        walked = self._walker.bounded_stack(registers, low, min(max(high or 0, low + 8), low + limit))
        return with_stub_named(walked, self.names, self.memory)


def _unusable() -> Stack:
    return Stack(end="the thread's registers cannot be read")


def _stacks(dump: UserDump) -> tuple[DataBlock, ...]:
    return tuple(thread.stack for thread in dump.threads if thread.stack)


def _module(one: UserModule, *, unloaded: bool = False) -> Module:
    pdb = PdbIdentity(one.pdb.name, one.pdb.guid, one.pdb.age) if one.pdb else None
    return Module(
        one.name, VirtAddr(one.base), one.size, one.timestamp, one.version, path=one.path, pdb=pdb, unloaded=unloaded
    )
