"""Hardware error records: what processor, memory and PCI Express reported, as WHEA keeps it.

Layout: UEFI Specification, appendix N.2 "Error Record Format": record header and section descriptors; each kind of
section is read by a module of its own. A record says how long it and its sections are: both are held against what was
read.
"""

import struct
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from analysis.errors import Unreadable
from analysis.kernel import whea_memory, whea_pci, whea_processor
from analysis.kernel.whea_section import Section
from analysis.memory.reader import Memory

SIGNATURE, SIGNATURE_END = b"CPER", 0xFFFF_FFFF
HEADER_SIZE, DESCRIPTOR_SIZE = 128, 72
MAX_SECTIONS = 64
MAX_RECORD = 0x1_0000  # bytes; the largest seen in practice are a few kilobytes

Reader = Callable[[bytes], Section | None]
# What a section is called, and who reads it; None: it is named, not decoded.
SECTIONS: Mapping[uuid.UUID, tuple[str, Reader | None]] = MappingProxyType(
    {
        uuid.UUID("9876ccad-47b4-4bdb-b65e-16f193c4f3db"): ("processor", whea_processor.read_generic),
        uuid.UUID("dc3ea0b0-a144-4797-b95b-53fa242b6e1d"): ("x64 processor", whea_processor.read_x64),
        uuid.UUID("e19e3d16-bc11-11e4-9caa-c2051d5d46b0"): ("Arm processor", whea_processor.read_arm),
        uuid.UUID("8a1e1d01-42f9-4557-9c33-565e5cc3f7e8"): ("machine check", whea_processor.read_machine_check),
        uuid.UUID("e71254e7-c1b9-4940-ab76-909703a4320f"): ("non-maskable interrupt", whea_processor.read_nmi),
        uuid.UUID("a5bc1114-6f64-4ede-b863-3e83ed7c83b1"): ("memory", whea_memory.read_first),
        uuid.UUID("61ec04fc-48e6-d813-25c9-8daa44750b12"): ("memory (second form)", whea_memory.read_second),
        uuid.UUID("d995e954-bbc1-430f-ad91-b44dcb3c6f35"): ("PCI Express", whea_pci.read_express),
        uuid.UUID("c5753963-3b84-4095-bf78-eddad3f9c9dd"): ("PCI bus", whea_pci.read_bus),
        uuid.UUID("eb5e4685-ca66-4769-b6a2-26068b001326"): ("PCI device", whea_pci.read_component),
        uuid.UUID("5b51fef7-c79d-4434-8f1b-aa62de3e2c64"): ("DMA remapping", whea_pci.read_dma),
        uuid.UUID("81212a96-09ed-4996-9471-8d729c8e69ed"): ("firmware", whea_pci.read_firmware),
        uuid.UUID("71761d37-32b2-45cd-a7d0-b0fedd93e8cf"): ("DMA remapping of Intel", None),
        uuid.UUID("036f84e1-7f37-428c-a79e-575fdfaa84ec"): ("DMA remapping of AMD", None),
    }
)
SEVERITIES = ("recoverable", "fatal", "corrected", "informational")
WORST = (1, 0, 2, 3)  # a fatal section is what stopped the machine, whatever else the record tells


@dataclass(frozen=True, slots=True)
class HardwareError:
    """A hardware error record in words.

    ``kind`` is processor, memory, pcie, firmware, nmi or other; ``what`` a phrase naming the part that failed;
    ``facts`` sentences with all that the record says; ``unread`` names its sections that are not decoded.
    """

    kind: str
    what: str
    severity: str
    facts: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def read_record(memory: Memory, address: int) -> HardwareError | None:
    """The WHEA_ERROR_RECORD at ``address``; None where none can be read there."""
    if not memory.is_kernel(address):
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
    told: list[tuple[int, Section]] = []
    unread: list[str] = []
    for kind, weight, fru, body in _sections(raw, count):
        name, read = SECTIONS.get(kind, (f"type {kind}", None))
        found = read(body) if read is not None else None
        if found is None:
            unread.append(name)
            continue
        told.append((weight, replace(found, fact=f"{found.fact}{f', part {fru!r}' if fru else ''}")))
    worst = SEVERITIES[severity] if severity < len(SEVERITIES) else f"severity {severity}"
    if not told:
        return HardwareError("other", "hardware that the record does not describe", worst, (), tuple(unread))
    # The machine-check section names the bank and is more exact than the generic one before it.
    best = min(told, key=lambda one: (_rank(one[0]), one[1].kind == "processor", -one[1].exact))[1]
    socket = next((one.socket for _, one in told if one.socket is not None), None)
    what = f"{best.what}, socket {socket}" if best.kind == "processor" and socket is not None else best.what
    return HardwareError(best.kind, what, worst, tuple(one.fact for _, one in told), tuple(unread))


def _rank(severity: int) -> int:
    return WORST.index(severity) if severity in WORST else len(WORST)


def _sections(raw: bytes, count: int) -> Iterator[tuple[uuid.UUID, int, str, bytes]]:
    for number in range(min(count, MAX_SECTIONS)):
        at = HEADER_SIZE + number * DESCRIPTOR_SIZE
        if at + DESCRIPTOR_SIZE > len(raw):
            return
        offset, length = struct.unpack_from("<II", raw, at)
        kind = uuid.UUID(bytes_le=raw[at + 16 : at + 32])
        fru = raw[at + 52 : at + 72].split(b"\0")[0] if raw[at + 10] & 2 else b""
        text = fru.decode("ascii", "replace").strip() if fru.isascii() else ""
        severity = struct.unpack_from("<I", raw, at + 48)[0]
        yield kind, severity, text if text.isprintable() else "", raw[offset : offset + length]
