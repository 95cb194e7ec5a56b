"""Devices: device objects in stacks, devnodes with instance path and service, IRPs."""

from tests.forge.kernel.objects import executive_object
from tests.forge.kernel.state import Kernel, Thread

STARTED, REMOVE_PENDING, AWAITING_REMOVAL = 0x308, 0x312, 0x313  # PNP_DEVNODE_STATE: started, await queued, removal


def add_device(kernel: Kernel, driver: int, *, attach_to: int = 0, node: int = 0) -> int:
    """A DEVICE_OBJECT of a driver object, on top of ``attach_to``'s stack where given."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    body = layouts.size("_DEVICE_OBJECT")
    address = executive_object(kernel, "Device", body + layouts.size("_DEVOBJ_EXTENSION") + 0x40, "Devi")
    extension = address + body
    first = machine.read_u64(machine.at("_DRIVER_OBJECT", driver, "DeviceObject"))
    machine.put(
        "_DEVICE_OBJECT",
        address,
        Type=3,
        Size=body,
        ReferenceCount=1,
        DriverObject=driver,
        NextDevice=first,
        DeviceType=0x22,
        StackSize=1,
        DeviceObjectExtension=extension,
        Flags=0x2004,
    )
    machine.put("_DRIVER_OBJECT", driver, DeviceObject=address)
    machine.put("_DEVOBJ_EXTENSION", extension, DeviceObject=address, DeviceNode=node)
    if attach_to:
        machine.put("_DEVICE_OBJECT", attach_to, AttachedDevice=address)
        machine.put("_DEVOBJ_EXTENSION", extension, AttachedTo=attach_to)
        depth = machine.read(machine.at("_DEVICE_OBJECT", attach_to, "StackSize"), 1)[0]
        machine.put("_DEVICE_OBJECT", address, StackSize=depth + 1)
    return address


def add_node(kernel: Kernel, instance_path: str, service: str, parent: int, *, state: int = STARTED) -> int:
    """A DEVICE_NODE under a parent (0 for the root)."""
    machine = kernel.machine
    address = machine.pool(machine.layouts.size("_DEVICE_NODE"), "Dnod", "large")
    machine.put("_DEVICE_NODE", address, Parent=parent, State=state, PreviousState=STARTED)
    machine.unicode(machine.at("_DEVICE_NODE", address, "InstancePath"), instance_path)
    if service:
        machine.unicode(machine.at("_DEVICE_NODE", address, "ServiceName"), service)
    if not parent:
        machine.u64(kernel.symbol("IopRootDeviceNode"), address)
        return address
    last = machine.read_u64(machine.at("_DEVICE_NODE", parent, "LastChild"))
    if last:
        machine.put("_DEVICE_NODE", last, Sibling=address)
    else:
        machine.put("_DEVICE_NODE", parent, Child=address)
    machine.put("_DEVICE_NODE", parent, LastChild=address)
    return address


def set_physical_device(kernel: Kernel, node: int, device: int) -> None:
    """Tie a devnode and its physical device object together."""
    machine = kernel.machine
    machine.put("_DEVICE_NODE", node, PhysicalDeviceObject=device)
    extension = machine.read_u64(machine.at("_DEVICE_OBJECT", device, "DeviceObjectExtension"))
    machine.put("_DEVOBJ_EXTENSION", extension, DeviceNode=node)


def add_irp(
    kernel: Kernel,
    devices: list[int],
    major: int,
    minor: int = 0,
    *,
    thread: Thread | None = None,
    current: int = 0,
    event: int = 0,
    listed: bool = True,
) -> int:
    """An IRP that has been sent down ``devices`` (the top first) and is pending at ``devices[current]``.

    ``event`` is signaled when it is done; one that is not ``listed`` is on no thread's list of requests.
    """
    machine, layouts = kernel.machine, kernel.machine.layouts
    location_size = layouts.size("_IO_STACK_LOCATION")
    count = len(devices)
    address = machine.pool(layouts.size("_IRP") + location_size * count, "Irp ", "large")
    first = address + layouts.size("_IRP")
    # Stack locations are used from the last to the first: the top device has the last one.
    number = count - current
    machine.put(
        "_IRP",
        address,
        Type=6,
        Size=layouts.size("_IRP") + location_size * count,
        StackCount=count,
        CurrentLocation=number,
        UserEvent=event,
    )
    machine.put("_IRP", address, Tail__Overlay__CurrentStackLocation=first + location_size * (number - 1))
    machine.list_head(machine.at("_IRP", address, "ThreadListEntry"))
    for depth, device in enumerate(devices):
        if depth <= current:
            at = first + location_size * (count - 1 - depth)
            control = 1 if depth == current else 0  # SL_PENDING_RETURNED
            machine.put(
                "_IO_STACK_LOCATION", at, MajorFunction=major, MinorFunction=minor, DeviceObject=device, Control=control
            )
    if thread is not None:
        machine.put("_IRP", address, Tail__Overlay__Thread=thread.address)
    if thread is not None and listed:
        head = machine.at("_ETHREAD", thread.address, "IrpList")
        machine.list_append(head, machine.at("_IRP", address, "ThreadListEntry"))
    return address
