"""Threads that wait for an I/O request (IRP), and the driver that has it and must complete it.

Which request a thread waits for is not recorded in one place. Three links are structural: the request's UserEvent is
the very object of the wait; or it is the event inside the file object that the request is for (synchronous reads and
writes of programs); or a completion routine of the request was given that event as its context. The first two tie the
request to the thread; the third is found by looking, and graded so. Requests come from the thread's own list of
pending requests, else from pointers on its stack: the function that waits has its request at hand.
"""

from collections.abc import Iterator, Mapping, Sequence

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.devices import Devices, ModuleAt
from analysis.kernel.documented import offset_in, view
from analysis.kernel.facts import Held, Irp, Lock, LockKind, Thread
from analysis.kernel.irp_names import major_name, minor_name
from analysis.kernel.irps import IO_TYPE_IRP, read_irp
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_IRP_STACK
from analysis.memory.reader import Memory
from analysis.trust import Trust

_STACK_WINDOW = 0x1000  # bytes above the stack pointer: the frames of the wait and of those who asked for it
_MAX_STACKS = 1024
_LOCATION = "_IO_STACK_LOCATION"
_REASONS = frozenset({"Executive", "UserRequest", "WrExecutive"})


def read_request_waits(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread], module_at: ModuleAt
) -> tuple[list[Lock], list[str]]:
    """One lock a request that a thread waits for; ``driver`` is the image that has to complete it. No notes so far."""
    devices = Devices(memory, names, module_at)
    locks: list[Lock] = []
    looked = 0
    for thread in threads.values():
        if thread.wait_reason not in _REASONS or len(thread.waits) != 1 or thread.waits[0].kind != "event":
            continue
        found = _own(memory, names, devices, thread)
        if found is None and _waits_on_its_stack(thread) and looked < _MAX_STACKS:
            looked += 1
            found = _on_stack(memory, names, devices, thread, module_at)
        if found is not None:
            locks.append(_lock(thread, *found))
    return locks, []


def _waits_on_its_stack(thread: Thread) -> bool:
    # An event that its waiter made itself lies on the waiter's stack.
    low, high = thread.stack_limit, thread.stack_base
    return low is not None and high is not None and low <= thread.waits[0].address < high


def _own(memory: Memory, names: KernelNames, devices: Devices, thread: Thread) -> tuple[Irp, Trust] | None:
    for address in thread.irps:
        link = _link(memory, names, address, thread)
        irp = read_irp(memory, names, devices, address) if link is not None else None
        if link is not None and irp is not None and irp.current is not None:
            return irp, link
    return None


def _on_stack(
    memory: Memory, names: KernelNames, devices: Devices, thread: Thread, module_at: ModuleAt
) -> tuple[Irp, Trust] | None:
    for address in _candidates(memory, thread, module_at):
        link = _link(memory, names, address, thread)
        irp = read_irp(memory, names, devices, address) if link is not None else None
        if link is not None and irp is not None and irp.current is not None:
            return irp, link
    return None


def _candidates(memory: Memory, thread: Thread, module_at: ModuleAt) -> Iterator[int]:
    if not thread.kernel_stack or not thread.stack_resident or thread.stack_base is None:
        return
    own = range(thread.stack_limit or thread.kernel_stack, thread.stack_base)
    size = max(0, min(_STACK_WINDOW, thread.stack_base - thread.kernel_stack))
    data = memory.read_available(thread.kernel_stack, size)
    seen: set[int] = set()
    for word in memory.words(data):
        if word % memory.pointer_size or not memory.is_kernel(word) or word in seen or word in own:
            continue
        seen.add(word)
        if module_at(word) is not None:
            continue
        try:
            if memory.u16(word) == IO_TYPE_IRP:
                yield word
        except Unreadable:
            continue


def _link(memory: Memory, names: KernelNames, address: int, thread: Thread) -> Trust | None:
    # How the request at ``address`` is tied to the object that the thread waits for; None: it is not.
    event = thread.waits[0].address
    try:
        irp = view(names, memory, "_IRP", address)
        of_thread = irp.pointer("Tail.Overlay.Thread") == thread.address
        if memory.pointer(address + offset_in(names, memory, "_IRP", "UserEvent")) == event:
            return Trust.STRUCTURE if of_thread else Trust.SCAN
        file = memory.pointer(address + offset_in(names, memory, "_IRP", "Tail.Overlay.OriginalFileObject"))
        if memory.is_kernel(file) and file + offset_in(names, memory, "_FILE_OBJECT", "Event") == event:
            return Trust.STRUCTURE if of_thread else Trust.SCAN
        count = irp.u8("StackCount")
        size, into = view(names, memory, _LOCATION, 0).layout.size, offset_in(names, memory, _LOCATION, "Context")
        first = address + irp.layout.size + into
        contexts = [memory.pointer(first + at * size) for at in range(min(count, MAX_IRP_STACK))]
    except (Unreadable, MissingLayout):
        return None
    return Trust.SCAN if event in contexts else None


def _lock(thread: Thread, irp: Irp, trust: Trust) -> Lock:
    driver = irp.current.driver if irp.current else None
    return Lock(
        irp.address,
        LockKind.IRP,
        description=f"request (IRP) at {irp.address:#x}, {request_text(irp)}",
        waiters=(Held(thread.address, trust),),
        waited_object=thread.waits[0].address,
        driver=driver,
        device=irp.current.device if irp.current else None,
    )


def request_text(irp: Irp) -> str:
    """What a request asks for and who has it: "IRP_MJ_PNP IRP_MN_REMOVE_DEVICE, at foo.sys and not completed"."""
    now = irp.current
    if now is None:
        return "which no driver has"
    asked: Sequence[str | None] = (major_name(now.major), minor_name(now.major, now.minor))
    words = " ".join(one for one in asked if one)
    return f"{words}, at {now.driver or 'a driver that cannot be told'} and not completed"
