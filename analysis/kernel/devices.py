"""Driver objects, device stacks and devnodes.

Nothing is believed for its address alone: a device object has the right type and a driver whose image is a loaded
module, and a devnode and its physical device point at each other.
"""

from collections.abc import Callable, Iterator

from analysis.address import VirtAddr
from analysis.errors import Unreadable
from analysis.kernel.documented import view
from analysis.kernel.facts import Device, DeviceNode, Driver, Module
from analysis.kernel.names import KernelNames
from analysis.limits import MAX_LIST
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct

IO_TYPE_DEVICE = 3
IO_TYPE_DRIVER = 4
MAX_DEVICE_STACK = 64  # the deepest real stacks have about ten devices
MAX_INSTANCE_PATH = 400  # characters; the system's limit for an instance path is 200

ModuleAt = Callable[[int], Module | None]


class Devices:
    """Reads devices of one dump; ``module_at`` finds the loaded image of an address."""

    def __init__(self, memory: Memory, names: KernelNames, module_at: ModuleAt) -> None:
        self._memory = memory
        self._names = names
        self._module_at = module_at

    def driver(self, address: int) -> Driver | None:
        """The DRIVER_OBJECT at ``address``; None where there is none that can be read and believed."""
        if not self._may_point(address):
            return None
        driver = view(self._names, self._memory, "_DRIVER_OBJECT", address)
        try:
            if driver.u16("Type") != IO_TYPE_DRIVER:
                return None
            start = driver.pointer("DriverStart")
            name = _text(driver, "DriverName")
        except Unreadable:
            return None
        module = self._module_at(start)
        if module is None and (start or not (name or "").startswith("\\")):
            return None  # the kernel's own drivers (\Driver\PnpManager) have no image, but a name
        return Driver(VirtAddr(address), module.name if module else None, name, self._service(driver))

    def device(self, address: int) -> Device | None:
        """The DEVICE_OBJECT at ``address`` with its stack and devnode; None where there is none to be believed."""
        driver = self._driver_of(address)
        if driver is None:
            return None
        stack = (*reversed(self._below(address)), VirtAddr(address), *self._above(address))
        drivers = tuple(self.device_driver(one) for one in stack)
        return Device(VirtAddr(address), driver, stack, drivers, self._node_behind(stack[0]))

    def device_driver(self, address: int) -> str | None:
        """The image name of the driver of the device at ``address``, or None."""
        driver = self._driver_of(address)
        return driver.image if driver else None

    def node(self, address: int) -> DeviceNode | None:
        """The DEVICE_NODE at ``address``; None unless its physical device points back at it."""
        found = self._raw_node(address)
        return found if found is not None and self._node_pointer(found.device or 0) == address else None

    def nodes(self, start: int | None = None) -> Iterator[DeviceNode]:
        """All devnodes, the root's children first; ``start`` is any devnode where the root's symbol is unknown."""
        todo = [self._root(start)]
        seen: set[int] = set()
        while todo and len(seen) < MAX_LIST:
            address = todo.pop()
            if address in seen or not self._may_point(address):
                continue
            seen.add(address)
            node = view(self._names, self._memory, "_DEVICE_NODE", address)
            try:
                todo += [node.pointer("Sibling"), node.pointer("Child")]
            except Unreadable:
                continue
            found = self.node(address)
            if found is not None:
                yield found

    def function_drivers(self, node: DeviceNode) -> tuple[str, ...]:
        """Images of the drivers attached above the physical device of ``node``, the lowest first."""
        if node.device is None:
            return ()
        above = (self._driver_of(one) for one in self._above(node.device))
        return tuple(driver.image for driver in above if driver is not None and driver.image is not None)

    def _may_point(self, address: int) -> bool:
        return self._memory.is_kernel(address) and address % self._memory.pointer_size == 0

    def _driver_of(self, device: int) -> Driver | None:
        if not self._may_point(device):
            return None
        found = view(self._names, self._memory, "_DEVICE_OBJECT", device)
        try:
            if found.u16("Type") != IO_TYPE_DEVICE:
                return None
            return self.driver(found.pointer("DriverObject"))
        except Unreadable:
            return None

    def _service(self, driver: Struct) -> str | None:
        try:
            extension = driver.pointer("DriverExtension")
            found = view(self._names, self._memory, "_DRIVER_EXTENSION", extension)
            return _text(found, "ServiceKeyName") if found.pointer("DriverObject") == driver.address else None
        except Unreadable:
            return None

    def _above(self, device: int) -> tuple[VirtAddr, ...]:
        return self._chain(device, self._attached)

    def _below(self, device: int) -> tuple[VirtAddr, ...]:
        return self._chain(device, self._attached_to)

    def _chain(self, device: int, step: Callable[[int], int]) -> tuple[VirtAddr, ...]:
        found: list[VirtAddr] = []
        try:
            at = step(device)
            while at and at != device and at not in found and len(found) < MAX_DEVICE_STACK:
                if self._driver_of(at) is None:
                    break
                found.append(VirtAddr(at))
                at = step(at)
        except Unreadable:
            pass
        return tuple(found)

    def _attached(self, device: int) -> int:
        return view(self._names, self._memory, "_DEVICE_OBJECT", device).pointer("AttachedDevice")

    def _attached_to(self, device: int) -> int:
        extension = self._extension(device)
        return extension.pointer("AttachedTo") if extension is not None else 0

    def _extension(self, device: int) -> Struct | None:
        """The device's DEVOBJ_EXTENSION, if it points back. Raises: Unreadable."""
        address = view(self._names, self._memory, "_DEVICE_OBJECT", device).pointer("DeviceObjectExtension")
        if not self._may_point(address):
            return None
        extension = view(self._names, self._memory, "_DEVOBJ_EXTENSION", address)
        return extension if extension.pointer("DeviceObject") == device else None

    def _node_pointer(self, device: int) -> int | None:
        if self._driver_of(device) is None:
            return None
        try:
            extension = self._extension(device)
            return extension.pointer("DeviceNode") if extension is not None else None
        except Unreadable:
            return None

    def _node_behind(self, device: int) -> DeviceNode | None:
        address = self._node_pointer(device)
        found = self._raw_node(address) if address else None
        return found if found is not None and found.device == device else None

    def _raw_node(self, address: int) -> DeviceNode | None:
        if not self._may_point(address):
            return None
        node = view(self._names, self._memory, "_DEVICE_NODE", address)
        try:
            device = node.pointer("PhysicalDeviceObject")
            state = node.u32("State") if node.has("State") else None
            problem = node.u32("Problem") if node.has("Problem") else None
        except Unreadable:
            return None
        path = _text(node, "InstancePath")
        path = path if path and len(path) <= MAX_INSTANCE_PATH else None
        return DeviceNode(VirtAddr(address), path, _text(node, "ServiceName") or None, VirtAddr(device), state, problem)

    def _root(self, start: int | None) -> int:
        pointer = self._names.address("IopRootDeviceNode")
        if pointer is not None:
            try:
                return self._memory.pointer(pointer)
            except Unreadable:
                pass
        at = start or 0
        for _ in range(MAX_DEVICE_STACK):
            try:
                parent = view(self._names, self._memory, "_DEVICE_NODE", at).pointer("Parent") if at else 0
            except Unreadable:
                break
            if not self._may_point(parent):
                break
            at = parent
        return at


def _text(struct: Struct, member: str) -> str | None:
    """A UNICODE_STRING's text; None where it is missing (names lie in paged pool) or not printable."""
    try:
        text = struct.unicode(member)
    except Unreadable:
        return None
    return text if text.isprintable() else None
