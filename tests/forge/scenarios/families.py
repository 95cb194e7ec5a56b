"""About three machines for each family of bugchecks: whom the stop names, and how sure one may be of it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import add_irp, add_node
from tests.forge.kernel.modules import add_driver_object
from tests.forge.kernel.objects import event
from tests.forge.kernel.resources import add_resource, own, wait_for
from tests.forge.kernel.state import EXECUTIVE, TICK_100NS, UPTIME_TICKS, Frame, Kernel, Thread
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.seed import STOP
from tests.forge.scenarios.stops import DEVICE_CALL, bytes_at, signed, stop_in, text_at
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
WILD = 0x8000_0018
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


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """One machine: its family, its code, how parameters are made, the right kind of culprit, the most confidence."""

    family: str
    build: Callable[[Kernel, Cast], Outcome]
    kind: str | None
    most: str


def on_stack(code: int, fill: Fill, *, fault: bool = False, blamed: str | None = "driver") -> Callable[..., Outcome]:
    """The culprit's code is on the stack of the stop. ``blamed`` None, or other than driver: its frame is innocent."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = _machinery(kernel, cast.third_party(1)[0])
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
        around = _machinery(kernel, cast.third_party(1)[0])
        stop_in_idle(kernel, kernel.frames(*STOP[1:]))
        culprit = "pci.sys" if blamed == "bus" else around.culprit.driver
        return Outcome(code, fill(kernel, around), Expected(culprit=culprit))

    return build


def of_thread(code: int, fill: Fill) -> Callable[..., Outcome]:
    """A parameter names a thread that waits in the culprit's code."""

    def build(kernel: Kernel, cast: Cast) -> Outcome:
        around = _machinery(kernel, cast.third_party(1)[0])
        frames = [*kernel.frames(*WAIT), Frame(driver_image(kernel, around.culprit), "WaitForDevice")]
        stuck = add_thread(kernel, named(kernel, "System"), frames)
        wait(kernel, stuck, [event(kernel)], EXECUTIVE, 305.0)
        stop_in_idle(kernel, kernel.frames(*STOP[1:]))
        known = Machinery(around.culprit, around.driver, around.devices, around.node, thread=stuck)
        expected = Expected(culprit=around.culprit.driver, root=stuck.address)
        return Outcome(code, fill(kernel, known), expected)

    return build


def resource_timeout(kernel: Kernel, cast: Cast) -> Outcome:
    """0x1CC: who waited notices; the owner of the resource is the story."""
    around = _machinery(kernel, cast.third_party(1)[0])
    lock = add_resource(kernel, tag="Acme")
    frames = [*kernel.frames(*WAIT), Frame(driver_image(kernel, around.culprit), "WaitForDevice")]
    owner = add_thread(kernel, named(kernel, "System"), frames)
    wait(kernel, owner, [event(kernel)], EXECUTIVE, 90.0)
    own(kernel, lock, owner)
    noticed = waiter(kernel, named(kernel, "services.exe"), lock, kernel.frames("NtReadFile"))
    wait_for(kernel, lock, [(noticed, 60.0)])
    stop_in_idle(kernel, kernel.frames(*STOP[1:]))
    expected = Expected(culprit=around.culprit.driver, root=owner.address)
    return Outcome(0x1CC, (lock.address, noticed.address, 3, 60), expected)


