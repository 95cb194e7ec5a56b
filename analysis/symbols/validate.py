"""Whether a layout table fits the dump at hand: the checks a borrowed table must pass before anything is read by it.

A wrong offset rarely fails loudly: it yields a plausible number. So each check compares two things that only agree when
the offsets are right: a list with its own back links, a count with a list's length, a thread with the process it is
listed under, a wait block with the thread that waits on it, a lock's counts with its owner, a processor with the
threads it runs, and KDBG's own offsets with the table's.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.errors import Unreadable
from analysis.limits import MAX_PROCESSES
from analysis.memory.reader import Memory
from analysis.symbols.kdbg import Kdbg
from analysis.symbols.layout import Layout, Struct
from analysis.symbols.names import SymbolTable

PROCESS_TYPE, THREAD_TYPE = 3, 6  # KOBJECTS of a dispatcher header
WAITING = 5
SAMPLE_PROCESSES, SAMPLE_THREADS, SAMPLE_RESOURCES = 48, 512, 4096
MIN_PROCESSES, MIN_THREADS = 3, 8

# In a crash one structure in twenty may be torn or stale; by a wrong offset nearly all fail.
TOLERANCE = 20

NEEDED = ("_EPROCESS", "_ETHREAD", "_KTHREAD", "_KWAIT_BLOCK", "_ERESOURCE", "_KPRCB")

# Members whose offset KDBG publishes and whose meaning is the same in every build.
PUBLISHED = (
    ("_KTHREAD", "Teb"),
    ("_KTHREAD", "KernelStack"),
    ("_KTHREAD", "InitialStack"),
    ("_KTHREAD", "StackLimit"),
    ("_KTHREAD", "StackBase"),
    ("_KTHREAD", "ApcState.Process"),
    ("_KTHREAD", "State"),
    ("_KTHREAD", "WaitReason"),
    ("_ETHREAD", "IrpList"),
    ("_EPROCESS", "Peb"),
    ("_EPROCESS", "InheritedFromUniqueProcessId"),
    ("_EPROCESS", "Pcb.DirectoryTableBase"),
    ("_KPRCB", "CurrentThread"),
    ("_KPRCB", "Number"),
)


@dataclass(slots=True)
class Fit:
    """What the checks found: members whose offset KDBG agrees with or not, structures that passed and failed (of
    resources only the busy ones count), processes whose thread count agrees with their list; ``whole`` is True where
    the process list closes; ``problems`` are sentences."""

    offsets_agree: int = 0
    offsets_differ: int = 0
    good_processes: int = 0
    bad_processes: int = 0
    good_threads: int = 0
    bad_threads: int = 0
    good_resources: int = 0
    bad_resources: int = 0
    bad_processors: int = 0
    counts_agree: int = 0
    counts_differ: int = 0
    whole: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def is_proven(self) -> bool:
        """Whether the table may be borrowed: what could be compared agrees but for a stray, and was not little."""
        return (
            self.whole
            and self.offsets_differ == self.bad_processors == 0
            and self.good_processes >= MIN_PROCESSES
            and self.good_threads >= MIN_THREADS
            and self.bad_processes * TOLERANCE <= self.good_processes
            and self.bad_threads * TOLERANCE <= self.good_threads
            and self.bad_resources * TOLERANCE <= self.good_resources
            and self.counts_agree > 3 * self.counts_differ
        )

    @property
    def is_refuted(self) -> bool:
        """Whether even a table of the right major build must be refused: the dump plainly contradicts it.

        Damage to single structures is everyday in a crash dump and refutes nothing.
        """
        return (
            self.offsets_differ >= 2
            or self.bad_processes > self.good_processes
            or self.bad_threads > self.good_threads
            or self.bad_resources > self.good_resources
        )


def check_layouts(memory: Memory, table: SymbolTable, kdbg: Kdbg | None, published: Mapping[str, int]) -> Fit:
    """Holds a table against the dump. ``published`` are addresses of kernel variables by name, as far as known."""
    fit = Fit()
    _check_published(table, kdbg, fit)
    if fit.offsets_differ:
        return fit  # no walk by offsets that are known to be wrong
    layouts = {name: table.layout(name) for name in NEEDED}
    known = {name: layout for name, layout in layouts.items() if layout is not None}
    if len(known) < len(NEEDED):
        fit.problems.append("the table lacks what the checks need")
        return fit
    try:
        _check_processes(memory, known, published.get("PsActiveProcessHead", 0), fit)
        _check_resources(memory, known, published.get("ExpSystemResourcesList", 0), fit)
        _check_processor(memory, known, published.get("KiProcessorBlock", 0), fit)
    except KeyError as missing:
        fit.problems.append(f"the table lacks the member {missing.args[0]}")
        fit.whole = False
    return fit


def _check_published(table: SymbolTable, kdbg: Kdbg | None, fit: Fit) -> None:
    for structure, member in PUBLISHED if kdbg else ():
        published = kdbg.offsets.get((structure, member)) if kdbg else None
        layout = table.layout(structure)
        if published is None or layout is None or not layout.has(member):
            continue
        if layout.offset(member) == published:
            fit.offsets_agree += 1
        else:
            fit.offsets_differ += 1
            fit.problems.append(
                f"the kernel's debugger data puts {structure}.{member} at {published:#x}, the table at "
                f"{layout.offset(member):#x}"
            )


def _check_processes(memory: Memory, layouts: dict[str, Layout], head: int, fit: Fit) -> None:
    links = _closed_list(memory, head, MAX_PROCESSES) if memory.is_kernel(head) else None
    fit.whole = links is not None
    if links is None:
        fit.problems.append("the list of processes does not close")
        return
    offset = layouts["_EPROCESS"].offset("ActiveProcessLinks")
    budget = SAMPLE_THREADS
    for index, link in enumerate(links[:SAMPLE_PROCESSES]):
        process = Struct(memory, layouts["_EPROCESS"], link - offset)
        try:
            problem = _process_problem(process, is_first=index == 0)
            if problem is None and budget > 0:
                budget -= _check_threads(memory, layouts, process, fit)
        except Unreadable:
            continue  # paged out or not saved: says nothing about the table
        fit.good_processes += problem is None
        fit.bad_processes += problem is not None
        if problem:
            fit.problems.append(f"process at {process.address:#x}: {problem}")


def _process_problem(process: Struct, is_first: bool) -> str | None:
    if process.memory.u8(process.address) & 0x7F != PROCESS_TYPE:
        return "its header is not of type process"
    pid = process.pointer("UniqueProcessId")
    name = process.memory.read(process.address_of("ImageFileName"), 15).split(b"\0")[0]
    if is_first and (pid != 4 or name != b"System"):
        return "the first process is not System with id 4"
    if pid % 4 or not 0 < pid < 1 << 26:
        return f"its id {pid:#x} is implausible"
    if any(byte < 0x20 for byte in name):
        return "its name is no text"
    if process.u64("Pcb.DirectoryTableBase") >> 52:
        return "its page directory is no physical address"
    return None


# How many threads were looked at.
def _check_threads(memory: Memory, layouts: dict[str, Layout], process: Struct, fit: Fit) -> int:
    by_executive = _closed_list(memory, process.address_of("ThreadListHead"), SAMPLE_THREADS)
    by_scheduler = _closed_list(memory, process.address_of("Pcb.ThreadListHead"), SAMPLE_THREADS)
    if by_executive is None or by_scheduler is None:
        return 1  # torn or long: proves nothing
    offset = layouts["_ETHREAD"].offset("ThreadListEntry")
    threads = [link - offset for link in by_executive]
    inner = layouts["_KTHREAD"].offset("ThreadListEntry")
    same = {link - inner for link in by_scheduler} == set(threads)
    # A thread that ended stays listed while somebody holds a reference, but is counted no more.
    agrees = process.u32("ActiveThreads") == len(threads) and same
    fit.counts_agree += agrees
    fit.counts_differ += not agrees
    for address in threads:
        try:
            problem = _thread_problem(memory, layouts, process, address)
        except Unreadable:
            continue
        fit.good_threads += problem is None
        fit.bad_threads += problem is not None
        if problem:
            fit.problems.append(f"thread at {address:#x}: {problem}")
    return len(threads)


def _thread_problem(memory: Memory, layouts: dict[str, Layout], process: Struct, address: int) -> str | None:
    outer, thread = Struct(memory, layouts["_ETHREAD"], address), Struct(memory, layouts["_KTHREAD"], address)
    if memory.u8(address) & 0x7F != THREAD_TYPE:
        return "its header is not of type thread"
    if thread.pointer("Process") != process.address:
        return "it does not point back to its process"
    if outer.pointer("Cid.UniqueProcess") != process.pointer("UniqueProcessId"):
        return "it bears another process id"
    if outer.pointer("Cid.UniqueThread") % 4:
        return "its id is implausible"
    if thread.u8("State") > 9:
        return "its state is unknown"
    limit, base = thread.pointer("StackLimit"), thread.pointer("StackBase")
    if limit and not limit < thread.pointer("InitialStack") <= base:
        return "its stack bounds contradict each other"
    first = outer.address_of("IrpList")
    if (
        memory.is_kernel(link := memory.pointer(first))
        and memory.is_readable(link, 16)
        and memory.pointer(link + 8) != first
    ):
        return "its list of IRPs does not close"
    if thread.u8("State") != WAITING:
        return None
    block = thread.pointer("WaitBlockList")
    if not memory.is_kernel(block) or not memory.is_readable(block, layouts["_KWAIT_BLOCK"].size):
        return None
    if Struct(memory, layouts["_KWAIT_BLOCK"], block).pointer("Thread") != address:
        return "its wait block names another thread"
    return None


# The list may be very long and torn at its end: what can be reached from its head is looked at.
def _check_resources(memory: Memory, layouts: dict[str, Layout], head: int, fit: Fit) -> None:
    link = head
    for _ in range(SAMPLE_RESOURCES):
        try:
            before, link = link, memory.pointer(link)
            if link == head or not memory.is_kernel(link) or memory.pointer(link + 8) != before:
                return
            problem = _resource_problem(Struct(memory, layouts["_ERESOURCE"], link))
        except Unreadable:
            return
        fit.good_resources += problem == ""
        fit.bad_resources += bool(problem)
        if problem:
            fit.problems.append(f"resource at {link:#x}: {problem}")


# None for an idle resource, which any table reads alike, and for a fast one, which is laid out in another way.
def _resource_problem(resource: Struct) -> str | None:
    owner = resource.pointer("OwnerEntry.OwnerThread")
    slots = resource.pointer("SharedWaiters"), resource.pointer("ExclusiveWaiters")
    active, entries = resource.u16("ActiveCount"), resource.u32("ActiveEntries")
    if not any((owner, *slots, active, entries)):
        return None
    if any(slot and not resource.memory.is_kernel(slot) for slot in (owner, *slots)):
        return "its owner or its waiters are no kernel addresses"
    if owner and not owner & 3 and not _is_thread(resource.memory, owner):
        return None
    if bool(active) != bool(entries):
        return "its two counts of owners contradict each other"
    return ""


def _check_processor(memory: Memory, layouts: dict[str, Layout], processors: int, fit: Fit) -> None:
    try:
        prcb = Struct(memory, layouts["_KPRCB"], memory.pointer(processors) if memory.is_kernel(processors) else 0)
        if not memory.is_kernel(prcb.address):
            return
        threads = prcb.pointer("CurrentThread"), prcb.pointer("IdleThread")
        wrong = prcb.u32("Number") != 0 or not all(_is_thread(memory, thread) for thread in threads)
    except Unreadable:
        return
    fit.bad_processors += wrong
    if wrong:
        fit.problems.append(f"the first processor, at {prcb.address:#x}, has another number or runs no thread")


def _is_thread(memory: Memory, address: int) -> bool:
    return memory.is_kernel(address) and memory.u8(address) & 0x7F == THREAD_TYPE


# The links of a list whose back links are all right, or None. Right back links also rule out loops.
def _closed_list(memory: Memory, head: int, limit: int) -> list[int] | None:
    links: list[int] = []
    try:
        link, last = struct.unpack("<QQ", memory.read(head, 16))
        before = head
        while link != head:
            if len(links) >= limit or not memory.is_kernel(link):
                return None
            following, back = struct.unpack("<QQ", memory.read(link, 16))
            if back != before:
                return None
            links.append(link)
            before, link = link, following
    except Unreadable:
        return None
    return links if last == before else None
