"""What surrounds a thread: the device it works on, its requests, and what it was about, asked of a scene."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from analysis.bugchecks.explained import Hint
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.facts import DeviceNode, Irp, LockKind, Thread
from analysis.kernel.instance_ids import friendly_name
from analysis.kernel.irp_names import major_name, minor_name
from analysis.kernel.pnp import completion_nodes, device_of_fx, held_seconds, power_requests
from analysis.kernel.scene import Scene
from analysis.kernel.waiting_for import WORK
from analysis.kernel.working_on import WorkedOn
from analysis.trust import Trust
from analysis.verdict.blame import DeviceEvidence
from analysis.verdict.modules import is_bus, is_kernel_name, stem

_T = TypeVar("_T")

POWER_FAILURE, PNP_TIMEOUT = 0x9F, 4


@dataclass
class Surroundings:
    """Answers about devices and requests of one dump. What cannot be read is None; ``notes`` says what failed."""

    scene: Scene
    notes: list[str] = field(default_factory=list)
    _held: dict[int, dict[int, float]] = field(default_factory=dict)

    def irp(self, address: int) -> Irp | None:
        """The I/O request at an address."""
        return self._ask("request", lambda: self.scene.irp(address))

    def device_driver(self, address: int) -> str | None:
        """The image of the driver that owns the device object at an address."""
        return self._ask("device", lambda: self.scene.device_driver(address))

    def driver_image(self, address: int) -> str | None:
        """The image of the driver object at an address."""
        return self._ask("driver", lambda: self.scene.driver_image(address))

    def unanswered(self, block: int) -> tuple[DeviceNode, ...]:
        """Devnodes in the completion queue of a TRIAGE_9F_PNP block; empty where ``block`` is none."""
        scene = self.scene
        return self._ask("PnP queue", lambda: completion_nodes(scene.memory, scene.devices, block)) or ()

    def power_requests(self, block: int) -> tuple[int, ...]:
        """Addresses of the power requests in a TRIAGE_9F_POWER block; empty where ``block`` is none."""
        found = self._ask("power requests", lambda: power_requests(self.scene.memory, block)) or ()
        return tuple(one.irp for one in found)

    def held_seconds(self, request: int, block: int) -> float | None:
        """How long a request in a TRIAGE_9F_POWER block has been outstanding."""
        scene = self.scene
        if block not in self._held:
            found = self._ask("power requests", lambda: held_seconds(scene.memory, scene.symbols, block))
            self._held[block] = found or {}
        return self._held[block].get(request)

    def function_driver(self, device: int) -> str | None:
        """The lowest driver above the bus in the stack of a device object."""
        found = self._ask("device", lambda: self.scene.device(device))
        drivers = found.drivers[1:] if found is not None else ()
        return next((one for one in drivers if one and not is_kernel_name(one) and not is_bus(one)), None)

    def device_behind(self, fx_device: int) -> int | None:
        """The physical device object of a POP_FX_DEVICE, by its devnode."""
        return self._ask("power framework", lambda: device_of_fx(self.scene.memory, self.scene.devices, fx_device))

    def instance_path(self, device: int) -> str | None:
        """The instance path of a device object's devnode."""
        found = self._ask("device", lambda: self.scene.device(device))
        return found.node.instance_path if found is not None and found.node is not None else None

    def worked_on(self, thread: int) -> DeviceEvidence | None:
        """The device a thread works on, by the strongest evidence there is."""
        found = self._ask("device", lambda: self.scene.worked_on(thread))
        return self._evidence(found[0]) if found else None

    def awaited(self, block: int) -> DeviceEvidence | None:
        """The one device whose driver has not answered Plug and Play, by a TRIAGE_9F_PNP block; None where there are
        several. Such a driver may have put the request aside and returned, so no stack need show it."""
        nodes = self.unanswered(block)
        if len(nodes) != 1:
            return None
        what = friendly_name(nodes[0].instance_path) or nodes[0].instance_path or f"the devnode {nodes[0].address:#x}"
        why = f"Plug and Play still waits for an answer about {what} (completion queue, parameter 4)"
        found = self._of_node(nodes[0], None, why)
        return replace(found, trust=Trust.PARAMETER, enough=False) if found is not None else None

    def device(self, address: int, why: str) -> DeviceEvidence | None:
        """The device that an object belongs to, with the function driver of its stack."""
        device = self._ask("device", lambda: self.scene.device(address))
        if device is None:
            return None
        above = [driver for driver in device.drivers if driver and not is_kernel_name(driver)]
        function = next((driver for driver in above if not is_bus(driver)), above[-1] if above else None)
        return self._of_node(device.node, function, why) or DeviceEvidence(function, why=why)

    def doing(self, thread: int) -> str | None:
        """What a thread was about, in plain words; None where nothing tells or it only waited for work."""
        words = self._ask("purpose", lambda: self.scene.doing(thread))
        return None if words == WORK else words

    def pending_request(self, thread: Thread) -> Hint | None:
        """The driver that has the one request a thread waits for, where the thread itself does not have it.

        Best is the request that is tied to the wait itself; else the only one that the thread has pending at all.
        """
        tied = self._tied_request(thread)
        if tied is not None:
            return tied
        requests = [irp for address in thread.irps if (irp := self.irp(address)) is not None and irp.current]
        if len(requests) != 1 or requests[0].current is None or thread.wait_reason not in ("Executive", None):
            return None
        now, address = requests[0].current, requests[0].address
        if now.driver is None or is_kernel_name(now.driver):
            return None
        asked = " ".join(one for one in (major_name(now.major), minor_name(now.major, now.minor)) if one)
        because = f"the thread waits for its request {address:#x} ({asked}), which is at {now.driver} and not completed"
        return Hint(now.driver, because, decisive=True, trust=Trust.STRUCTURE)

    def _tied_request(self, thread: Thread) -> Hint | None:
        for lock in self.scene.facts.locks.values():
            if lock.kind is not LockKind.IRP or lock.driver is None or is_kernel_name(lock.driver):
                continue
            trust = next((held.trust for held in lock.waiters if held.thread == thread.address), None)
            if trust is not None and thread.wait_reason == "Executive":
                return Hint(lock.driver, f"the thread waits for the {lock.description}", decisive=True, trust=trust)
        return None

    def _of_node(self, node: DeviceNode | None, driver: str | None, why: str) -> DeviceEvidence | None:
        if node is None:
            return None
        if driver is None:
            drivers = self._ask("device", lambda: self.scene.devices.function_drivers(node)) or ()
            driver = drivers[0] if drivers else self._by_service(node.service)
        from_table = friendly_name(node.instance_path)
        return DeviceEvidence(driver, from_table, node.service, node.instance_path, why + self._state(node))

    def _state(self, node: DeviceNode) -> str:
        # A text shows no devnode's state, and has no memory to find the numbering in.
        if node.state is None and not node.problem:
            return ""
        words = self._ask("device", lambda: self.scene.device_finder.describe(node))
        return f"; Windows has it {words}" if words else ""

    def _evidence(self, found: WorkedOn) -> DeviceEvidence:
        node = found.node
        what = found.name or node.instance_path or f"the devnode {node.address:#x}"
        why = f"the thread works on {what}: {'; '.join(found.why)}" if found.why else ""
        driver = found.driver or self._by_service(node.service)
        return DeviceEvidence(driver, found.name, node.service, node.instance_path, why, found.trust)

    def _by_service(self, service: str | None) -> str | None:
        # A torn-down device stack leaves only the service's name; most drivers' files are called like their service.
        names = {stem(module.name): module.name for module in self.scene.facts.modules}
        return names.get(service.lower()) if service else None

    def _ask(self, what: str, question: Callable[[], _T]) -> _T | None:
        try:
            return question()
        except (Unreadable, MissingLayout) as reason:
            self.notes.append(f"{what}: {reason}")
            return None
