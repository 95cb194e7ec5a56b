"""What Plug and Play and the power manager say they are working on: event list, completion queue, triage blocks.

Layouts: public symbols of ntkrnlmp (KERNEL.md §1). The blocks behind a 0x9F stop have been the same since Windows 8;
where a kernel's table does not hold them, the common layout is tried and must pass the same checks.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.devices import Devices
from analysis.kernel.facts import DeviceNode
from analysis.kernel.lists import walk_list
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_LIST
from analysis.memory.reader import Memory

TRIAGE_POWER, TRIAGE_PNP = 0x8000, 0x8001
COMPLETION_QUEUE, IRP_LIST, THREAD_LIST = 8, 8, 0x10  # members of the two blocks
REQUEST_NODE = 0x10  # _PNP_DEVICE_COMPLETION_REQUEST.DeviceNode
IRP_DATA_IRP, IRP_DATA_PDO = 0x10, 0x18  # _POP_IRP_DATA, whose Link is its first member
FX_DEVICE_NODE = 0x30  # _POP_FX_DEVICE.DevNode and _TRIAGE_POP_FX_DEVICE.DeviceNode
INTERRUPT_TIME = 0xFFFF_F780_0000_0008  # KUSER_SHARED_DATA.InterruptTime, units of 100 ns since the start (ntddk.h)
MAX_EVENTS = 4096

# wdmguid.h
EVENT_NAMES = {
    uuid.UUID("cb3a4009-46f0-11d0-b08f-00609713053f"): "device arrival",
    uuid.UUID("cb3a400a-46f0-11d0-b08f-00609713053f"): "device enumeration",
    uuid.UUID("cb3a400b-46f0-11d0-b08f-00609713053f"): "device enumeration",
    uuid.UUID("cb3a400c-46f0-11d0-b08f-00609713053f"): "device start",
    uuid.UUID("cb3a400d-46f0-11d0-b08f-00609713053f"): "device removal",
    uuid.UUID("cb3a400e-46f0-11d0-b08f-00609713053f"): "device removal",
    uuid.UUID("cb3a400f-46f0-11d0-b08f-00609713053f"): "device ejection",
    uuid.UUID("ce5af000-80dd-11d2-a88d-00a0c9696b4b"): "surprise removal of a device",
    uuid.UUID("8fbef967-d6c5-11d2-97b5-00a0c940522e"): "safe removal of a device",
    uuid.UUID("14689b54-0703-11d3-97d2-00a0c940522e"): "device ejection",
}


@dataclass(frozen=True, slots=True)
class PnpEvent:
    """One queued device event. ``what`` is in plain words, None for a GUID not known; ``instance_path`` is the
    event's own text and stands even where the device object is gone."""

    address: VirtAddr
    what: str | None
    device: VirtAddr | None
    instance_path: str | None
    node: DeviceNode | None


@dataclass(frozen=True, slots=True)
class PnpEvents:
    """The device event list: ``worker`` is the thread that holds its mutex and handles the first event."""

    events: tuple[PnpEvent, ...]
    worker: VirtAddr | None


@dataclass(frozen=True, slots=True)
class PowerRequest:
    """A power IRP that the power manager keeps account of, and the physical device it was sent for."""

    irp: VirtAddr
    physical_device: VirtAddr | None


def read_events(memory: Memory, names: KernelNames, devices: Devices) -> PnpEvents | None:
    """nt!PnpDeviceEventList; None where symbols do not say where it is, or it cannot be read."""
    pointer = names.address("PnpDeviceEventList")
    if pointer is None:
        return None
    try:
        address = memory.pointer(pointer)
        found = names.struct(memory, "_PNP_DEVICE_EVENT_LIST", address)
        mutex = names.struct(memory, "_KMUTANT", found.address_of("EventQueueMutex"))
        worker = mutex.pointer("OwnerThread") & ~3
        walk = walk_list(memory, found.address_of("List"), MAX_EVENTS)
        entries = tuple(walk.records(names.struct(memory, "_PNP_DEVICE_EVENT_ENTRY", 0).address_of("ListEntry")))
    except (Unreadable, MissingLayout):
        return None
    events = tuple(event for entry in entries if (event := _event(memory, names, devices, entry)) is not None)
    return PnpEvents(events, VirtAddr(worker) if memory.is_kernel(worker) else None)


