"""Builds hardware error records by the published layout (UEFI appendix N), independently of the reader."""

import struct
import uuid

PROCESSOR = "9876ccad-47b4-4bdb-b65e-16f193c4f3db"
PROCESSOR_X64 = "dc3ea0b0-a144-4797-b95b-53fa242b6e1d"
MACHINE_CHECK = "8a1e1d01-42f9-4557-9c33-565e5cc3f7e8"
MEMORY = "a5bc1114-6f64-4ede-b863-3e83ed7c83b1"
PCIE = "d995e954-bbc1-430f-ad91-b44dcb3c6f35"
ARM = "e19e3d16-bc11-11e4-9caa-c2051d5d46b0"
NMI = "e71254e7-c1b9-4940-ab76-909703a4320f"
MEMORY_2 = "61ec04fc-48e6-d813-25c9-8daa44750b12"
PCI_BUS = "c5753963-3b84-4095-bf78-eddad3f9c9dd"
PCI_DEVICE = "eb5e4685-ca66-4769-b6a2-26068b001326"
DMA = "5b51fef7-c79d-4434-8f1b-aa62de3e2c64"
FIRMWARE = "81212a96-09ed-4996-9471-8d729c8e69ed"
UNKNOWN = "00000000-1111-2222-3333-444444444444"
FATAL = 1


def record(*sections: tuple[str, bytes], severity: int = FATAL, fru: str = "", each: tuple[int, ...] = ()) -> bytes:
    """A whole record with these sections, each a type and its body; ``each`` their severities where they differ."""
    at = 128 + 72 * len(sections)
    descriptors, bodies = b"", b""
    for (kind, body), worth in zip(sections, each or (severity,) * len(sections), strict=True):
        descriptors += struct.pack("<IIHBBI", at + len(bodies), len(body), 0x300, 2 if fru else 0, 0, 1)
        descriptors += uuid.UUID(kind).bytes_le + bytes(16) + struct.pack("<I20s", worth, fru.encode())
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


def x64(apic: int, span: int, *, own: int | None = None, family: int = 6) -> bytes:
    """An x64 processor section with CPUID leaf 1: a package spans ``span`` APIC ids."""
    ebx = (apic if own is None else own) << 24 | span << 16
    return struct.pack("<QQQQQQ", 3, apic, family << 8, ebx, 0, 1 << 28).ljust(64, b"\0")


def arm(affinity: int, address: int) -> bytes:
    """An Arm processor section with one error at a physical address."""
    head = struct.pack("<IHHIB3xQQII", 1, 1, 0, 72, 0, affinity, 0, 0, 0)
    return head + struct.pack("<BBHBHBQQQ", 0, 32, 1 << 4, 0, 0, 0, 0, 0, address)


def nmi(flags: int) -> bytes:
    """A section of a non-maskable interrupt."""
    return bytes(range(8)) + struct.pack("<I", flags)


def memory_2(node: int, module: int, row: int, rank: int, error: int, address: int) -> bytes:
    """The second form of a memory section."""
    valid = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 10 | 1 << 13
    head = struct.pack("<QQQQHHHH", valid, 0, address, 0, node, 0, module, 0)
    return head + struct.pack("<IIIIIBBBB3QII", 0, row, 0, rank, 0, 0, error, 0, 0, 0, 0, 0, 0, 0)


def pci_bus(segment: int, bus: int, error: int, address: int) -> bytes:
    """A PCI bus section."""
    return struct.pack("<QQHBBIQ", 0b1110, 0, error, bus, segment, 0, address).ljust(72, b"\0")


def pci_device(bus: int, device: int, function: int, ids: tuple[int, int], status: int) -> bytes:
    """A PCI component section with its error status."""
    return struct.pack("<QQHH3sBBBBBIII", 3, status, *ids, b"\0\0\2", function, device, bus, 0, 0, 0, 0, 0)


def dma(bus: int, device: int, function: int, reason: int, address: int) -> bytes:
    """A generic section of the DMA remapping hardware: a write that was refused."""
    return struct.pack("<HHBBBBQ16x", bus << 8 | device << 3 | function, 0, reason, 1, 0, 1, address)


def firmware(kind: int, number: int) -> bytes:
    """A reference to a record that the firmware keeps."""
    return struct.pack("<BB6xQ16x", kind, 0, number)
