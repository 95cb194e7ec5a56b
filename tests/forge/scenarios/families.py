"""Machines for the families of bugchecks: what may be on the stack of a stop, and what its parameters point to."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.forge.context import context_record
from tests.forge.facts import Expected
from tests.forge.functions import RBP, RBX
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import add_irp, add_node
from tests.forge.kernel.dpcs import enter_dpc, queue_dpcs
from tests.forge.kernel.modules import add_driver_object
from tests.forge.kernel.objects import event
from tests.forge.kernel.resources import add_resource, own, wait_for
from tests.forge.kernel.stacks import StackWriter, new_stack
from tests.forge.kernel.state import EXECUTIVE, TICK_100NS, UPTIME_TICKS, Frame, Kernel, Resource, Thread
from tests.forge.kernel.threads import add_running, add_thread, wait
from tests.forge.scenarios.seed import STOP
from tests.forge.scenarios.stops import DEVICE_CALL, bytes_at, stop_in
from tests.forge.scenarios.story import (
    Cast,
    Culprit,
    Outcome,
    device_stack,
    driver_image,
    named,
    stop_in_idle,
    waiter,
)

TRIAGE_9F_POWER = 0x8000
POWER, SET_POWER, INTERNAL_CONTROL = 0x16, 0x02, 0x0F
HELD_SECONDS = 600
DPC_PROCESSOR = 4  # behind the four that idle
Parameters = tuple[int, int, int, int]
Fill = Callable[[Kernel, "Machinery"], Parameters]


@dataclass(frozen=True, slots=True)
class Machinery:
    """What a row may point its parameters at: the culprit with its device stack, and what failed in its code."""

    culprit: Culprit
    driver: int
    devices: tuple[int, ...]
    node: int
    address: int = 0
    trap: int = 0
    thread: Thread | None = None


def on_stack(code: int, fill: Fill, *, fault: bool = False, blamed: str | None = "driver") -> Callable[..., Outcome]:
    """The culprit's code is on the stack of the stop. ``blamed`` None, or other than driver: its frame is innocent."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = machinery(kernel, cast.third_party(1)[0])
        frames = [Frame(driver_image(kernel, around.culprit), "Complete"), *kernel.frames(*DEVICE_CALL)]
        through = ("KiBugCheckDispatch",) if fault else ()
        found = stop_in(kernel, named(kernel, "chrome.exe"), frames, fault=fault, through=through)
        known = Machinery(
            around.culprit, around.driver, around.devices, around.node, found.address, found.trap, found.thread
        )
        culprit = around.culprit.driver if blamed == "driver" else blamed
        return Outcome(code, fill(kernel, known), Expected(culprit=culprit))

    return build


def off_stack(code: int, fill: Fill, *, blamed: str = "driver") -> Callable[..., Outcome]:
    """Only the watchdog's timer is on the stack: the parameters have to tell."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = machinery(kernel, cast.third_party(1)[0])
        stop_in_idle(kernel, kernel.frames(*STOP[1:]))
        culprit = "pci.sys" if blamed == "bus" else around.culprit.driver
        return Outcome(code, fill(kernel, around), Expected(culprit=culprit))

    return build


def of_thread(code: int, fill: Fill) -> Callable[..., Outcome]:
    """A parameter names a thread that waits in the culprit's code."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = machinery(kernel, cast.third_party(1)[0])
        frames = [*kernel.frames(*WAIT), Frame(driver_image(kernel, around.culprit), "WaitForDevice")]
        stuck = add_thread(kernel, named(kernel, "System"), frames)
        wait(kernel, stuck, [event(kernel)], EXECUTIVE, 305.0)
        stop_in_idle(kernel, kernel.frames(*STOP[1:]))
        known = Machinery(around.culprit, around.driver, around.devices, around.node, thread=stuck)
        expected = Expected(culprit=around.culprit.driver, root=stuck.address)
        return Outcome(code, fill(kernel, known), expected)

    return build


