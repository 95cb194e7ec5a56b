"""Builds hardware error records by the published layout (UEFI appendix N), independently of the reader."""

import struct
import uuid

PROCESSOR = "9876ccad-47b4-4bdb-b65e-16f193c4f3db"
PROCESSOR_X64 = "dc3ea0b0-a144-4797-b95b-53fa242b6e1d"
MACHINE_CHECK = "8a1e1d01-42f9-4557-9c33-565e5cc3f7e8"
MEMORY = "a5bc1114-6f64-4ede-b863-3e83ed7c83b1"
PCIE = "d995e954-bbc1-430f-ad91-b44dcb3c6f35"
UNKNOWN = "00000000-1111-2222-3333-444444444444"
FATAL = 1


def record(*sections: tuple[str, bytes], severity: int = FATAL, fru: str = "") -> bytes:
    """A whole record with these sections, each a type and its body."""
    at = 128 + 72 * len(sections)
    descriptors, bodies = b"", b""
    for kind, body in sections:
        descriptors += struct.pack("<IIHBBI", at + len(bodies), len(body), 0x300, 2 if fru else 0, 0, 1)
        descriptors += uuid.UUID(kind).bytes_le + bytes(16) + struct.pack("<I20s", severity, fru.encode())
        bodies += body
    size = at + len(bodies)
    header = struct.pack("<4sHIHIIIQ", b"CPER", 0x210, 0xFFFFFFFF, len(sections), severity, 0, size, 0)
    return header.ljust(128, b"\0") + descriptors + bodies


def processor(apic: int) -> bytes:
    """A generic processor section: a cache error while reading data."""
    fields = struct.pack("<QBBBBBBHQ", 1 << 2 | 1 << 3 | 1 << 8, 0, 2, 1, 1, 0, 2, 0, 0)
    return fields + bytes(128) + struct.pack("<QQQQQ", apic, 0, 0, 0, 0)


def machine_check(number: int, bank: int, status: int, apic: int, address: int = 0) -> bytes:
    """A machine-check section of an Intel processor, as packed as ntddk.h has it."""
    parts = struct.pack("<IIQIQQIQQQII", 2, 1, 0, number, 0, 0, bank, status, address, 0, 0, apic)
    return parts.ljust(0x110, b"\0")


def memory(node: int, card: int, module: int, rank: int, error: int, address: int) -> bytes:
    """A memory section with its place and physical address."""
    valid = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 14 | 1 << 15
    places = struct.pack("<8H", node, card, module, 0, 0, 0, 0, 0)
    return struct.pack("<QQQQ", valid, 0, address, 0) + places + bytes(24) + struct.pack("<BBHHH", error, 0, rank, 0, 0)


def pcie(segment: int, bus: int, device: int, function: int, ids: tuple[int, int], status: int) -> bytes:
    """A section of a PCI Express endpoint with its uncorrectable error status."""
    place = struct.pack("<HH3sBBHBBHB", *ids, b"\0\0\3", function, device, segment, bus, 0, 0, 0)
    head = struct.pack("<QIIII", 1 | 1 << 3 | 1 << 7, 0, 0x0301, 0, 0)
    return (head + place).ljust(116, b"\0") + struct.pack("<I", status).ljust(92, b"\0")
