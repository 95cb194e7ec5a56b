"""A view of a machine that answers from literals."""

from dataclasses import dataclass, field

from analysis.address import VirtAddr
from analysis.bugchecks.tables import Parameters
from analysis.formats.image import ExceptionRecord
from analysis.kernel.dpcs import DpcState
from analysis.kernel.facts import Irp, Module, Process, StackLocation, Thread
from analysis.kernel.whea import HardwareError


def module(name: str, base: int, *, unloaded: bool = False) -> Module:
    """An image of 64 KiB."""
    return Module(name, VirtAddr(base), 0x10000, unloaded=unloaded)


def request(address: int, major: int, minor: int, *drivers: str) -> Irp:
    """An IRP; the first driver is the current one."""
    stack = tuple(StackLocation(major, minor, None, driver) for driver in drivers)
    return Irp(VirtAddr(address), stack[0] if stack else None, stack)


@dataclass(frozen=True)
class FakeView:
    """Everything a family may ask, from what the test put in."""

    raw_code: int
    parameters: Parameters = (0, 0, 0, 0)
    modules: tuple[Module, ...] = ()
    threads: dict[int, Thread] = field(default_factory=dict)
    processes: dict[int, Process] = field(default_factory=dict)
    irps: dict[int, Irp] = field(default_factory=dict)
    devices: dict[int, str] = field(default_factory=dict)
    drivers: dict[int, str] = field(default_factory=dict)
    exceptions: dict[int, ExceptionRecord] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    tags: dict[int, str] = field(default_factory=dict)
    functions: dict[int, str] = field(default_factory=dict)
    behind: dict[int, int] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    owners: dict[int, tuple[Thread, ...]] = field(default_factory=dict)
    errors: dict[int, HardwareError] = field(default_factory=dict)
    requests: dict[int, tuple[int, ...]] = field(default_factory=dict)
    waiting: dict[int, tuple[str, ...]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    exits: dict[int, int] = field(default_factory=dict)
    dpc: int | None = None
    dpc_states: tuple[DpcState, ...] = ()
    broken_driver: str | None = None
    architecture: str = "x64"

    def module_at(self, address: int) -> Module | None:
        return next((m for m in self.modules if not m.unloaded and m.base <= address < m.end), None)

    def unloaded_at(self, address: int) -> Module | None:
        return next((m for m in self.modules if m.unloaded and m.base <= address < m.end), None)

    def symbol(self, address: int) -> str:
        found = self.module_at(address)
        return f"{found.name.rpartition('.')[0]}+{address - found.base:#x}" if found else f"{address:#x}"

    def thread(self, address: int) -> Thread | None:
        return self.threads.get(address)

    def process(self, address: int) -> Process | None:
        return self.processes.get(address)

    def exit_status(self, address: int) -> int | None:
        return self.exits.get(address)

    def irp(self, address: int) -> Irp | None:
        return self.irps.get(address)

    def device_driver(self, address: int) -> str | None:
        return self.devices.get(address)

    def driver_image(self, address: int) -> str | None:
        return self.drivers.get(address)

    def pending_devices(self, block: int) -> tuple[str, ...]:
        return self.waiting.get(block, ())

    def power_requests(self, block: int) -> tuple[int, ...]:
        return self.requests.get(block, ())

    def exception(self, address: int) -> ExceptionRecord | None:
        return self.exceptions.get(address)

    def hardware_error(self, address: int) -> HardwareError | None:
        return self.errors.get(address)

    def text(self, address: int) -> str | None:
        return self.texts.get(address)

    def pool_tag(self, address: int) -> str | None:
        return self.tags.get(address)

    def function_driver(self, device: int) -> str | None:
        return self.functions.get(device)

    def device_behind(self, fx_device: int) -> int | None:
        return self.behind.get(fx_device)

    def instance_path(self, device: int) -> str | None:
        return self.paths.get(device)

    def lock_owners(self, lock: int) -> tuple[Thread, ...]:
        return self.owners.get(lock, ())

    def active_dpc(self) -> int | None:
        return self.dpc

    def dpcs(self) -> tuple[DpcState, ...]:
        return self.dpc_states

    def driver_of_service(self, beginning: str) -> str | None:
        found = [one.name for one in self.modules if one.name.startswith(beginning.lower())]
        return found[0] if len(found) == 1 else None

    def held_seconds(self, request: int, block: int) -> float | None:
        return self.seconds.get(request)
