"""What processors wrote into a hardware error record: generic, x64, Arm and machine-check sections, and interrupts
that cannot be masked.

Layouts: UEFI Specification, appendix N.2.4 "Processor Error Sections"; the machine-check and the interrupt section are
WHEA_XPF_MCA_SECTION and WHEA_NMI_ERROR_SECTION of ntddk.h.
"""

import struct

from analysis.kernel.machine_checks import read_status
from analysis.kernel.whea_section import Section

GENERIC_SIZE, X64_SIZE, ARM_SIZE, MACHINE_CHECK_SIZE, NMI_SIZE = 192, 64, 40, 0x48, 12
ARM_ERROR_SIZE = 32
MAX_ARM_ERRORS = 64
ERRORS = {1: "cache", 2: "address translation buffer", 4: "bus", 8: "micro-architectural"}
OPERATIONS = {1: "while reading data", 2: "while writing data", 3: "while executing an instruction"}
VENDORS = {1: "Intel", 2: "AMD"}
BRAND = slice(24, 152)
INTEL_FAMILY, HYPER_THREADING = 6, 1 << 28
HYPERVISOR = 1


def read_generic(body: bytes) -> Section | None:
    """The section that every architecture writes: kind of error, level, operation, processor, addresses."""
    if len(body) < GENERIC_SIZE:
        return None
    valid, _, _, error, operation, flags, level = struct.unpack_from("<QBBBBBB", body)
    number, target, _, _, instruction = struct.unpack_from("<5Q", body, 152)
    what = ERRORS.get(error, "processor") if valid & 1 << 2 else "processor"
    where = f" of level {level}" if valid & 1 << 5 and error in (1, 2) else ""
    how = f" {OPERATIONS[operation]}" if valid & 1 << 3 and operation in OPERATIONS else ""
    which = f"the processor with APIC id {number}" if valid & 1 << 8 else "a processor"
    fact = f"{which} reported a {what} error{where}{how}"
    if valid & 1 << 9:
        fact += f", for the physical address {target:#x}"
    if valid & 1 << 12:
        fact += f" at instruction {instruction:#x}"
    if valid & 1 << 4 and flags & 1 << 2:
        fact += "; more errors followed that were not kept"
    brand = body[BRAND].split(b"\0")[0].strip() if valid & 1 << 7 else b""
    if brand and brand.isascii() and brand.decode("ascii").isprintable():
        fact += f" ({brand.decode('ascii')})"
    return Section("processor", which, fact, exact=valid >> 8 & 1)


def read_x64(body: bytes) -> Section | None:
    """The x64 section: the APIC id, and the socket where CPUID tells it."""
    if len(body) < X64_SIZE or not body[0] & 1:
        return None
    valid, number = struct.unpack_from("<QQ", body)
    socket = _socket(number, body[16:64]) if valid & 2 else None
    told = f"the local APIC id is {number}" + (f", which is in socket {socket}" if socket is not None else "")
    return Section("processor", f"the processor with APIC id {number}", told, exact=1, socket=socket)


def read_arm(body: bytes) -> Section | None:
    """The Arm section: which processor by its affinity, and the first physical address that failed."""
    if len(body) < ARM_SIZE:
        return None
    valid, count = struct.unpack_from("<IH", body)
    affinity = struct.unpack_from("<Q", body, 16)[0]
    which = f"the processor with MPIDR {affinity:#x}" if valid & 1 else "a processor"
    fact = f"{which} reported an error"
    for number in range(min(count, MAX_ARM_ERRORS)):
        at = ARM_SIZE + number * ARM_ERROR_SIZE
        if at + ARM_ERROR_SIZE > len(body):
            break
        told, address = struct.unpack_from("<H", body, at + 2)[0], struct.unpack_from("<Q", body, at + 24)[0]
        if told & 1 << 4:
            fact += f" at physical address {address:#x}"
            break
    return Section("processor", which, fact, exact=valid & 1)


def read_machine_check(body: bytes) -> Section | None:
    """A machine check: processor, bank and the bank's status in words."""
    if len(body) < MACHINE_CHECK_SIZE:
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
    how = "uncorrected" if status.uncorrected else "corrected"
    fact = f"{what} reported {status.what} (MCi_STATUS {value:#x}, {how})"
    if value & 1 << 58:
        fact += f" at physical address {address:#x}"
    if status.overflow:
        fact += "; more errors followed that were not kept"
    memory = status.kind == "memory"
    return Section("memory" if memory else "processor", f"memory behind {what}" if memory else what, fact, exact=2)


def read_nmi(body: bytes) -> Section | None:
    """An interrupt that cannot be masked: hardware, a management controller's button, or the layer below Windows."""
    if len(body) < NMI_SIZE:
        return None
    flags = struct.unpack_from("<I", body, 8)[0]
    who = "the hypervisor" if flags & HYPERVISOR else "hardware, firmware or a management controller"
    fact = f"{who} raised a non-maskable interrupt (its data: {body[:8].hex(' ')})"
    return Section("nmi", f"a non-maskable interrupt from {who}", fact)


def _socket(number: int, cpuid: bytes) -> int | None:
    # CPUID leaf 1: EAX, EBX, ECX, EDX, each in 64 bits. EBX says how many APIC ids a package spans, and repeats the
    # processor's own: believed only where it is that of the section. Intel SDM vol. 3A, "Identifying topological
    # relationships"; AMD numbers its packages otherwise, so only Intel's family 6 is told.
    eax, ebx, _, edx = struct.unpack_from("<4Q", cpuid)
    own, span = ebx >> 24 & 0xFF, ebx >> 16 & 0xFF
    family = (eax >> 8 & 0xF) + (eax >> 20 & 0xFF)
    if max(eax, ebx, edx) > 0xFFFF_FFFF or family != INTEL_FAMILY or number > 0xFF or own != number:
        return None
    if not edx & HYPER_THREADING or not span:
        return None
    return int(number >> (span - 1).bit_length())
