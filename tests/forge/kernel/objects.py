"""Executive objects: the header in front of each, object types, dispatcher headers of the common kinds."""

from tests.forge.kernel.state import TYPE_INDEXES, Kernel

EVENT_NOTIFICATION, EVENT, MUTANT, PROCESS, QUEUE, SEMAPHORE, THREAD = 0, 1, 2, 3, 4, 5, 6
GATE, TIMER = 7, 8


NAME_INFO = 2  # OBJECT_HEADER.InfoMask


def executive_object(
    kernel: Kernel, kind: str, size: int, tag: str, region: str = "pool", *, name: str | None = None
) -> int:
    """The body of a new object behind an OBJECT_HEADER, and that behind its name where it has one."""
    machine = kernel.machine
    above = machine.layouts.size("_OBJECT_HEADER_NAME_INFO") if name else 0
    header = machine.pool(above + 0x30 + size, tag, region) + above
    if name:
        machine.unicode(machine.at("_OBJECT_HEADER_NAME_INFO", header - above, "Name"), name)
    index = TYPE_INDEXES[kind]
    if "ObHeaderCookie" in kernel.names:  # Windows 10 masks the index
        index ^= kernel.type_cookie ^ header >> 8 & 0xFF
    machine.u64(header, 3)  # PointerCount
    machine.put("_OBJECT_HEADER", header, TypeIndex=index, InfoMask=NAME_INFO if name else 0)
    return header + 0x30


def write_object_types(kernel: Kernel) -> None:
    """ObTypeIndexTable, the types it points to, and the cookie that masks indexes."""
    machine = kernel.machine
    if "ObHeaderCookie" in kernel.names:
        machine.u8(kernel.symbol("ObHeaderCookie"), kernel.type_cookie)
    table = kernel.symbol("ObTypeIndexTable")
    for name, index in TYPE_INDEXES.items():
        address = machine.pool(machine.layouts.size("_OBJECT_TYPE"), "ObjT", "small")
        machine.list_head(machine.at("_OBJECT_TYPE", address, "TypeList"))
        machine.unicode(machine.at("_OBJECT_TYPE", address, "Name"), name)
        machine.put("_OBJECT_TYPE", address, Index=index)
        machine.u64(table + 8 * index, address)
        for symbol, of in (("PsProcessType", "Process"), ("PsThreadType", "Thread")):
            if name == of:
                machine.u64(kernel.symbol(symbol), address)


def dispatcher(kernel: Kernel, address: int, kind: int, size: int, signal: int = 0) -> None:
    """Make a DISPATCHER_HEADER without waiters; ``size`` in bytes."""
    machine = kernel.machine
    machine.put("_DISPATCHER_HEADER", address, Type=kind, Size=size // 4, SignalState=signal)
    machine.list_head(machine.at("_DISPATCHER_HEADER", address, "WaitListHead"))


def event(
    kernel: Kernel, signal: int = 0, *, address: int | None = None, tag: str = "Even", notification: bool = False
) -> int:
    """A KEVENT, in pool unless told where."""
    where = kernel.machine.pool(0x18, tag, "large") if address is None else address
    dispatcher(kernel, where, EVENT_NOTIFICATION if notification else EVENT, 0x18, signal)
    return where


def semaphore(kernel: Kernel, count: int = 0, *, address: int | None = None, tag: str = "Sema") -> int:
    """A KSEMAPHORE, in pool unless told where."""
    where = kernel.machine.pool(0x20, tag, "large") if address is None else address
    dispatcher(kernel, where, SEMAPHORE, 0x20, count)
    kernel.machine.u32(where + 0x18, 0x7FFFFFFF)
    return where


def queue(kernel: Kernel, *, tag: str = "IoCo") -> int:
    """A KQUEUE (behind an I/O completion port or a work queue) with nothing in it."""
    machine = kernel.machine
    where = machine.pool(0x40, tag, "large")
    dispatcher(kernel, where, QUEUE, 0x40)
    machine.list_head(machine.at("_KQUEUE", where, "EntryListHead"))
    machine.list_head(machine.at("_KQUEUE", where, "ThreadListHead"))
    machine.put("_KQUEUE", where, MaximumCount=4)
    return where


def mutant(
    kernel: Kernel, owner: int = 0, *, address: int | None = None, abandoned: bool = False, name: str | None = None
) -> int:
    """A KMUTANT, in pool unless told where; owned by a KTHREAD and on its list, or free."""
    machine = kernel.machine
    where = executive_object(kernel, "Mutant", 0x38, "Muta", name=name) if address is None else address
    dispatcher(kernel, where, MUTANT, 0x38, 1)
    machine.list_head(machine.at("_KMUTANT", where, "MutantListEntry"))
    if owner:
        own_mutant(kernel, where, owner)
    if abandoned:
        machine.u8(machine.at("_KMUTANT", where, "Abandoned"), 1)  # a byte, later a bit of it
    return where


def own_mutant(kernel: Kernel, address: int, owner: int) -> None:
    """A KTHREAD takes a free mutant."""
    machine = kernel.machine
    machine.put("_DISPATCHER_HEADER", address, SignalState=0)
    machine.put("_KMUTANT", address, OwnerThread=owner)
    entry = machine.at("_KMUTANT", address, "MutantListEntry")
    machine.list_append(machine.at("_KTHREAD", owner, "MutantListHead"), entry)


def fast_mutex(kernel: Kernel, owner: int = 0, *, address: int | None = None) -> int:
    """A FAST_MUTEX, in pool unless told where: Count 1 and no owner where free, 0 where owned."""
    machine = kernel.machine
    where = machine.pool(0x38, "FMtx", "large") if address is None else address
    machine.put("_FAST_MUTEX", where, Count=1)
    event(kernel, address=machine.at("_FAST_MUTEX", where, "Event"))
    if owner:
        own_fast_mutex(kernel, where, owner)
    return where


def own_fast_mutex(kernel: Kernel, address: int, owner: int) -> None:
    """A KTHREAD takes a free fast mutex."""
    kernel.machine.put("_FAST_MUTEX", address, Count=0, Owner=owner)
