"""Three machines and more for each family of bugchecks: whom the stop names, and how sure one may be of it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.forge.kernel.devices import add_irp
from tests.forge.kernel.state import Kernel
from tests.forge.names import UNLOADED
from tests.forge.scenarios.families import (
    INTERNAL_CONTROL,
    Fill,
    Machinery,
    Parameters,
    exception_record,
    fx_device,
    held_power_request,
    in_dpc,
    of_lock,
    of_thread,
    off_stack,
    on_stack,
    saved_context,
)
from tests.forge.scenarios.stops import bytes_at, signed, text_at
from tests.forge.scenarios.story import Cast, Outcome, driver_image, named
from tests.kernel import error_records as made

WILD = 0x8000_0018
GONE = UNLOADED[0].lower()


@dataclass(frozen=True, slots=True)
class FamilyRow:
    """One machine: its family, its code, how parameters are made, the right kind of culprit, the most confidence."""

    family: str
    build: Callable[[Kernel, Cast], Outcome]
    kind: str | None
    most: str


def _gone(kernel: Kernel) -> int:
    # An address in a driver that was unloaded before.
    return kernel.unloaded[0][1] + 0x1230


def _wild(kernel: Kernel) -> int:
    return kernel.machine.region("pool").base + WILD


def _service(around: Machinery) -> int:
    return int.from_bytes(around.culprit.service[:8].lower().encode(), "little")


def _with_problem(kernel: Kernel, around: Machinery) -> Parameters:
    kernel.machine.put("_DEVICE_NODE", around.node, Problem=43)
    return 5, around.devices[0], 0, 0


def _thread(around: Machinery) -> int:
    assert around.thread is not None
    return around.thread.address


def _record(kind: str, body: bytes) -> Fill:
    def fill(kernel: Kernel, _around: Machinery) -> Parameters:
        return 4, bytes_at(kernel, made.record((kind, body)), "Whea"), 0, 0

    return fill


def _name(kernel: Kernel, around: Machinery) -> int:
    return text_at(kernel, f"\\SystemRoot\\System32\\drivers\\{around.culprit.driver}")


def _ended(kernel: Kernel, status: int = 0x103) -> int:
    process = named(kernel, "csrss.exe").address
    kernel.machine.put("_EPROCESS", process, ExitStatus=status)
    return process


def _code(kernel: Kernel, around: Machinery, function: str = "Complete") -> int:
    image = driver_image(kernel, around.culprit)
    return image.base + image.function(function).rva + 0x20


def _f4(kernel: Kernel, _around: Machinery) -> Parameters:
    return 3, _wild(kernel), bytes_at(kernel, b"wininit.exe\0"), 0


def _irp_at(kernel: Kernel, around: Machinery) -> int:
    return add_irp(kernel, list(reversed(around.devices)), INTERNAL_CONTROL)


def _irp_to(kernel: Kernel, around: Machinery) -> int:
    return add_irp(kernel, list(reversed(around.devices)), INTERNAL_CONTROL, current=1)


FAMILY_ROWS: dict[str, FamilyRow] = {
    "9f-1-freed": FamilyRow("power", off_stack(0x9F, lambda _k, m: (1, m.devices[1], 0, 0)), "driver", "high"),
    "9f-2-driver": FamilyRow(
        "power", off_stack(0x9F, lambda _k, m: (2, m.devices[0], m.devices[1], m.driver)), "driver", "high"
    ),
    "9f-3-held": FamilyRow("power", held_power_request, "driver", "high"),
    "9f-4-lock": FamilyRow("power", of_thread(0x9F, lambda _k, m: (4, 300, _thread(m), 0)), "driver", "high"),
    "9f-5-directed": FamilyRow("power", off_stack(0x9F, lambda _k, m: (5, m.devices[0], 0, 0)), "driver", "high"),
    "9f-5-problem": FamilyRow("power", off_stack(0x9F, _with_problem), "driver", "high"),
    "9f-6-directed": FamilyRow("power", off_stack(0x9F, lambda k, m: (6, fx_device(k, m), 1, 0)), "driver", "high"),
    "9f-500-late": FamilyRow(
        "power", off_stack(0x9F, lambda _k, m: (0x500, 0, m.devices[0], m.devices[1])), "driver", "high"
    ),
    "a0-f-thread": FamilyRow("power", of_thread(0xA0, lambda _k, m: (0xF, 4, 1, _thread(m))), "driver", "high"),
    "a0-b-image": FamilyRow("power", on_stack(0xA0, lambda _k, _m: (0xB, 0, 0, 0), blamed=None), None, "none"),
    "14f-pdc": FamilyRow("power", on_stack(0x14F, lambda _k, _m: (5, 0x100, 1, 2), blamed=None), None, "none"),
    "15c-lock": FamilyRow("power", of_lock(0x15C, lambda _k, _m, _lock: (5, 0x100, 0, 0)), "driver", "high"),
    "ca-1-bus": FamilyRow(
        "pnp", on_stack(0xCA, lambda _k, m: (1, m.devices[0], m.devices[0], 0), blamed="pci.sys"), "driver", "medium"
    ),
    "ca-2-driver": FamilyRow("pnp", off_stack(0xCA, lambda _k, m: (2, m.devices[0], m.driver, 0)), "driver", "medium"),
    "ca-3-identifier": FamilyRow(
        "pnp", on_stack(0xCA, lambda _k, m: (3, m.devices[0], 0, 1), blamed="pci.sys"), "driver", "medium"
    ),
    "ca-a-callback": FamilyRow("pnp", off_stack(0xCA, lambda _k, m: (0xA, m.driver, 2, 0)), "driver", "medium"),
    "1e-exception": FamilyRow(
        "faults", on_stack(0x1E, lambda _k, m: (signed(0xC000_0094), m.address, 0, 0), fault=True), "driver", "high"
    ),
    "3b-service": FamilyRow(
        "faults",
        on_stack(0x3B, lambda k, m: (0xC000_0005, m.address, saved_context(k, m), 0), fault=True),
        "driver",
        "high",
    ),
    "7e-thread": FamilyRow(
        "faults",
        on_stack(
            0x7E,
            lambda k, m: (
                signed(0xC000_0005),
                m.address,
                exception_record(k, 0xC000_0005, m.address, 0, 0x10),
                saved_context(k, m),
            ),
            fault=True,
        ),
        "driver",
        "high",
    ),
    "8e-trap": FamilyRow(
        "faults",
        on_stack(0x8E, lambda _k, m: (signed(0xC000_0005), m.address, m.trap, 0), fault=True),
        "driver",
        "high",
    ),
    "fc-execute": FamilyRow("faults", on_stack(0xFC, lambda k, _m: (_wild(k), 0, 0, 0), fault=True), "driver", "high"),
    "50-freed": FamilyRow(
        "faults", on_stack(0x50, lambda k, m: (_wild(k), 0, m.address, 2), fault=True), "driver", "high"
    ),
    "be-read-only": FamilyRow(
        "faults", on_stack(0xBE, lambda k, _m: (k.nt.base + 0x1000, 0x8000_0121, 0, 0xA), fault=True), "driver", "high"
    ),
    "a-irql": FamilyRow("irql", on_stack(0xA, lambda k, m: (_wild(k), 2, 0, m.address), fault=True), "driver", "high"),
    "d1-irql": FamilyRow(
        "irql", on_stack(0xD1, lambda k, m: (_wild(k), 2, 0, m.address), fault=True), "driver", "high"
    ),
    "d3-pageable": FamilyRow(
        "irql", on_stack(0xD3, lambda k, m: (_wild(k), 2, 0, m.address), fault=True), "driver", "high"
    ),
    "d4-unloaded": FamilyRow(
        "irql", on_stack(0xD4, lambda k, m: (_gone(k), 2, 8, m.address), fault=True, blamed=GONE), "driver", "high"
    ),
    "d5-freed": FamilyRow(
        "irql", on_stack(0xD5, lambda k, m: (_wild(k), 0, m.address, 0), fault=True), "driver", "high"
    ),
    "d6-beyond": FamilyRow(
        "irql", on_stack(0xD6, lambda k, m: (_wild(k), 1, m.address, 0), fault=True), "driver", "high"
    ),
    "d7-view": FamilyRow("irql", on_stack(0xD7, lambda k, _m: (_wild(k), 1, 0, 0)), "driver", "high"),
    "d8-entries": FamilyRow("irql", off_stack(0xD8, lambda k, m: (_name(k, m), 9000, 1, 10000)), "driver", "high"),
    "c2-caller": FamilyRow(
        "pool", on_stack(0xC2, lambda k, _m: (7, 0, 0, k.machine.pool(0x40, "Acme"))), "driver", "high"
    ),
    "19-21-overrun": FamilyRow(
        "pool", on_stack(0x19, lambda k, _m: (0x21, k.machine.pool(0x40, "Acme"), 0x40, 1)), "driver", "medium"
    ),
    "1a-damaged": FamilyRow("pool", on_stack(0x1A, lambda _k, _m: (0x1236, 0, 0, 0)), "driver", "medium"),
    "4e-locked": FamilyRow("pool", on_stack(0x4E, lambda _k, _m: (0x9A, 0x1234, 3, 2)), "driver", "medium"),
    "c5-pool": FamilyRow("pool", on_stack(0xC5, lambda k, m: (_wild(k), 2, 0, m.address)), "driver", "low"),
    "12b-page": FamilyRow(
        "pool", on_stack(0x12B, lambda k, _m: (_wild(k), 0x1234, 0, 0), blamed=None), "memory", "medium"
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
    "109-patched": FamilyRow(
        "integrity", on_stack(0x109, lambda k, _m: (1, 2, k.nt.base, 1), blamed=None), None, "none"
    ),
    "c9-irp": FamilyRow("verifier", on_stack(0xC9, lambda _k, m: (0x226, m.address, 0, 0)), "driver", "high"),
    "e6-iommu": FamilyRow(
        "verifier", off_stack(0xE6, lambda _k, m: (0x26, m.devices[0], 0x1000, 6)), "driver", "medium"
    ),
    "10d-caller": FamilyRow("verifier", on_stack(0x10D, lambda _k, m: (4, 0, m.address, 0)), "driver", "high"),
    "c4-irql": FamilyRow("verifier", on_stack(0xC4, lambda _k, _m: (0x1, 2, 1, 64)), "driver", "high"),
    "c4-routine": FamilyRow("verifier", off_stack(0xC4, lambda k, m: (0xC5, _code(k, m), 1, 0)), "driver", "high"),
    "c4-left": FamilyRow("verifier", off_stack(0xC4, lambda k, m: (0x62, _name(k, m), 0, 3)), "driver", "high"),
    "c4-cancelled": FamilyRow("verifier", off_stack(0xC4, lambda k, m: (0x135, _irp_at(k, m), 9, 0)), "driver", "high"),
    "c4-shutdown": FamilyRow("verifier", of_thread(0xC4, lambda _k, m: (0x115, _thread(m), 0, 0)), "driver", "high"),
    "c4-disk": FamilyRow("verifier", on_stack(0xC4, lambda _k, _m: (0xA0, 0, 0, 8), blamed=None), "hardware", "medium"),
    "c4-rule": FamilyRow(
        "verifier",
        on_stack(0xC4, lambda k, _m: (0x2_0005, bytes_at(k, b"IRQL is too high for this\0"), 0, 0)),
        "driver",
        "high",
    ),
    "1cc-owner": FamilyRow(
        "watchdogs", of_lock(0x1CC, lambda _k, m, lock: (lock.address, _thread(m), 3, 60)), "driver", "high"
    ),
    "1d5-pnp": FamilyRow(
        "watchdogs", of_thread(0x1D5, lambda _k, m: (_service(m), 0, _thread(m), 300_000)), "driver", "high"
    ),
    "133-0-dpc": FamilyRow("watchdogs", on_stack(0x133, lambda _k, _m: (0, 0x501, 0x500, 0)), "driver", "high"),
    "101-silent": FamilyRow(
        "watchdogs", on_stack(0x101, lambda k, _m: (12, 0, k.processors[2], 2), blamed=None), None, "none"
    ),
    "133-1-sum": FamilyRow(
        "watchdogs", in_dpc(0x133, lambda _k, _m: (1, 0x1E00, 0, 0), ticks=90, blamed=False), None, "none"
    ),
    "101-dpc": FamilyRow(
        "watchdogs", in_dpc(0x101, lambda k, _m: (12, 0, k.processors[4], 4), ticks=700), "driver", "low"
    ),
    "1ca-synthetic": FamilyRow(
        "watchdogs", in_dpc(0x1CA, lambda _k, _m: (900, 1000, 2000, 4), ticks=700), "driver", "low"
    ),
    "ea-stuck": FamilyRow("graphics", of_thread(0xEA, lambda k, m: (_thread(m), 0, _name(k, m), 1)), "driver", "high"),
    "141-live": FamilyRow(
        "graphics", off_stack(0x141, lambda k, m: (0, driver_image(k, m.culprit).base + 0x1800, 0, 0)), "driver", "high"
    ),
    "116-reset": FamilyRow("graphics", off_stack(0x116, lambda k, m: (0, _code(k, m), 0, 0)), "driver", "high"),
    "117-live": FamilyRow("graphics", off_stack(0x117, lambda k, m: (0, _code(k, m), 0, 0)), "driver", "high"),
    "10e-memory": FamilyRow("graphics", on_stack(0x10E, lambda _k, _m: (0x21, 0, 0, 0)), "driver", "medium"),
    "119-scheduler": FamilyRow("graphics", on_stack(0x119, lambda _k, _m: (2, 0, 0, 0)), "driver", "medium"),
    "124-memory": FamilyRow(
        "hardware",
        on_stack(0x124, _record(made.MEMORY, made.memory(0, 1, 2, 3, 3, 1 << 32)), blamed=None),
        "hardware",
        "high",
    ),
    "124-pcie": FamilyRow(
        "hardware",
        on_stack(0x124, _record(made.PCIE, made.pcie(0, 3, 4, 0, (1, 2), 1 << 14)), blamed=None),
        "hardware",
        "high",
    ),
    "9c-bank": FamilyRow(
        "hardware", on_stack(0x9C, lambda _k, _m: (4, 0, 0xB200_0000, 0x400), blamed=None), "hardware", "medium"
    ),
    "124-memory-2": FamilyRow(
        "hardware",
        on_stack(0x124, _record(made.MEMORY_2, made.memory_2(0, 2, 7, 1, 3, 1 << 32)), blamed=None),
        "hardware",
        "high",
    ),
    "124-pci-bus": FamilyRow(
        "hardware", on_stack(0x124, _record(made.PCI_BUS, made.pci_bus(0, 5, 6, 1)), blamed=None), "hardware", "high"
    ),
    "124-nmi": FamilyRow(
        "hardware", on_stack(0x124, _record(made.NMI, made.nmi(0)), blamed=None), "hardware", "medium"
    ),
    "12-trap": FamilyRow("hardware", on_stack(0x12, lambda _k, _m: (1, 0x60, 0, 0), blamed=None), "hardware", "medium"),
    "77-stack": FamilyRow(
        "storage",
        on_stack(0x77, lambda _k, _m: (signed(0xC000_000E), signed(0xC000_000E), 0, 0x1000), blamed=None),
        "hardware",
        "medium",
    ),
    "7a-memory": FamilyRow(
        "storage", on_stack(0x7A, lambda k, _m: (1, signed(0xC000_009A), 0, _wild(k))), "driver", "low"
    ),
    "154-disk": FamilyRow(
        "storage",
        on_stack(0x154, lambda k, m: (_wild(k), exception_record(k, 0xC000_0006, m.address), 0, 0), blamed=None),
        "hardware",
        "medium",
    ),
    "24-filter": FamilyRow("storage", on_stack(0x24, lambda _k, _m: (0x19_04FB, 0, 0, 0)), "driver", "medium"),
    "144-client": FamilyRow(
        "usb", off_stack(0x144, lambda k, m: (1, _irp_to(k, m), 0, m.devices[1])), "driver", "medium"
    ),
    "fe-pending": FamilyRow("usb", off_stack(0xFE, lambda k, m: (4, _irp_to(k, m), 0, 0)), "driver", "medium"),
    "144-controller": FamilyRow("usb", on_stack(0x144, lambda k, _m: (0x1001, _wild(k), 0, 0)), "driver", "low"),
    "ef-process": FamilyRow(
        "processes", on_stack(0xEF, lambda k, _m: (_ended(k), 0, 0, 0), blamed="csrss.exe"), "process", "medium"
    ),
    "f4-name": FamilyRow("processes", on_stack(0xF4, _f4, blamed="wininit.exe"), "process", "medium"),
    "f4-disk": FamilyRow(
        "processes", on_stack(0xF4, lambda k, _m: (3, _ended(k, 0xC000_0006), 0, 0), blamed=None), "hardware", "medium"
    ),
    "f4-killed": FamilyRow(
        "processes", on_stack(0xF4, lambda k, _m: (3, _ended(k, 1), 0, 0), blamed="csrss.exe"), "process", "medium"
    ),
    "c000021a": FamilyRow(
        "processes",
        on_stack(0xC000_021A, lambda k, _m: (bytes_at(k, b"Windows Subsystem\0"), 1, 0, 0), blamed=None),
        None,
        "none",
    ),
    "1c8-button": FamilyRow("manual", on_stack(0x1C8, lambda _k, _m: (8000, 0, 0, 0), blamed=None), None, "none"),
    "deaddead": FamilyRow("manual", on_stack(0xDEAD_DEAD, lambda _k, _m: (0, 0, 0, 0), blamed=None), None, "none"),
    "161-live": FamilyRow("manual", on_stack(0x161, lambda _k, _m: (0, 0, 0, 0), blamed=None), None, "none"),
    "e2-lock": FamilyRow("manual", of_lock(0xE2, lambda _k, _m, _lock: (0, 0, 0, 0)), "driver", "high"),
    "e2-dpc": FamilyRow("manual", in_dpc(0xE2, lambda _k, _m: (0, 0, 0, 0), ticks=900), "driver", "high"),
    "e2-short-dpc": FamilyRow("manual", in_dpc(0xE2, lambda _k, _m: (0, 0, 0, 0), ticks=1, blamed=False), None, "none"),
    "15e-live": FamilyRow("misuse", off_stack(0x15E, lambda _k, m: (1, 0, m.devices[0], 71)), "driver", "medium"),
}