def held_power_request(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/3 with its block: the request is at the function driver, for ten minutes."""
    around = _machinery(kernel, cast.third_party(1)[0])
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


def fx_device(kernel: Kernel, around: Machinery) -> int:
    """A POP_FX_DEVICE of the culprit's devnode."""
    block = kernel.machine.pool(0x4C0, "PopF")
    kernel.machine.u64(block + 0x30, around.node)
    return block


def _machinery(kernel: Kernel, culprit: Culprit) -> Machinery:
    root = add_node(kernel, "HTREE\\ROOT\\0", "", 0)
    bus = add_driver_object(kernel, kernel.image("pci.sys"), "pci")
    driver = add_driver_object(kernel, driver_image(kernel, culprit), culprit.service)
    node, devices = device_stack(kernel, root, culprit, [bus, driver])
    return Machinery(culprit, driver, tuple(devices), node)


def _wild(kernel: Kernel) -> int:
    return kernel.machine.region("pool").base + WILD


def _service(around: Machinery) -> int:
    return int.from_bytes(around.culprit.service[:8].lower().encode(), "little")


def _thread(around: Machinery) -> int:
    assert around.thread is not None
    return around.thread.address


def _record(*sections: str) -> Callable[[Kernel, Machinery], Parameters]:
    def fill(kernel: Kernel, _around: Machinery) -> Parameters:
        from tests.kernel import error_records as made

        bodies = {
            "memory": (made.MEMORY, made.memory(0, 1, 2, 3, 3, 0x1_0000_0000)),
            "pcie": (made.PCIE, made.pcie(0, 3, 0x1C, 4, (0x10DE, 0x2204), 1 << 14)),
        }
        return 4, bytes_at(kernel, made.record(*(bodies[one] for one in sections)), "Whea"), 0, 0

    return fill


def _name(kernel: Kernel, around: Machinery) -> int:
    return text_at(kernel, f"\\SystemRoot\\System32\\drivers\\{around.culprit.driver}")


def _ef(kernel: Kernel, _around: Machinery) -> Parameters:
    return named(kernel, "csrss.exe").address, 0, 0, 0


def _f4(kernel: Kernel, _around: Machinery) -> Parameters:
    return 3, _wild(kernel), bytes_at(kernel, b"wininit.exe\0"), 0


def _irp_to(kernel: Kernel, around: Machinery) -> int:
    return add_irp(kernel, list(reversed(around.devices)), INTERNAL_CONTROL, current=1)


FAMILY_ROWS: dict[str, FamilyRow] = {
    "9f-1-freed": FamilyRow("power", off_stack(0x9F, lambda _k, m: (1, m.devices[1], 0, 0)), "driver", "high"),
    "9f-2-driver": FamilyRow(
        "power", off_stack(0x9F, lambda _k, m: (2, m.devices[0], m.devices[1], m.driver)), "driver", "high"
    ),
    "9f-3-held": FamilyRow("power", held_power_request, "driver", "high"),
    "9f-5-directed": FamilyRow("power", off_stack(0x9F, lambda _k, m: (5, m.devices[0], 0, 0)), "driver", "high"),
    "9f-6-directed": FamilyRow("power", off_stack(0x9F, lambda k, m: (6, fx_device(k, m), 1, 0)), "driver", "high"),
    "9f-500-late": FamilyRow(
        "power", off_stack(0x9F, lambda _k, m: (0x500, 0, m.devices[0], m.devices[1])), "driver", "high"
    ),
    "a0-f-thread": FamilyRow("power", of_thread(0xA0, lambda _k, m: (0xF, 4, 1, _thread(m))), "driver", "high"),
    "ca-1-bus": FamilyRow(
        "pnp", on_stack(0xCA, lambda _k, m: (1, m.devices[0], m.devices[0], 0), blamed="pci.sys"), "driver", "medium"
    ),
    "ca-2-driver": FamilyRow("pnp", off_stack(0xCA, lambda _k, m: (2, m.devices[0], m.driver, 0)), "driver", "medium"),
    "ca-a-callback": FamilyRow("pnp", off_stack(0xCA, lambda _k, m: (0xA, m.driver, 2, 0)), "driver", "medium"),
    "1e-exception": FamilyRow(
        "faults", on_stack(0x1E, lambda _k, m: (signed(0xC000_0094), m.address, 0, 0), fault=True), "driver", "high"
    ),
    "50-freed": FamilyRow(
        "faults", on_stack(0x50, lambda k, m: (_wild(k), 0, m.address, 2), fault=True), "driver", "high"
    ),
    "be-read-only": FamilyRow(
        "faults", on_stack(0xBE, lambda k, _m: (k.nt.base + 0x1000, 0x8000_0121, 0, 0xA), fault=True), "driver", "high"
    ),
    "d3-pageable": FamilyRow(
        "irql", on_stack(0xD3, lambda k, m: (_wild(k), 2, 0, m.address), fault=True), "driver", "high"
    ),
    "d5-freed": FamilyRow(
        "irql", on_stack(0xD5, lambda k, m: (_wild(k), 0, m.address, 0), fault=True), "driver", "high"
    ),
    "d8-entries": FamilyRow("irql", off_stack(0xD8, lambda k, m: (_name(k, m), 9000, 1, 10000)), "driver", "high"),
    "c2-caller": FamilyRow(
        "pool", on_stack(0xC2, lambda k, _m: (7, 0, 0, k.machine.pool(0x40, "Acme"))), "driver", "high"
    ),
    "19-21-overrun": FamilyRow(
        "pool", on_stack(0x19, lambda k, _m: (0x21, k.machine.pool(0x40, "Acme"), 0x40, 1)), "driver", "medium"
    ),
    "13a-free": FamilyRow(
        "pool", on_stack(0x13A, lambda k, _m: (0x11, _wild(k), k.machine.pool(0x40, "Acme"), 0)), "driver", "medium"
    ),
    "e3-not-owned": FamilyRow("misuse", on_stack(0xE3, lambda k, m: (_wild(k), _thread(m), 0, 0)), "driver", "high"),
    "18-reference": FamilyRow("misuse", on_stack(0x18, lambda k, _m: (0, _wild(k), 1, 1)), "driver", "high"),
    "c8-irql": FamilyRow("misuse", on_stack(0xC8, lambda _k, _m: (2, 0, 0, 0)), "driver", "high"),
    "139-2-cookie": FamilyRow(
        "integrity", on_stack(0x139, lambda _k, m: (2, m.trap, 0, 0), fault=True), "driver", "high"
    ),
    "f7-overrun": FamilyRow("integrity", on_stack(0xF7, lambda _k, _m: (0xABCD, 0x1234, 0xEDCB, 0)), "driver", "high"),
    "18b-secure": FamilyRow("integrity", on_stack(0x18B, lambda _k, _m: (0, 0, 0, 0), blamed=None), None, "none"),
    "c9-irp": FamilyRow("verifier", on_stack(0xC9, lambda _k, m: (0x226, m.address, 0, 0)), "driver", "high"),
    "e6-iommu": FamilyRow(
        "verifier", off_stack(0xE6, lambda _k, m: (0x26, m.devices[0], 0x1000, 6)), "driver", "medium"
    ),
    "10d-caller": FamilyRow("verifier", on_stack(0x10D, lambda _k, m: (4, 0, m.address, 0)), "driver", "high"),
    "1cc-owner": FamilyRow("watchdogs", resource_timeout, "driver", "high"),
    "1d5-pnp": FamilyRow(
        "watchdogs", of_thread(0x1D5, lambda _k, m: (_service(m), 0, _thread(m), 300_000)), "driver", "high"
    ),
    "133-0-dpc": FamilyRow("watchdogs", on_stack(0x133, lambda _k, _m: (0, 0x501, 0x500, 0)), "driver", "high"),
    "101-silent": FamilyRow(
        "watchdogs", on_stack(0x101, lambda k, _m: (12, 0, k.processors[2], 2), blamed=None), None, "none"
    ),
    "ea-stuck": FamilyRow("graphics", of_thread(0xEA, lambda k, m: (_thread(m), 0, _name(k, m), 1)), "driver", "high"),
    "141-live": FamilyRow(
        "graphics", off_stack(0x141, lambda k, m: (0, driver_image(k, m.culprit).base + 0x1800, 0, 0)), "driver", "high"
    ),
    "119-scheduler": FamilyRow("graphics", on_stack(0x119, lambda _k, _m: (2, 0, 0, 0)), "driver", "medium"),
    "124-memory": FamilyRow("hardware", on_stack(0x124, _record("memory"), blamed=None), "hardware", "high"),
    "124-pcie": FamilyRow("hardware", on_stack(0x124, _record("pcie"), blamed=None), "hardware", "high"),
    "9c-bank": FamilyRow(
        "hardware", on_stack(0x9C, lambda _k, _m: (4, 0, 0xB200_0000, 0x400), blamed=None), "hardware", "medium"
    ),
    "77-stack": FamilyRow(
        "storage",
        on_stack(0x77, lambda _k, _m: (signed(0xC000_000E), signed(0xC000_000E), 0, 0x1000), blamed=None),
        "hardware",
        "medium",
    ),
    "7a-memory": FamilyRow(
        "storage", on_stack(0x7A, lambda k, _m: (1, signed(0xC000_009A), 0, _wild(k))), "driver", "low"
    ),
    "24-filter": FamilyRow("storage", on_stack(0x24, lambda _k, _m: (0x19_04FB, 0, 0, 0)), "driver", "medium"),
    "144-client": FamilyRow(
        "usb", off_stack(0x144, lambda k, m: (1, _irp_to(k, m), 0, m.devices[1])), "driver", "medium"
    ),
    "fe-pending": FamilyRow("usb", off_stack(0xFE, lambda k, m: (4, _irp_to(k, m), 0, 0)), "driver", "medium"),
    "144-controller": FamilyRow("usb", on_stack(0x144, lambda k, _m: (0x1001, _wild(k), 0, 0)), "driver", "low"),
    "ef-process": FamilyRow("processes", on_stack(0xEF, _ef, blamed="csrss.exe"), "process", "medium"),
    "f4-name": FamilyRow("processes", on_stack(0xF4, _f4, blamed="wininit.exe"), "process", "medium"),
    "c000021a": FamilyRow(
        "processes",
        on_stack(0xC000_021A, lambda k, _m: (bytes_at(k, b"Windows Subsystem\0"), 1, 0, 0), blamed=None),
        None,
        "none",
    ),
    "1c8-button": FamilyRow("manual", on_stack(0x1C8, lambda _k, _m: (8000, 0, 0, 0), blamed=None), None, "none"),
    "deaddead": FamilyRow("manual", on_stack(0xDEAD_DEAD, lambda _k, _m: (0, 0, 0, 0), blamed=None), None, "none"),
    "161-live": FamilyRow("manual", on_stack(0x161, lambda _k, _m: (0, 0, 0, 0), blamed=None), None, "none"),
}
