"""What scenarios share: the cast drawn from a seed, waiters, the processor that stops the machine."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.forge.context import context_record
from tests.forge.facts import BlockedFact, Expected
from tests.forge.functions import RBX, RDI
from tests.forge.image import Image
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import add_device, add_node, set_physical_device
from tests.forge.kernel.globals import add_processor, run
from tests.forge.kernel.modules import add_driver
from tests.forge.kernel.processes import add_process
from tests.forge.kernel.resources import CHAIN_LOCAL
from tests.forge.kernel.stacks import StackWriter, new_stack
from tests.forge.kernel.state import TICK_100NS, Frame, Kernel, Process, Resource, Thread
from tests.forge.kernel.threads import add_running, add_thread
from tests.forge.names import OTHER_WAITERS, STORY, THIRD_PARTY

EXCLUSIVE = ("ExpAcquireResourceExclusiveLite", "ExAcquireResourceExclusiveLite")
SHARED = ("ExpAcquireResourceSharedLite", "ExAcquireResourceSharedLite")


@dataclass(frozen=True, slots=True)
class Culprit:
    """A driver with its device: file name, company, service, instance path."""

    driver: str
    company: str
    service: str
    instance_path: str


@dataclass(slots=True)
class Cast:
    """Who plays: drawn from ``rng`` where a seed was given, else the first story's."""

    rng: random.Random
    drawn: bool

    def culprits(self, count: int) -> list[Culprit]:
        """Drivers, each once."""
        if self.drawn:
            return [Culprit(*row) for row in self.rng.sample(THIRD_PARTY, count)]
        return [Culprit(*row) for row in (STORY, *THIRD_PARTY)[:count]]

    def third_party(self, count: int) -> list[Culprit]:
        """Drivers that are not Windows' own."""
        rows = self.rng.sample(THIRD_PARTY, count) if self.drawn else THIRD_PARTY[:count]
        return [Culprit(*row) for row in rows]

    def process(self, kernel: Kernel, usual: str) -> Process:
        """A process of that name, or of another where a seed draws."""
        name = self.rng.choice(OTHER_WAITERS) if self.drawn else usual
        return self.rng.choice([process for process in kernel.processes if process.name == name])


@dataclass(slots=True)
class Outcome:
    """How a story ends: the stop code, the stopped processor's registers, the right verdict."""

    code: int
    parameters: tuple[int, int, int, int]
    expected: Expected
    exception: tuple[int, int, tuple[int, ...]] | None = None  # code, address, parameters


Scenario = Callable[[Kernel, Cast], Outcome]


def named(kernel: Kernel, name: str) -> Process:
    """The first process of a name. Raises: StopIteration."""
    return next(process for process in kernel.processes if process.name == name)


def driver_image(kernel: Kernel, culprit: Culprit) -> Image:
    """The culprit's image, loaded where it is not yet."""
    for image in kernel.images:
        if image.name == culprit.driver:
            return image
    return add_driver(kernel, culprit.driver, company=culprit.company, version=(2, 1, 0, 77))


def device_stack(kernel: Kernel, parent: int, culprit: Culprit, drivers: Sequence[int]) -> tuple[int, list[int]]:
    """A devnode with a device of each driver object, the bus's first. Returns the node and the devices from below."""
    node = add_node(kernel, culprit.instance_path, culprit.service, parent)
    devices = [add_device(kernel, drivers[0])]
    set_physical_device(kernel, node, devices[0])
    for driver in drivers[1:]:
        devices.append(add_device(kernel, driver, attach_to=devices[-1]))
    return node, devices


def waiter(
    kernel: Kernel, process: Process, resource: Resource, callers: Sequence[Frame], *, shared: bool = False
) -> Thread:
    """A thread that stands in the acquisition of a resource; ``wait_for`` must still make it wait."""
    inner = kernel.frames(*WAIT, "ExpWaitForResource", *(SHARED if shared else EXCLUSIVE))
    for frame in inner:
        if frame.function == "ExpWaitForResource":
            frame.values[CHAIN_LOCAL + 0x30] = resource.address
        if frame.function.startswith("ExpWaitForResource") or frame.function in (*EXCLUSIVE, *SHARED):
            frame.registers = {RBX: resource.address, RDI: resource.address}
    return add_thread(kernel, process, [*inner, *callers])


def blocked(thread: Thread, waits_for: int) -> BlockedFact:
    """The fact that a thread is stuck, from what was written."""
    seconds = thread.ticks * TICK_100NS / 10_000_000 if thread.ticks is not None else None
    return BlockedFact(thread.address, thread.process.name, thread.process.pid, thread.tid, waits_for, seconds)


def frame_address(thread: Thread, image: Image) -> int:
    """The innermost return address of a thread inside an image."""
    return next(frame.address for frame in thread.frames if frame.image == image.name)


def idle_process(kernel: Kernel) -> Process:
    """The idle process, which is on no list."""
    process = add_process_off_list(kernel)
    kernel.processes.remove(process)
    return process


def add_process_off_list(kernel: Kernel) -> Process:
    """A process made and taken off the active list again."""
    process = add_process(kernel, "Idle", 0, pid=kernel.new_id())
    machine = kernel.machine
    entry = machine.at("_EPROCESS", process.address, "ActiveProcessLinks")
    after, before = machine.read_u64(entry), machine.read_u64(entry + 8)
    machine.u64(before, after)
    machine.u64(after + 8, before)
    machine.put("_EPROCESS", process.address, UniqueProcessId=0)
    process.pid = 0
    return process


def stop_in_idle(kernel: Kernel, frames: Sequence[Frame], processors: int = 4) -> StackWriter:
    """All processors idle; the first stops the machine inside ``frames`` (innermost first, called from KiIdleLoop).

    Returns that stack, KeBugCheckEx just entered.
    """
    idle = idle_process(kernel)
    stops: StackWriter | None = None
    for number in range(processors):
        add_processor(kernel)
        stack = StackWriter(kernel, new_stack(kernel))
        stack.bottom_idle()
        if number == 0:
            for frame in reversed(frames):
                stack.call(frame)
            enter_bugcheck(kernel, stack)
            stops = stack
        thread = add_running(kernel, idle, stack, listed=False, tid=0)
        run(kernel, number, thread, thread)
    assert stops is not None
    run_frozen(kernel)
    return stops


def run_frozen(kernel: Kernel) -> None:
    """Give each running thread a processor behind those that idle, which saved its registers when it was stopped."""
    machine = kernel.machine
    for thread, stack in kernel.frozen:
        prcb = add_processor(kernel)
        run(kernel, len(kernel.processors) - 1, thread, thread)
        innermost = stack.placed[-1]
        image = kernel.image(innermost.image)
        innermost.address = image.base + image.function(innermost.function).rva + 0x30
        record = context_record(machine.layouts, innermost.address, stack.sp, stack.registers)
        machine.write(machine.at("_KPRCB", prcb, "ProcessorState.ContextFrame"), record)


def enter_bugcheck(kernel: Kernel, stack: StackWriter) -> None:
    """The call of KeBugCheckEx: RSP points at the return address, nothing of it has run."""
    stack.enter_leaf(Frame(kernel.nt, "KeBugCheckEx"))
    kernel.stop_stack = stack
