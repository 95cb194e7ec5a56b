"""The part of a thread's stack that lies in its program, in dumps that hold the program's own pages.

The trap frame of the system call has the program's registers; its code, unwind data and stack are read through the page
tables of its process. Which images it has loaded stands in the loader's list of its PEB. The members used of PEB,
PEB_LDR_DATA and LDR_DATA_TABLE_ENTRY are those of winternl.h; they have not moved in any 64-bit Windows. Of a 32-bit
program this is the 64-bit layer below it. Only x64.
"""

import struct
from collections.abc import Callable

from analysis.address import PAGE_MASK, VirtAddr, is_user
from analysis.errors import BadDump, MissingLayout, Unreadable
from analysis.kernel.context import USER_TRAP_FRAME, Registers, read_trap_frame
from analysis.kernel.driver_symbols import DriverSymbols
from analysis.kernel.facts import Module, Process, Stack, Thread
from analysis.kernel.names import KernelNames
from analysis.kernel.program_names import NoKernel, ProcessNames, with_stub_named
from analysis.kernel.stacks import Walker
from analysis.limits import MAX_STACK_BYTES
from analysis.memory.reader import Memory
from analysis.symbols.pe import read_image
from analysis.symbols.search import SymbolFiles

MAX_PROGRAM_IMAGES = 512
NOT_FETCHED = "the program's part of the stack was not fetched: the dump lies elsewhere"
_PEB_LDR = 0x18
_LDR_IN_LOAD_ORDER = 0x10
_ENTRY = struct.Struct("<QQ32xQQI4xHH4xQHH4xQ")  # links; DllBase, EntryPoint, SizeOfImage, FullDllName, BaseDllName
_MAX_IMAGE_SIZE = 1 << 31
_MAX_PATH = 0x400  # bytes
_TEB_STACK_BASE = 8  # NT_TIB.StackBase, winnt.h


class UserStacks:
    """Walks the user side of threads; what a process has loaded is read once. ``space`` opens a process' memory.

    Of a dump that is still ``far`` away each page of a program would be a request of its own: it is left there.
    """

    def __init__(
        self,
        memory: Memory,
        names: KernelNames,
        files: SymbolFiles,
        space: Callable[[int], Memory] | None,
        *,
        far: bool = False,
    ) -> None:
        self._memory = memory
        self._names = names
        self._files = files
        self._space = space
        self._far = far
        self._programs: dict[VirtAddr, tuple[Walker, Memory]] = {}

    def stack(self, thread: Thread, process: Process | None) -> Stack | None:
        """The frames of a thread in its program, from the instruction behind its system call on.

        None where the thread has no user side, or the dump does not hold programs. Where pages that the walk needs are
        missing, the stack ends there and says so.
        """
        if self._space is None or thread.is_system or process is None or not process.directory_table:
            return None
        registers = self._entered(thread)
        if registers is None:
            return None
        if self._far:
            return Stack(end=NOT_FETCHED)
        walker, space = self._program(process, self._space)
        low = registers.rsp
        try:
            space.read(low, 8)
        except Unreadable as gap:
            return Stack(end=f"the program's stack cannot be read at {low:#x}: {gap.absence.value}")
        walked = walker.bounded_stack(registers, low, min(_stack_base(space, thread, low), low + MAX_STACK_BYTES))
        return with_stub_named(walked, walker.names, space)

    def _entered(self, thread: Thread) -> Registers | None:
        initial = thread.initial_stack
        for place in (initial - USER_TRAP_FRAME if initial else None, thread.trap_frame):
            if place is None:
                continue
            try:
                trap = read_trap_frame(self._memory, place)
            except Unreadable:
                continue
            if trap.user_mode and is_user(trap.registers.rip) and is_user(trap.registers.rsp):
                return trap.registers
        return None

    def _program(self, process: Process, space_of: Callable[[int], Memory]) -> tuple[Walker, Memory]:
        known = self._programs.get(process.address)
        if known is None:
            space = space_of(process.directory_table or 0)
            modules = program_images(space, self._peb(process))
            names = ProcessNames(DriverSymbols(self._files, modules), space, tuple(one.base for one in modules))
            known = self._programs[process.address] = (Walker(space, NoKernel(), modules, (), names), space)
        return known

    def _peb(self, process: Process) -> int:
        try:
            found = self._names.struct(self._memory, "_EPROCESS", process.address)
            return found.pointer("Peb") if found.has("Peb") else 0
        except (MissingLayout, Unreadable):
            return 0


def program_images(space: Memory, peb: int) -> tuple[Module, ...]:
    """The images that a process has loaded, as far as the loader's list in its own memory can be followed.

    ``space`` is the process' memory. Each entry must point back to where the walk came from.
    """
    found: list[Module] = []
    try:
        if not is_user(peb):
            return ()
        head = space.u64(peb + _PEB_LDR) + _LDR_IN_LOAD_ORDER
        at, before = space.u64(head), head
        for _ in range(MAX_PROGRAM_IMAGES):
            if at == head or not is_user(at):
                break
            entry = _ENTRY.unpack(space.read(at, _ENTRY.size))
            if entry[1] != before:
                break
            module = _image(space, entry)
            if module is not None:
                found.append(module)
            at, before = entry[0], at
    except Unreadable:
        pass  # what was found so far stands
    return tuple(found)


def _image(space: Memory, entry: tuple[int, ...]) -> Module | None:
    _, _, base, _, size, path_size, _, path_at, name_size, _, name_at = entry
    if not is_user(base) or base & PAGE_MASK or not 0 < size < _MAX_IMAGE_SIZE:
        return None
    name, path = _text(space, name_at, name_size), _text(space, path_at, path_size)
    if not name:
        return None
    try:
        headers = read_image(space, base)
    except (Unreadable, BadDump):
        return Module(name.lower(), VirtAddr(base), size, path=path or None)
    return Module(name.lower(), VirtAddr(base), size, headers.timestamp, path=path or None, pdb=headers.pdb)


def _text(space: Memory, at: int, size: int) -> str:
    try:
        return space.read(at, size).decode("utf-16-le", "replace") if 0 < size <= _MAX_PATH and is_user(at) else ""
    except Unreadable:
        return ""


def _stack_base(space: Memory, thread: Thread, pointer: int) -> int:
    """The upper end of the user stack, as the TEB has it; else what may be looked at above the stack pointer."""
    if thread.teb is not None:
        try:
            base = space.u64(thread.teb + _TEB_STACK_BASE)
        except Unreadable:
            base = 0
        if is_user(base) and pointer < base <= pointer + (MAX_STACK_BYTES << 6):
            return base
    return pointer + MAX_STACK_BYTES
