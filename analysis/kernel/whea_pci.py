"""What PCI Express, PCI and the guards of DMA wrote into a hardware error record, and errors of the firmware itself.

Layouts: UEFI Specification, appendix N.2.7 "PCI Express Error Section", N.2.8 "PCI/PCI-X Bus Error Section", N.2.9
"PCI/PCI-X Component Error Section", N.2.10 "Firmware Error Record Reference", N.2.11 "DMAr Error Sections".
"""

import struct
import uuid

from analysis.kernel.whea_section import Section, status_words

EXPRESS_SIZE, BUS_SIZE, COMPONENT_SIZE, FIRMWARE_SIZE, DMA_SIZE = 40, 72, 40, 16, 16
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
BUS_ERRORS = {
    1: "data parity error", 2: "system error", 3: "master abort", 4: "bus timeout or absent device",
    5: "data parity error of the master", 6: "address parity error", 7: "command parity error",
}  # fmt: skip
DMA_FAULTS = {
    1: "its translation table entry is not present", 2: "its translation table entry is invalid",
    3: "the translation table could not be read", 4: "a reserved bit is set in the translation table",
    5: "the address is beyond what may be translated", 6: "it may not read or write there",
    7: "the request itself is invalid", 8: "the table of address translation could not be read",
    9: "a reserved bit is set in the table of address translation", 10: "an invalid command",
    11: "the command buffer could not be read",
}  # fmt: skip


def place(segment: int, bus: int, device: int, function: int) -> str:
    """A PCI address as it is written everywhere: "0000:03:1c.4"."""
    return f"{segment:04x}:{bus:02x}:{device:02x}.{function:x}"


def read_express(body: bytes) -> Section | None:
    """A PCI Express device: address, ids, and the errors that its advanced error reporting lists."""
    if len(body) < EXPRESS_SIZE:
        return None
    valid = struct.unpack_from("<Q", body)[0]
    port = PORT_TYPES.get(struct.unpack_from("<I", body, 8)[0], "device") if valid & 1 else "device"
    if not valid & 1 << 3:
        return Section("pcie", f"a PCI Express {port}", f"a PCI Express {port} that the record does not name failed")
    vendor, device, _, function, number, segment, bus = struct.unpack_from("<HH3sBBHB", body, 24)
    what = f"the PCI Express {port} at {place(segment, bus, number, function)} (VEN_{vendor:04X}&DEV_{device:04X})"
    found: list[str] = []
    if valid & 1 << 7 and len(body) >= 120:
        status = struct.unpack_from("<I", body, 116)[0]
        found = [text for bit, text in UNCORRECTABLE.items() if status & 1 << bit]
    return Section("pcie", what, f"{what} reported {', '.join(found) or 'an error'}", exact=1)


def read_bus(body: bytes) -> Section | None:
    """A PCI or PCI-X bus: its number, the kind of error, the address on the bus."""
    if len(body) < BUS_SIZE:
        return None
    valid, status, kind, identity, _, address = struct.unpack_from("<QQHHIQ", body)
    what = f"PCI bus {identity >> 8:04x}:{identity & 0xFF:02x}" if valid & 1 << 2 else "a PCI bus"
    told = BUS_ERRORS.get(kind) if valid & 1 << 1 else None
    told = told or (status_words(status) if valid & 1 else None) or "error"
    fact = f"{what} reported a{'n' if told[0] in 'aeiou' else ''} {told}"
    if valid & 1 << 3:
        fact += f" at bus address {address:#x}"
    return Section("pcie", what, fact, exact=valid >> 2 & 1)


def read_component(body: bytes) -> Section | None:
    """A PCI or PCI-X device: address and ids, and its error status."""
    if len(body) < COMPONENT_SIZE:
        return None
    valid, status = struct.unpack_from("<QQ", body)
    what = "a PCI device"
    if valid & 1 << 1:
        vendor, device, _, function, number, bus, segment = struct.unpack_from("<HH3sBBBB", body, 16)
        what = f"the PCI device at {place(segment, bus, number, function)} (VEN_{vendor:04X}&DEV_{device:04X})"
    told = (status_words(status) if valid & 1 else None) or "error"
    fact = f"{what} reported a{'n' if told[0] in 'aeiou' else ''} {told}"
    return Section("pcie", what, fact, exact=valid >> 1 & 1)


def read_dma(body: bytes) -> Section | None:
    """A device whose access to memory was refused by the DMA remapping hardware."""
    if len(body) < DMA_SIZE:
        return None
    requester, segment, reason, access, _, _, address = struct.unpack_from("<HHBBBBQ", body)
    where = place(segment, requester >> 8, requester >> 3 & 0x1F, requester & 7)
    what = f"the PCI Express device at {where}"
    how = {0: "reading from", 1: "writing to"}.get(access, "accessing")
    why = DMA_FAULTS.get(reason)
    fact = f"{what} was stopped {how} {address:#x} by the DMA remapping hardware" + (f": {why}" if why else "")
    return Section("pcie", what, fact, exact=1)


def read_firmware(body: bytes) -> Section | None:
    """An error of the firmware itself: the record only refers to one that the firmware keeps."""
    if len(body) < FIRMWARE_SIZE:
        return None
    kind, revision, record = struct.unpack_from("<BB6xQ", body)
    where = f"record {uuid.UUID(bytes_le=body[16:32])}" if revision and len(body) >= 32 else f"record {record:#x}"
    return Section("firmware", "the firmware", f"the firmware reported an error of its own (type {kind}, {where})")
