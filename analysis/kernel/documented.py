"""Structures whose layout Microsoft documents in wdm.h: drivers are compiled against it, so no build can change it.

They stand in where no symbol table of this kernel is at hand. Only members that the header declares are here, except
in DEVOBJ_EXTENSION and DEVICE_NODE: those were compared over all eight builds (7601 to 22000), and every reader
checks that the two point at each other before it believes either.
"""

from analysis.errors import MissingLayout
from analysis.kernel.names import KernelNames, require
from analysis.memory.reader import Memory
from analysis.symbols.layout import Field, Layout, Struct


def _layout(name: str, size: int, **offsets: int) -> Layout:
    return Layout(name, size, {member.replace("__", "."): Field(offset) for member, offset in offsets.items()})


DOCUMENTED = {
    layout.name: layout
    for layout in (
        _layout(
            "_DEVICE_OBJECT", 0x150, Type=0, Size=2, DriverObject=8, NextDevice=0x10, AttachedDevice=0x18, Flags=0x30,
            DeviceExtension=0x40, DeviceType=0x48, StackSize=0x4C, DeviceObjectExtension=0x138,
        ),
        _layout("_DEVOBJ_EXTENSION", 0x40, DeviceObject=8, DeviceNode=0x28, AttachedTo=0x30),
        _layout(
            "_DRIVER_OBJECT", 0x150, Type=0, Size=2, DeviceObject=8, Flags=0x10, DriverStart=0x18, DriverSize=0x20,
            DriverExtension=0x30, DriverName=0x38,
        ),
        _layout("_DRIVER_EXTENSION", 0x28, DriverObject=0, ServiceKeyName=0x18),
        _layout(
            "_IRP", 0xD0, Type=0, Size=2, ThreadListEntry=0x20, StackCount=0x42, CurrentLocation=0x43,
            UserEvent=0x50, Tail__Overlay__Thread=0x98, Tail__Overlay__CurrentStackLocation=0xB8,
            Tail__Overlay__OriginalFileObject=0xC0,
        ),
        _layout(
            "_IO_STACK_LOCATION", 0x48, MajorFunction=0, MinorFunction=1, Control=3, DeviceObject=0x28,
            CompletionRoutine=0x38, Context=0x40,
        ),
        _layout("_FILE_OBJECT", 0xD8, Type=0, Size=2, Event=0x98),
        _layout(
            "_DEVICE_NODE", 0x58, Sibling=0, Child=8, Parent=0x10, PhysicalDeviceObject=0x20, InstancePath=0x28,
            ServiceName=0x38, PendingIrp=0x48,
        ),
    )
}  # fmt: skip


def view(names: KernelNames, memory: Memory, name: str, address: int) -> Struct:
    """A structure by this kernel's layout, else by the documented one. Raises: MissingLayout.

    The documented ones are those of 64-bit Windows: a 32-bit kernel must tell all their members itself.
    """
    documented = DOCUMENTED.get(name)
    if memory.pointer_size != 8:
        return Struct(memory, require(names, name, *(documented.fields if documented else ())), address)
    layout = names.layout(name) or documented
    if layout is None:
        raise MissingLayout(name)
    return Struct(memory, layout, address)


def offset_in(names: KernelNames, memory: Memory, structure: str, member: str) -> int:
    """The offset of a documented member, by the same rule as ``view``. Raises: MissingLayout."""
    own, documented = names.layout(structure), DOCUMENTED.get(structure)
    if own is not None and own.has(member):
        return own.offset(member)
    if memory.pointer_size != 8 or documented is None or not documented.has(member):
        raise MissingLayout(structure, member)
    return documented.offset(member)
