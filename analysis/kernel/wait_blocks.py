"""What a thread waits for: its wait blocks (KWAIT_BLOCK).

Windows 7 chains them (NextWaitBlock, in a circle); from Windows 8 on they are an array that WaitBlockCount counts.
A wait with a timeout has one more block for the thread's own timer. It is no object that anybody else could
signal, so it is left out here, unless sleeping is all that the thread does.
"""

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.dispatcher import read_dispatcher
from analysis.kernel.facts import WaitObject
from analysis.limits import MAX_WAIT_BLOCKS
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout, Struct

WAIT_ALL = 0  # KWAIT_BLOCK.WaitType; 1 is any


def read_waits(thread: Struct, layout: Layout) -> tuple[tuple[WaitObject, ...], bool]:
    """The objects of a waiting KTHREAD, and whether the wait ends only when all of them are signaled.

    ``layout`` is KWAIT_BLOCK's. Blocks that belong to another thread end the walk: they are leftovers.

    Raises:
        Unreadable: the list of blocks was not saved.
    """
    own_timer = thread.address_of("Timer") if thread.has("Timer") else None
    objects: list[WaitObject] = []
    timer: WaitObject | None = None
    kinds: set[int] = set()
    for block in _blocks(thread, layout):
        found = _object(thread.memory, block)
        if found.address == own_timer:
            timer = found
            continue
        objects.append(found)
        kinds.add(block.u8("WaitType"))
    if not objects and timer is not None:
        return (timer,), False
    return tuple(objects), kinds == {WAIT_ALL}


def _blocks(thread: Struct, layout: Layout) -> list[Struct]:
    first = thread.pointer("WaitBlockList")
    if not thread.memory.is_kernel(first):
        return []
    return _chained(thread, layout, first) if layout.has("NextWaitBlock") else _counted(thread, layout, first)


def _chained(thread: Struct, layout: Layout, first: int) -> list[Struct]:
    # Since NT 3.1 and up to Windows 7.
    blocks: list[Struct] = []
    address = first
    while thread.memory.is_kernel(address) and len(blocks) < MAX_WAIT_BLOCKS + 1:
        block = Struct(thread.memory, layout, address)
        if not _is_of(block, thread):
            break
        blocks.append(block)
        address = block.pointer("NextWaitBlock")
        if any(address == known.address for known in blocks):
            break
    return blocks


def _counted(thread: Struct, layout: Layout, first: int) -> list[Struct]:
    # Since Windows 8.
    count = thread.u8("WaitBlockCount") if thread.has("WaitBlockCount") else 1
    blocks = []
    for index in range(min(max(count, 1), MAX_WAIT_BLOCKS + 1)):
        block = Struct(thread.memory, layout, first + index * layout.size)
        if not _is_of(block, thread):
            break
        blocks.append(block)
    return blocks


def _is_of(block: Struct, thread: Struct) -> bool:
    return block.pointer("Thread") == thread.address and block.memory.is_kernel(block.pointer("Object"))


def _object(memory: Memory, block: Struct) -> WaitObject:
    address = block.pointer("Object")
    try:
        header = read_dispatcher(memory, address)
    except Unreadable:
        header = None
    if header is None:
        return WaitObject(VirtAddr(address), "unknown", VirtAddr(block.address))
    return WaitObject(VirtAddr(address), header.kind, VirtAddr(block.address), header.is_signaled)
