"""Hardware error records: what processor, memory and PCI Express reported, as WHEA keeps it.

Layout: UEFI Specification, appendix N "Common Platform Error Record" (record header, section descriptors, processor,
memory and PCI Express sections); the machine-check section is WHEA_XPF_MCA_SECTION of ntddk.h. A record says how long
it and its sections are: both are held against what was read.
"""

import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from analysis.address import is_kernel
from analysis.errors import Unreadable
from analysis.kernel.machine_checks import read_status
from analysis.memory.reader import Memory

SIGNATURE, SIGNATURE_END = b"CPER", 0xFFFF_FFFF
HEADER_SIZE, DESCRIPTOR_SIZE = 128, 72
MAX_SECTIONS = 64
MAX_RECORD = 0x1_0000  # bytes; the largest seen in practice are a few kilobytes

PROCESSOR = uuid.UUID("9876ccad-47b4-4bdb-b65e-16f193c4f3db")
PROCESSOR_X64 = uuid.UUID("dc3ea0b0-a144-4797-b95b-53fa242b6e1d")
MACHINE_CHECK = uuid.UUID("8a1e1d01-42f9-4557-9c33-565e5cc3f7e8")
MEMORY = uuid.UUID("a5bc1114-6f64-4ede-b863-3e83ed7c83b1")
PCIE = uuid.UUID("d995e954-bbc1-430f-ad91-b44dcb3c6f35")
OTHER_SECTIONS = {
    uuid.UUID("61ec04fc-48e6-d813-25c9-8daa44750b12"): "memory (second form)",
    uuid.UUID("e71254e7-c1b9-4940-ab76-909703a4320f"): "non-maskable interrupt",
    uuid.UUID("c5753963-3b84-4095-bf78-eddad3f9c9dd"): "PCI bus",
    uuid.UUID("eb5e4685-ca66-4769-b6a2-26068b001326"): "PCI device",
    uuid.UUID("81212a96-09ed-4996-9471-8d729c8e69ed"): "firmware",
}

SEVERITIES = ("recoverable", "fatal", "corrected", "informational")
PROCESSOR_ERRORS = {1: "cache", 2: "address translation buffer", 4: "bus", 8: "micro-architectural"}
OPERATIONS = {1: "while reading data", 2: "while writing data", 3: "while executing an instruction"}
MEMORY_ERRORS = {
    2: "single-bit ECC error", 3: "multi-bit ECC error", 4: "single-symbol ChipKill ECC error",
    5: "multi-symbol ChipKill ECC error", 6: "master abort", 7: "target abort", 8: "parity error",
    9: "watchdog timeout", 10: "invalid address", 11: "broken mirror", 12: "memory sparing",
    13: "corrected error found by scrubbing", 14: "uncorrected error found by scrubbing", 15: "memory mapped out",
}  # fmt: skip
# Where in the memory: validation bit, offset of a 16-bit number, name.
MEMORY_PLACES = (
    (3, 32, "node"), (4, 34, "card"), (5, 36, "module"), (6, 38, "bank"), (7, 40, "device"), (8, 42, "row"),
    (9, 44, "column"), (10, 46, "bit"), (15, 74, "rank"),
)  # fmt: skip
PORT_TYPES = {
    0: "endpoint", 1: "legacy endpoint", 4: "root port", 5: "upstream switch port", 6: "downstream switch port",
    7: "bridge to PCI", 8: "bridge from PCI", 9: "endpoint in the root complex", 10: "event collector",
}  # fmt: skip
# PCI Express Base Specification, "Uncorrectable Error Status Register" of the advanced error reporting capability.
UNCORRECTABLE = {
    4: "data link protocol error", 5: "surprise link down", 12: "poisoned packet", 13: "flow control protocol error",
    14: "completion timeout", 15: "completer abort", 16: "unexpected completion", 17: "receiver overflow",
    18: "malformed packet", 19: "ECRC error", 20: "unsupported request", 21: "access control violation",
    22: "uncorrectable internal error",
}  # fmt: skip
VENDORS = {1: "Intel", 2: "AMD"}


@dataclass(frozen=True, slots=True)
class HardwareError:
    """A hardware error record in words.

    ``kind`` is processor, memory, pcie or other; ``what`` a phrase naming the part that failed; ``facts`` sentences
    with all that the record says; ``unread`` names its sections that are not decoded.
    """

    kind: str
    what: str
    severity: str
    facts: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Section:
    kind: str
    what: str
    fact: str


def read_record(memory: Memory, address: int) -> HardwareError | None:
    """The WHEA_ERROR_RECORD at ``address``; None where none can be read there."""
    if not is_kernel(address):
        return None
    try:
        header = memory.read(address, HEADER_SIZE)
        length = struct.unpack_from("<I", header, 20)[0]
        if not HEADER_SIZE <= length <= MAX_RECORD:
            return None
    except Unreadable:
        return None
    return parse_record(memory.read_available(address, length))


def parse_record(raw: bytes) -> HardwareError | None:
    """A record from its bytes, also one of which the end is missing; None where it is no such record."""
    if len(raw) < HEADER_SIZE or raw[:4] != SIGNATURE or struct.unpack_from("<I", raw, 6)[0] != SIGNATURE_END:
        return None
    count, severity = struct.unpack_from("<HI", raw, 10)
    told: list[_Section] = []
    unread: list[str] = []
    for kind, fru, body in _sections(raw, count):
        read = READERS.get(kind)
        found = read(body) if read is not None else None
        if found is None:
            unread.append(OTHER_SECTIONS.get(kind, f"section {kind}"))
            continue
        told.append(_Section(found.kind, found.what, f"{found.fact}{f', part {fru!r}' if fru else ''}"))
    worst = SEVERITIES[severity] if severity < len(SEVERITIES) else f"severity {severity}"
    # The machine-check section names the bank and is more exact than the generic one before it.
    best = max(told, key=lambda one: (one.kind != "processor", "bank" in one.what), default=None)
    if best is None:
        return HardwareError("other", "hardware that the record does not describe", worst, (), tuple(unread))
    return HardwareError(best.kind, best.what, worst, tuple(one.fact for one in told), tuple(unread))


