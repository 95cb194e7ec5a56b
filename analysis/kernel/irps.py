"""I/O request packets: where one is, and which drivers it went through. Layout: wdm.h."""

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.devices import Devices
from analysis.kernel.documented import view
from analysis.kernel.facts import Irp, StackLocation
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_IRP_STACK
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct

IO_TYPE_IRP = 6


def read_irp(memory: Memory, names: KernelNames, devices: Devices, address: int) -> Irp | None:
    """The IRP at ``address``; None where there is none that can be read and believed.

    ``stack`` holds the locations that the request went through, the present one last. A request that was not yet
    sent, or came back to its sender, has no ``current``.
    """
    if not memory.is_kernel(address) or address % 8:
        return None
    irp = view(names, memory, "_IRP", address)
    try:
        count, current = irp.u8("StackCount"), irp.u8("CurrentLocation")
        first = address + irp.layout.size
        if irp.u16("Type") != IO_TYPE_IRP or not 1 <= count <= MAX_IRP_STACK or not 1 <= current <= count + 1:
            return None
        size = view(names, memory, "_IO_STACK_LOCATION", first).layout.size
        # The pointer and the number tell the same; a freed and reused block does not agree with itself.
        if irp.pointer("Tail.Overlay.CurrentStackLocation") != first + (current - 1) * size:
            return None
        thread = irp.pointer("Tail.Overlay.Thread")
    except Unreadable:
        return None
    places = (view(names, memory, "_IO_STACK_LOCATION", first + at * size) for at in range(count - 1, current - 2, -1))
    stack = tuple(found for place in places if (found := _location(place, devices)) is not None)
    return Irp(
        VirtAddr(address),
        stack[-1] if stack and current <= count else None,
        stack,
        VirtAddr(thread) if memory.is_kernel(thread) else None,
    )


def _location(place: Struct, devices: Devices) -> StackLocation | None:
    try:
        device, routine = place.pointer("DeviceObject"), place.pointer("CompletionRoutine")
        return StackLocation(
            place.u8("MajorFunction"),
            place.u8("MinorFunction"),
            VirtAddr(device) if device else None,
            devices.device_driver(device),
            VirtAddr(routine) if routine else None,
        )
    except Unreadable:
        return None
