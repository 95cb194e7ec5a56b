"""Drivers, devices, devnodes and requests written byte by byte, with offsets of wdm.h of the test's own."""

from analysis.address import VirtAddr
from analysis.kernel.devices import Devices
from analysis.kernel.facts import Module
from tests.kernel.invented import Bytes, Names

POOL = 0xFFFF_A000_0000_0000
MODULES = {
    "bus.sys": Module("bus.sys", VirtAddr(0xFFFF_F800_2000_0000), 0x8000),
    "probe.sys": Module("probe.sys", VirtAddr(0xFFFF_F800_3000_0000), 0x8000),
    "filter.sys": Module("filter.sys", VirtAddr(0xFFFF_F800_4000_0000), 0x8000),
}


def module_at(address: int) -> Module | None:
    return next((module for module in MODULES.values() if module.base <= address < module.end), None)


class World:
    """Memory with devices in it, and the reader under test."""

    def __init__(self, names: Names | None = None) -> None:
        self.memory = Bytes()
        self.names = names or Names()
        self.devices = Devices(self.memory, self.names, module_at)
        self._next = POOL

    def room(self, size: int) -> int:
        at, self._next = self._next, self._next + (size + 0x3F & ~0x1F)
        self.memory.put(at, bytes(size))
        return at

    def driver(self, image: str | None, name: str, service: str | None = None) -> int:
        at, extension = self.room(0x150), self.room(0x50)
        self.memory.put_u16(at, 4)
        self.memory.put_u16(at + 2, 0x150)
        self.memory.put_u64(at + 0x18, MODULES[image].base if image else 0)
        self.memory.put_u64(at + 0x30, extension)
        self.memory.put_unicode(at + 0x38, name, self.room(2 * len(name)))
        self.memory.put_u64(extension, at)
        if service:
            self.memory.put_unicode(extension + 0x18, service, self.room(2 * len(service)))
        return at

    def device(self, driver: int, on: int = 0) -> int:
        at, extension = self.room(0x150), self.room(0x70)
        self.memory.put_u16(at, 3)
        self.memory.put_u16(at + 2, 0x150)
        self.memory.put_u64(at + 8, driver)
        self.memory.put_u64(at + 0x138, extension)
        self.memory.put_u64(extension + 8, at)
        if on:
            self.memory.put_u64(on + 0x18, at)
            self.memory.put_u64(extension + 0x30, on)
        return at

    def node(self, device: int, path: str | None, service: str | None = None, parent: int = 0, state: int = 0) -> int:
        at = self.room(0x2D0)
        self.memory.put_u64(at + 0x20, device)
        if path:
            self.memory.put_unicode(at + 0x28, path, self.room(2 * len(path)))
        if service:
            self.memory.put_unicode(at + 0x38, service, self.room(2 * len(service)))
        self.memory.put_u32(at + 0x12C, state)
        if device:
            self.memory.put_u64(self.memory.u64(device + 0x138) + 0x28, at)
        if parent:
            self.memory.put_u64(at + 0x10, parent)
            self.memory.put_u64(at, self.memory.u64(parent + 8))
            self.memory.put_u64(parent + 8, at)
        return at

    def irp(self, devices: list[int], current: int, major: int = 0x16, minor: int = 2, thread: int = 0) -> int:
        """A request sent to ``devices`` (the top one first), now at ``devices[current]``."""
        count = len(devices)
        at = self.room(0xD0 + 0x48 * count)
        self.memory.put_u16(at, 6)
        self.memory.put_u8(at + 0x42, count)
        number = count - current
        self.memory.put_u8(at + 0x43, number)
        self.memory.put_u64(at + 0x98, thread)
        self.memory.put_u64(at + 0xB8, at + 0xD0 + 0x48 * (number - 1))
        for depth, device in enumerate(devices[: current + 1]):
            place = at + 0xD0 + 0x48 * (count - 1 - depth)
            self.memory.put(place, bytes([major, minor, 0, 1]))
            self.memory.put_u64(place + 0x28, device)
        return at


def miniport(world: World, path: str = r"ROOT\PROBE\0000", **node: int) -> tuple[int, int, int]:
    """A devnode with a bus driver's device below, a function driver's on it and a filter on top: node, PDO, FDO."""
    pdo = world.device(world.driver("bus.sys", r"\Driver\Bus"))
    fdo = world.device(world.driver("probe.sys", r"\Driver\Probe", "Probe"), on=pdo)
    world.device(world.driver("filter.sys", r"\Driver\Filter"), on=fdo)
    return world.node(pdo, path, "Probe", **node), pdo, fdo