def _sections(raw: bytes, count: int) -> Iterator[tuple[uuid.UUID, str, bytes]]:
    for number in range(min(count, MAX_SECTIONS)):
        at = HEADER_SIZE + number * DESCRIPTOR_SIZE
        if at + DESCRIPTOR_SIZE > len(raw):
            return
        offset, length = struct.unpack_from("<II", raw, at)
        kind = uuid.UUID(bytes_le=raw[at + 16 : at + 32])
        fru = raw[at + 52 : at + 72].split(b"\0")[0] if raw[at + 10] & 2 else b""
        text = fru.decode("ascii", "replace").strip() if fru.isascii() else ""
        yield kind, text if text.isprintable() else "", raw[offset : offset + length]


def _processor(body: bytes) -> _Section | None:
    if len(body) < 192:
        return None
    valid, _, _, error, operation = struct.unpack_from("<QBBBB", body)
    what = PROCESSOR_ERRORS.get(error, "processor") if valid & 1 << 2 else "processor"
    how = f" {OPERATIONS[operation]}" if valid & 1 << 3 and operation in OPERATIONS else ""
    number = struct.unpack_from("<Q", body, 152)[0] if valid & 1 << 8 else None
    which = f"the processor with APIC id {number}" if number is not None else "a processor"
    fact = f"{which} reported a {what} error{how}"
    if valid & 1 << 12:
        fact += f" at instruction {struct.unpack_from('<Q', body, 184)[0]:#x}"
    return _Section("processor", which, fact)


def _processor_x64(body: bytes) -> _Section | None:
    if len(body) < 64 or not body[0] & 1:
        return None
    number = struct.unpack_from("<Q", body, 8)[0]
    return _Section("processor", f"the processor with APIC id {number}", f"the local APIC id is {number}")


def _machine_check(body: bytes) -> _Section | None:
    if len(body) < 0x48:
        return None
    _, vendor = struct.unpack_from("<II", body)
    number, bank = struct.unpack_from("<I", body, 0x10)[0], struct.unpack_from("<I", body, 0x24)[0]
    value, address = struct.unpack_from("<QQ", body, 0x28)
    apic = struct.unpack_from("<I", body, 0x44)[0]
    status = read_status(value)
    maker = f"{VENDORS[vendor]} " if vendor in VENDORS else ""
    # Before Windows 10 the member behind the register count was reserved and zero.
    named = f"{maker}processor {number}" + (f" (APIC id {apic})" if apic else "")
    what = f"{named}, bank {bank}"
    fact = f"{what} reported {status.what} (MCi_STATUS {value:#x}{_severity(status.uncorrected)})"
    if value & 1 << 58:
        fact += f" at physical address {address:#x}"
    if status.overflow:
        fact += "; more errors followed that were not kept"
    kind = "memory" if status.kind == "memory" else "processor"
    return _Section(kind, f"memory behind {what}" if kind == "memory" else what, fact)


def _severity(uncorrected: bool) -> str:
    return ", uncorrected" if uncorrected else ", corrected"


def _memory(body: bytes) -> _Section | None:
    if len(body) < 73:
        return None
    valid = struct.unpack_from("<Q", body)[0]
    places = [
        f"{name} {struct.unpack_from('<H', body, at)[0]}"
        for bit, at, name in MEMORY_PLACES
        if valid & 1 << bit and at + 2 <= len(body)
    ]
    # Who changes memory modules wants socket, slot and rank; row, column and bit are for the evidence.
    slot = [one for one in places if one.split()[0] in ("node", "card", "module", "rank")]
    where = f" ({', '.join(slot)})" if slot else ""
    kind = MEMORY_ERRORS.get(body[72], "error") if valid & 1 << 14 else "error"
    fact = f"memory reported a {kind}" + (f" in {', '.join(places)}" if places else "")
    if valid & 1 << 1:
        fact += f" at physical address {struct.unpack_from('<Q', body, 16)[0]:#x}"
    return _Section("memory", f"a memory module{where}", fact)


def _pcie(body: bytes) -> _Section | None:
    if len(body) < 40:
        return None
    valid = struct.unpack_from("<Q", body)[0]
    port = PORT_TYPES.get(struct.unpack_from("<I", body, 8)[0], "device") if valid & 1 else "device"
    if not valid & 1 << 3:
        return _Section("pcie", f"a PCI Express {port}", f"a PCI Express {port} that the record does not name failed")
    vendor, device, _, function, number, segment, bus = struct.unpack_from("<HH3sBBHB", body, 24)
    place = f"{segment:04x}:{bus:02x}:{number:02x}.{function:x}"
    what = f"the PCI Express {port} at {place} (VEN_{vendor:04X}&DEV_{device:04X})"
    found: list[str] = []
    if valid & 1 << 7 and len(body) >= 120:
        status = struct.unpack_from("<I", body, 116)[0]
        found = [text for bit, text in UNCORRECTABLE.items() if status & 1 << bit]
    return _Section("pcie", what, f"{what} reported {', '.join(found) or 'an error'}")


READERS: dict[uuid.UUID, Callable[[bytes], _Section | None]] = {
    PROCESSOR: _processor,
    PROCESSOR_X64: _processor_x64,
    MACHINE_CHECK: _machine_check,
    MEMORY: _memory,
    PCIE: _pcie,
}