def _event(memory: Memory, names: KernelNames, devices: Devices, entry: int) -> PnpEvent | None:
    try:
        record = names.struct(memory, "_PNP_DEVICE_EVENT_ENTRY", entry)
        block = names.struct(memory, "_PLUGPLAY_EVENT_BLOCK", record.address_of("Data"))
        what = EVENT_NAMES.get(uuid.UUID(bytes_le=memory.read(block.address_of("EventGuid"), 16)))
        device = block.pointer("DeviceObject")
        size = block.u32("TotalSize") - (block.address_of("u") - block.address)
        text = memory.read_available(block.address_of("u"), max(0, min(size, 1024)))
    except (Unreadable, MissingLayout, KeyError):
        return None
    found = devices.device(device)
    return PnpEvent(
        VirtAddr(entry),
        what,
        VirtAddr(device) if found is not None else None,
        _instance_path(text),
        found.node if found is not None else None,
    )


def _instance_path(text: bytes) -> str | None:
    # A multi-string of instance ids; only the first is the target. Events of other kinds hold other things there.
    first = text[: len(text) & ~1].decode("utf-16-le", "replace").split("\0")[0]
    return first if "\\" in first and first.isprintable() and first.isascii() else None


def completion_nodes(memory: Memory, devices: Devices, block: int) -> tuple[DeviceNode, ...]:
    """The devnodes in the completion queue of a TRIAGE_9F_PNP block: requests sent to drivers and not yet answered.

    Empty where ``block`` is no such block or its queue cannot be read.
    """
    queue = _member_of(memory, block, TRIAGE_PNP, COMPLETION_QUEUE)
    found = []
    for request in _entries(memory, queue):
        try:
            node = devices.node(memory.pointer(request + REQUEST_NODE))
        except Unreadable:
            continue
        if node is not None:
            found.append(node)
    return tuple(found)


def power_requests(memory: Memory, block: int) -> tuple[PowerRequest, ...]:
    """The power IRPs in a TRIAGE_9F_POWER block; empty where ``block`` is none."""
    found = []
    for entry in _entries(memory, _member_of(memory, block, TRIAGE_POWER, IRP_LIST)):
        try:
            irp, device = memory.pointer(entry + IRP_DATA_IRP), memory.pointer(entry + IRP_DATA_PDO)
        except Unreadable:
            continue
        if memory.is_kernel(irp):
            found.append(PowerRequest(VirtAddr(irp), VirtAddr(device) if memory.is_kernel(device) else None))
    return tuple(found)


def held_seconds(memory: Memory, names: KernelNames, block: int) -> dict[int, float]:
    """Seconds for which each power IRP of a TRIAGE_9F_POWER block has been outstanding, by the IRP's address.

    _POP_IRP_DATA.WatchdogStart is taken for interrupt time; a value that lies in the future or is zero is left out,
    and so is everything where this kernel's layout does not have the member.
    """
    layout = names.layout("_POP_IRP_DATA")
    if layout is None or not layout.has("WatchdogStart"):
        return {}
    found: dict[int, float] = {}
    try:
        now = memory.u64(INTERRUPT_TIME)
        for entry in _entries(memory, _member_of(memory, block, TRIAGE_POWER, IRP_LIST)):
            started = memory.u64(entry + layout.offset("WatchdogStart"))
            if 0 < started < now:
                found[memory.pointer(entry + IRP_DATA_IRP)] = (now - started) * 1e-7
    except Unreadable:
        pass
    return found


def device_of_fx(memory: Memory, devices: Devices, address: int) -> int | None:
    """The physical device object of a POP_FX_DEVICE (power framework); None where there is none to be believed."""
    if not memory.is_kernel(address) or address % 8:
        return None
    try:
        node = devices.node(memory.pointer(address + FX_DEVICE_NODE))
    except Unreadable:
        return None
    return node.device if node is not None else None


def _member_of(memory: Memory, block: int, signature: int, offset: int) -> int | None:
    if not memory.is_kernel(block):
        return None
    try:
        return memory.pointer(block + offset) if memory.u16(block) == signature else None
    except Unreadable:
        return None


def _entries(memory: Memory, head: int | None) -> Iterator[int]:
    if head is not None and memory.is_kernel(head):
        yield from walk_list(memory, head, MAX_LIST).entries