def of_lock(code: int, fill: Callable[[Kernel, Machinery, Resource], Parameters]) -> Callable[..., Outcome]:
    """A thread that waits in the culprit's code owns a resource that a service waits for."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = machinery(kernel, cast.third_party(1)[0])
        lock = add_resource(kernel, tag="Acme")
        frames = [*kernel.frames(*WAIT), Frame(driver_image(kernel, around.culprit), "WaitForDevice")]
        owner = add_thread(kernel, named(kernel, "System"), frames)
        wait(kernel, owner, [event(kernel)], EXECUTIVE, 90.0)
        own(kernel, lock, owner)
        noticed = waiter(kernel, named(kernel, "services.exe"), lock, kernel.frames("NtReadFile"))
        wait_for(kernel, lock, [(noticed, 60.0)])
        stop_in_idle(kernel, kernel.frames(*STOP[1:]))
        known = replace(around, thread=noticed)
        return Outcome(code, fill(kernel, known, lock), Expected(culprit=around.culprit.driver, root=owner.address))

    return build


def in_dpc(code: int, fill: Fill, *, ticks: int = 0, blamed: bool = True) -> Callable[..., Outcome]:
    """Processor 4 is inside a deferred call of the culprit, and others wait behind it."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = machinery(kernel, cast.third_party(1)[0])
        image = driver_image(kernel, around.culprit)
        stack = StackWriter(kernel, new_stack(kernel))
        stack.bottom_idle()
        for frame in (*kernel.frames("KiExecuteAllDpcs", "KiRetireDpcList")[::-1], Frame(image, "DpcRoutine")):
            stack.call(frame)
        kernel.frozen.append((add_running(kernel, named(kernel, "System"), stack), stack))
        stop_in_idle(kernel, kernel.frames(*STOP[1:]))
        routine = image.base + image.function("DpcRoutine").rva
        other = kernel.nt.base + kernel.nt.function("KiTimerExpiration").rva
        enter_dpc(kernel, DPC_PROCESSOR, routine, ticks)
        queue_dpcs(kernel, DPC_PROCESSOR, [other, routine, other])
        queue_dpcs(kernel, DPC_PROCESSOR, [routine], threaded=True)
        return Outcome(code, fill(kernel, around), Expected(culprit=around.culprit.driver if blamed else None))

    return build


def held_power_request(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/3 with its block: the request is at the function driver, for ten minutes."""
    around = machinery(kernel, cast.third_party(1)[0])
    irp = add_irp(kernel, list(reversed(around.devices)), POWER, SET_POWER)
    stop_in_idle(kernel, kernel.frames(*STOP[1:]))
    block = power_block(kernel, irp, around.devices[0])
    return Outcome(0x9F, (3, around.devices[0], block, irp), Expected(culprit=around.culprit.driver))


def power_block(kernel: Kernel, irp: int, device: int) -> int:
    """A TRIAGE_9F_POWER with one POP_IRP_DATA, whose watchdog was started ten minutes ago."""
    machine = kernel.machine
    head, entry = machine.pool(0x10, "PopI"), machine.pool(0x120, "PopI")
    machine.list_head(head)
    machine.list_append(head, entry)
    machine.write(entry + 0x10, struct.pack("<QQ", irp, device))
    if machine.layouts.has("_POP_IRP_DATA", "WatchdogStart"):
        started = UPTIME_TICKS * TICK_100NS - HELD_SECONDS * 10_000_000
        machine.u64(machine.at("_POP_IRP_DATA", entry, "WatchdogStart"), started)
    block = machine.pool(0x28, "Tri9")
    machine.write(block, struct.pack("<HH4xQ", TRIAGE_9F_POWER, 1, head))
    return block


def saved_context(kernel: Kernel, around: Machinery) -> int:
    """A CONTEXT record of the fault, as exception handling leaves one."""
    machine, trap = kernel.machine, around.trap
    at = {name: machine.read_u64(machine.at("_KTRAP_FRAME", trap, name)) for name in ("Rip", "Rsp", "Rbp", "Rbx")}
    record = context_record(machine.layouts, at["Rip"], at["Rsp"], {RBP: at["Rbp"], RBX: at["Rbx"]})
    return bytes_at(kernel, record, "Cntx")


def exception_record(kernel: Kernel, code: int, address: int, *parameters: int) -> int:
    """An EXCEPTION_RECORD64."""
    record = struct.pack("<IIQQI4x", code, 0, 0, address, len(parameters))
    return bytes_at(kernel, record + struct.pack(f"<{len(parameters)}Q", *parameters).ljust(120, b"\0"), "Xcpt")


def fx_device(kernel: Kernel, around: Machinery) -> int:
    """A POP_FX_DEVICE of the culprit's devnode."""
    block = kernel.machine.pool(0x4C0, "PopF")
    kernel.machine.u64(block + 0x30, around.node)
    return block


def machinery(kernel: Kernel, culprit: Culprit) -> Machinery:
    root = add_node(kernel, "HTREE\\ROOT\\0", "", 0)
    bus = add_driver_object(kernel, kernel.image("pci.sys"), "pci")
    driver = add_driver_object(kernel, driver_image(kernel, culprit), culprit.service)
    node, devices = device_stack(kernel, root, culprit, [bus, driver])
    return Machinery(culprit, driver, tuple(devices), node)
