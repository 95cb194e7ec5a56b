"""Which device a thread is working on: an explained, ranked guess from its registers, stack, requests and events.

Pointers on a stack may be left over from earlier calls. Each candidate is a devnode whose physical device points
back at it, and each reason is kept with its trust, so that a conclusion never claims more than its evidence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from analysis.address import VirtAddr
from analysis.kernel.devices import Devices
from analysis.kernel.devnode_states import (
    describe_node,
    describe_problem,
    is_being_removed,
    is_starting,
    started_state,
    state_name,
)
from analysis.kernel.facts import DeviceNode, Irp, Stack, Thread
from analysis.kernel.instance_ids import friendly_name
from analysis.kernel.irps import read_irp
from analysis.kernel.names import KernelNames
from analysis.kernel.pnp import PnpEvents, read_events
from analysis.kernel.pnp_answers import unanswered_nodes
from analysis.kernel.stack_memory import StackMemory
from analysis.memory.reader import Memory
from analysis.trust import Trust

KERNEL_SPACE = {8: (0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF), 4: (0x8000_0000, 0xFFFF_FFFF)}  # by pointer size
EVENT_WORKER = "PnpDeviceEventWorker"
# Weights: what the kernel itself says comes before what registers hold, and that before what lies on the stack.
OWN_EVENT, UNANSWERED, FIRST_EVENT, OWN_REQUEST = 100, 80, 60, 60
REGISTER, STACK_REQUEST, STACK_WORD, DRIVEN = 40, 30, 20, 10
DRIVER_RUNS_HERE, CHANGES_STATE = 50, 25
MAX_STACK_CANDIDATES = 8192


@dataclass(frozen=True, slots=True)
class WorkedOn:
    """A device that a thread works on. ``driver`` is the image of its function driver, else of its bus driver.

    ``name`` is a friendly name where one is certain; ``why`` the evidence in words, strongest first.
    """

    node: DeviceNode
    driver: str | None
    drivers: tuple[str, ...]
    name: str | None
    why: tuple[str, ...]
    trust: Trust
    weight: int
    being_removed: bool = False
    starting: bool = False


@dataclass(slots=True)
class _Candidate:
    node: DeviceNode
    weight: int = 0
    trust: Trust = Trust.SCAN
    why: list[tuple[int, str]] = field(default_factory=list)

    def add(self, weight: int, trust: Trust, why: str) -> None:
        if all(why != known for _, known in self.why):
            self.why.append((weight, why))
        # Many weak references do not make a strong one, so the strongest counts and not the sum.
        self.weight = max(self.weight, weight)
        self.trust = max(self.trust, trust)


class DeviceFinder:
    """Finds what threads of one dump work on. ``pending`` are the devnodes whose drivers have not yet answered Plug
    and Play, as a 0x9F stop hands them out (``pnp.completion_nodes``)."""

    def __init__(
        self, memory: Memory, names: KernelNames, devices: Devices, pending: Sequence[DeviceNode] = ()
    ) -> None:
        self._memory = memory
        self._names = names
        self._devices = devices
        self._pending = tuple(pending)
        self._events: PnpEvents | None = read_events(memory, names, devices)
        start = next((node.address for node in self._pending), None)
        self._started = started_state(devices.nodes(start))

    def describe(self, node: DeviceNode) -> str | None:
        """The state and the problem of a devnode in words; None for a sound one."""
        return describe_node(node, self._started)

    def worked_on(self, thread: Thread, stack: Stack) -> tuple[WorkedOn, ...]:
        """Devices that ``thread`` seems to work on, best first; empty where nothing points at one."""
        found: dict[VirtAddr, _Candidate] = {}
        evidence = (
            *self._from_events(thread, stack),
            *self._from_pending(stack),
            *self._from_wait(thread),
            *self._from_requests(thread),
            *self._from_registers(stack),
            *self._from_words(thread, stack),
        )
        for node, weight, trust, why in evidence:
            if node.instance_path is None or node.instance_path.upper() != r"HTREE\ROOT\0":
                found.setdefault(node.address, _Candidate(node)).add(weight, trust, why)
        running = _images(stack)
        if not any(running & set(self._devices.function_drivers(one.node)) for one in found.values()):
            for node, weight, trust, why in self._from_drivers(running, stack, found.values()):
                found.setdefault(node.address, _Candidate(node)).add(weight, trust, why)
        results = [self._result(candidate, running) for candidate in found.values()]
        return tuple(sorted(results, key=lambda one: -one.weight))

    def _result(self, candidate: _Candidate, running: set[str]) -> WorkedOn:
        node, weight = candidate.node, candidate.weight
        drivers = self._devices.function_drivers(node)
        why = [text for _, text in sorted(candidate.why, key=lambda one: -one[0])]
        here = [driver for driver in drivers if driver in running]
        if here:
            weight += DRIVER_RUNS_HERE
            why.append(f"its driver {here[0]} is on this thread's stack")
        removed, starting = is_being_removed(node.state, self._started), is_starting(node.state, self._started)
        if removed or starting:
            weight += CHANGES_STATE
            name = state_name(node.state, self._started)
            state = f"{node.state:#x}" + (f" ({name})" if name else "")
            why.append(f"its state {state} says that it is being {'removed' if removed else 'started'}")
        problem = describe_problem(node)
        why += [f"it is {problem}"] if problem and why else []
        bus = self._devices.device_driver(node.device) if node.device is not None else None
        chosen = here[0] if here else drivers[0] if drivers else bus
        name = friendly_name(node.instance_path)
        return WorkedOn(node, chosen, drivers, name, tuple(why), candidate.trust, weight, removed, starting)

    def _from_events(self, thread: Thread, stack: Stack) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        if self._events is None or not self._events.events:
            return
        event = self._events.events[0]
        if event.node is None:
            return
        what = event.what or "a device event"
        if self._events.worker == thread.address:
            why = f"it is the target of the event this thread handles ({what})"
            yield event.node, OWN_EVENT, Trust.STRUCTURE, why
            return
        for frame in stack.frames:
            if frame.symbol.startswith(f"nt!{EVENT_WORKER}"):
                why = f"it is the target of the first queued event ({what}), and this thread handles such events"
                yield event.node, FIRST_EVENT, frame.trust, why

    def _from_pending(self, stack: Stack) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        """Devnodes with an unanswered request, if one of their drivers runs on this very stack."""
        running = _images(stack)
        for node in self._pending:
            here = running & set(self._devices.function_drivers(node))
            if here:
                trust = max(frame.trust for frame in stack.frames if frame.module in here)
                yield node, UNANSWERED, trust, "Plug and Play still waits for its driver's answer (completion queue)"

    def _from_wait(self, thread: Thread) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        """Devnodes whose drivers owe the answer that the thread waits for, at Plug and Play's own semaphore."""
        for waited in thread.waits:
            if waited.kind != "semaphore":
                continue
            nodes = unanswered_nodes(self._memory, self._names, self._devices, waited.address)
            # Of several that owe an answer each may be the one that is waited for.
            trust = Trust.STRUCTURE if len(nodes) == 1 else Trust.SCAN
            for node in nodes:
                yield node, UNANSWERED, trust, "this thread waits for the answer of its driver to Plug and Play"

    def _from_requests(self, thread: Thread) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        for address in thread.irps:
            irp = read_irp(self._memory, self._names, self._devices, address)
            node = self._node_of_request(irp)
            if node is not None:
                yield node, OWN_REQUEST, Trust.STRUCTURE, f"this thread's request {address:#x} is pending there"

    def _from_registers(self, stack: Stack) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        for frame, registers in zip(stack.frames, stack.registers, strict=False):
            for name, value in registers.items():
                node = self._node_at(value)
                if node is not None:
                    yield node, REGISTER, frame.trust, f"register {name} in {frame.symbol} points at it"

    def _from_words(self, thread: Thread, stack: Stack) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        base = thread.stack_base or thread.initial_stack
        start = next((frame.sp for frame in stack.frames if frame.sp), None)
        if base is None or start is None or not start < base:
            return
        seen: set[int] = set()
        space = KERNEL_SPACE[self._memory.pointer_size]
        for slot, value in StackMemory(self._memory, start, base).words(start, *space):
            if value % 8 or value in seen or start <= value < base:
                continue
            seen.add(value)
            if len(seen) > MAX_STACK_CANDIDATES:
                return
            node = self._node_at(value)
            if node is not None:
                yield node, STACK_WORD, Trust.SCAN, f"a pointer to it lies on this thread's stack at {slot:#x}"
                continue
            node = self._node_of_request(read_irp(self._memory, self._names, self._devices, value))
            if node is not None:
                yield node, STACK_REQUEST, Trust.SCAN, f"a request for it lies on this thread's stack at {slot:#x}"

    def _from_drivers(
        self, running: set[str], stack: Stack, found: Iterable[_Candidate]
    ) -> Iterator[tuple[DeviceNode, int, Trust, str]]:
        """The one devnode that a driver on the stack drives. A driver of several devices does not tell which."""
        start = next((one.address for one in (*(candidate.node for candidate in found), *self._pending)), None)
        driven: dict[str, list[DeviceNode]] = {}
        for node in self._devices.nodes(start):
            for driver in set(self._devices.function_drivers(node)) & running:
                driven.setdefault(driver, []).append(node)
        for driver, nodes in driven.items():
            if len(nodes) == 1:
                trust = max(frame.trust for frame in stack.frames if frame.module == driver)
                yield nodes[0], DRIVEN, trust, f"it is the only device of {driver}"

    def _node_at(self, address: int) -> DeviceNode | None:
        device = self._devices.device(address)
        if device is not None:
            return device.node
        return self._devices.node(address)

    def _node_of_request(self, irp: Irp | None) -> DeviceNode | None:
        if irp is None or irp.current is None or irp.current.device is None:
            return None
        device = self._devices.device(irp.current.device)
        return device.node if device is not None else None


def event_target(events: PnpEvents) -> WorkedOn | None:
    """The first event's target as far as the event itself tells: for dumps in which its device is gone."""
    if not events.events:
        return None
    event = events.events[0]
    node = event.node or DeviceNode(VirtAddr(0), event.instance_path, None)
    if node.instance_path is None:
        return None
    why = f"it is the target of the first queued device event ({event.what or 'of a kind not known'})"
    return WorkedOn(node, None, (), friendly_name(node.instance_path), (why,), Trust.STRUCTURE, FIRST_EVENT)


def _images(stack: Stack) -> set[str]:
    return {frame.module for frame in stack.frames if frame.module is not None}
