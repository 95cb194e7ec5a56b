"""Dispatcher objects: what every waitable object of the kernel starts with (DISPATCHER_HEADER, wdm.h)."""

import struct
from dataclasses import dataclass

from analysis.errors import Unreadable
from analysis.kernel.lists import walk_list
from analysis.limits import MAX_WAITERS
from analysis.memory.reader import Memory

# KOBJECTS of the public symbols: the same numbers from Windows 7 on, but for 21, an event pair before Windows 8.
_KINDS = {
    0: "event",
    1: "event",
    2: "mutant",
    3: "process",
    4: "queue",
    5: "semaphore",
    6: "thread",
    7: "gate",
    8: "timer",
    9: "timer",
    21: "queue",
    24: "timer",
    25: "timer",
}
_EVENT_SYNCHRONIZATION = 1
_PROCESS = 3
_SEMAPHORE = 5
_THREAD = 6
_TYPE_MASK = 0x7F  # bit 7 of the byte is the object's lock, set while a processor works on it
_HEADERS = {8: struct.Struct("<BBBBiQQ"), 4: struct.Struct("<BBBBiII")}
WAIT_LIST = 8


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """A dispatcher object's header. ``kind`` is the word of WaitObject.kind, ``signal`` its SignalState."""

    address: int
    type_code: int
    kind: str
    signal: int

    @property
    def is_signaled(self) -> bool:
        """Whether a wait on the object would be satisfied now."""
        return self.signal > 0


def header_size(memory: Memory) -> int:
    """The size of a DISPATCHER_HEADER on this machine: that of an event, too."""
    return _HEADERS[memory.pointer_size].size


def read_dispatcher(memory: Memory, address: int) -> Dispatcher | None:
    """The dispatcher object at ``address``; None where the bytes cannot be one.

    Raises:
        Unreadable: the header was not saved.
    """
    form = _HEADERS[memory.pointer_size]
    type_byte, _, _, _, signal, flink, blink = form.unpack(memory.read(address, form.size))
    type_code = type_byte & _TYPE_MASK
    kind = _KINDS.get(type_code)
    # The wait list of a live object is a list, if an empty one: its links lead somewhere in the kernel.
    if kind is None or address % 4 or not memory.is_kernel(flink) or not memory.is_kernel(blink):
        return None
    return Dispatcher(address, type_code, kind, signal)


def type_code(memory: Memory, address: int) -> int | None:
    """The type of the dispatcher object at ``address`` as KOBJECTS counts; None where there is none to be read."""
    try:
        found = read_dispatcher(memory, address)
    except Unreadable:
        return None
    return found.type_code if found is not None else None


def _has_type(memory: Memory, address: int, wanted: int) -> bool:
    return bool(address) and address % 8 == 0 and type_code(memory, address) == wanted


def is_thread(memory: Memory, address: int) -> bool:
    """Whether a KTHREAD's header is at ``address``."""
    return _has_type(memory, address, _THREAD)


def is_process(memory: Memory, address: int) -> bool:
    """Whether a KPROCESS' header is at ``address``."""
    return _has_type(memory, address, _PROCESS)


def is_semaphore(memory: Memory, address: int) -> bool:
    """Whether a KSEMAPHORE's header is at ``address``."""
    return _has_type(memory, address, _SEMAPHORE)


def is_synchronization_event(memory: Memory, address: int) -> bool:
    """Whether the header of a KEVENT that wakes one waiter at a time is at ``address``."""
    return _has_type(memory, address, _EVENT_SYNCHRONIZATION)


def wait_blocks(memory: Memory, address: int) -> tuple[int, ...]:
    """The addresses of the KWAIT_BLOCKs queued on the object, first waiter first; empty where unreadable."""
    return tuple(walk_list(memory, address + WAIT_LIST, MAX_WAITERS).entries)
