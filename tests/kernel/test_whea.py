"""Hardware error records: what is said of each section, and of records that are cut, wild or none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.kernel.machine_checks import read_status
from analysis.kernel.whea import HEADER_SIZE, parse_record, read_record
from tests.kernel import error_records as made
from tests.symbols.flat import FlatMemory

AT = 0xFFFF_8000_0000_1000
UNCORRECTED = 1 << 63 | 1 << 61 | 1 << 60
MACHINE = made.machine_check(3, 5, UNCORRECTED | 0x0135, 6)


@pytest.mark.parametrize(
    ("code", "what", "kind"),
    [
        (0x0005, "a parity error inside the processor", "processor"),
        (0x0400, "an internal timer that ran out", "processor"),
        (0x0135, "an error in a data cache, level 1 (data read)", "processor"),
        (0x1135, "an error in a data cache, level 1 (data read)", "processor"),
        (0x0151, "an error in an instruction cache, level 1 (instruction fetch)", "processor"),
        (0x0019, "an error in an address translation buffer (generic, level 1)", "processor"),
        (0x009F, "an error of the memory controller on a memory channel that is not named (read)", "memory"),
        (0x0092, "an error of the memory controller on memory channel 2 (read)", "memory"),
        (0x0E0B, "an input/output error", "processor"),
        (0x0800, "an error on the bus or interconnect (as the source)", "processor"),
        (0x2000, "the machine-check code 0x2000", "processor"),
    ],
)
def test_machine_check_codes_in_words(code: int, what: str, kind: str) -> None:
    status = read_status(UNCORRECTED | code)
    assert (status.what, status.kind) == (what, kind)
    assert status.valid
    assert status.uncorrected


def test_a_processor_is_named_by_number_apic_id_and_bank() -> None:
    raw = made.record((made.PROCESSOR, made.processor(6)), (made.MACHINE_CHECK, MACHINE))
    found = parse_record(raw)
    assert found is not None
    assert (found.kind, found.severity) == ("processor", "fatal")
    assert found.what == "Intel processor 3 (APIC id 6), bank 5"
    assert found.facts[0] == "the processor with APIC id 6 reported a cache error while reading data"
    assert "an error in a data cache" in found.facts[1]


def test_memory_is_named_by_node_card_module_and_rank() -> None:
    raw = made.record((made.MEMORY, made.memory(1, 0, 2, 1, 3, 0x1_2345_6000)), fru="DIMM_B2")
    found = parse_record(raw)
    assert found is not None
    assert found.kind == "memory"
    assert found.what == "a memory module (node 1, card 0, module 2, rank 1)"
    assert "multi-bit ECC error" in found.facts[0]
    assert "0x123456000" in found.facts[0]
    assert "DIMM_B2" in found.facts[0]


def test_a_memory_controller_error_in_a_bank_is_memory() -> None:
    body = made.machine_check(0, 7, UNCORRECTED | 0x0091, 0)
    found = parse_record(made.record((made.MACHINE_CHECK, body)))
    assert found is not None
    assert found.kind == "memory"
    assert found.what == "memory behind Intel processor 0, bank 7"


def test_a_pci_express_device_is_named_by_bus_device_function() -> None:
    raw = made.record((made.PCIE, made.pcie(0, 0x3, 0x1C, 4, (0x10DE, 0x2204), 1 << 14 | 1 << 18)))
    found = parse_record(raw)
    assert found is not None
    assert found.kind == "pcie"
    assert found.what == "the PCI Express endpoint at 0000:03:1c.4 (VEN_10DE&DEV_2204)"
    assert "completion timeout, malformed packet" in found.facts[0]


@pytest.mark.parametrize(
    ("section", "kind", "what", "fact"),
    [
        (
            (made.MEMORY_2, made.memory_2(1, 4, 0x2_1234, 3, 3, 0x7_0000)),
            "memory",
            "a memory module (node 1, module 4, rank 3)",
            "memory reported a multi-bit ECC error in node 1, module 4, row 135732, rank 3 at physical address 0x70000",
        ),
        (
            (made.PCI_BUS, made.pci_bus(0, 5, 6, 0xFEE0_0000)),
            "pcie",
            "PCI bus 0000:05",
            "PCI bus 0000:05 reported an address parity error at bus address 0xfee00000",
        ),
        (
            (made.PCI_DEVICE, made.pci_device(2, 0x1F, 3, (0x8086, 0x2934), 22 << 8 | 1 << 18 | 1 << 20)),
            "pcie",
            "the PCI device at 0000:02:1f.3 (VEN_8086&DEV_2934)",
            "reported a parity error on the data lines, seen by who asked",
        ),
        (
            (made.DMA, made.dma(4, 0x1D, 1, 6, 0x1000)),
            "pcie",
            "the PCI Express device at 0000:04:1d.1",
            "stopped writing to 0x1000 by the DMA remapping hardware: it may not read or write there",
        ),
        (
            (made.NMI, made.nmi(0)),
            "nmi",
            "a non-maskable interrupt from hardware, firmware or a management controller",
            "(its data: 00 01 02 03 04 05 06 07)",
        ),
        ((made.NMI, made.nmi(1)), "nmi", "a non-maskable interrupt from the hypervisor", "the hypervisor raised"),
        ((made.FIRMWARE, made.firmware(2, 0x77)), "firmware", "the firmware", "(type 2, record 0x77)"),
        (
            (made.ARM, made.arm(0x8000_0100, 0xABC000)),
            "processor",
            "the processor with MPIDR 0x80000100",
            "reported an error at physical address 0xabc000",
        ),
    ],
)
def test_each_section_names_its_part(section: tuple[str, bytes], kind: str, what: str, fact: str) -> None:
    found = parse_record(made.record(section))
    assert found is not None
    assert (found.kind, found.what, found.unread) == (kind, what, ())
    assert fact in found.facts[0]
    for end in range(len(section[1])):
        cut = parse_record(made.record((section[0], section[1][:end])))
        assert cut is not None


@pytest.mark.parametrize(
    ("body", "socket"),
    [
        (made.x64(0x12, 16), ", socket 1"),  # sixteen ids a package: the second one
        (made.x64(0x12, 12), ", socket 1"),  # twelve need as many bits as sixteen
        (made.x64(0x12, 16, own=0x13), ""),  # CPUID is another processor's
        (made.x64(0x12, 16, family=15), ""),  # AMD numbers otherwise
        (made.x64(0x12, 0), ""),
    ],
)
def test_the_socket_is_told_where_cpuid_agrees(body: bytes, socket: str) -> None:
    found = parse_record(made.record((made.PROCESSOR_X64, body), (made.MACHINE_CHECK, MACHINE)))
    assert found is not None
    assert found.what == f"Intel processor 3 (APIC id 6), bank 5{socket}"


def test_the_fatal_section_is_what_failed() -> None:
    device = (made.PCIE, made.pcie(0, 3, 0, 0, (1, 2), 1 << 14))
    module = (made.MEMORY, made.memory(0, 1, 2, 3, 3, 0))
    kinds = [
        found.kind
        for each in ((1, 2), (2, 1), (0, 3), (9, 3), (0, 1))
        if (found := parse_record(made.record(device, module, each=each))) is not None
    ]
    assert kinds == ["pcie", "memory", "pcie", "memory", "memory"]


def test_rows_beyond_16_bits_and_banks_in_groups_are_put_together() -> None:
    body = bytearray(made.memory(1, 0, 2, 1, 3, 0).ljust(80, b"\0"))
    struct.pack_into("<Q", body, 0, 1 << 8 | 1 << 18 | 1 << 19)
    struct.pack_into("<H", body, 38, 3 << 8 | 2)
    struct.pack_into("<H", body, 42, 0x1234)
    body[73] = 0b10
    found = parse_record(made.record((made.MEMORY, bytes(body))))
    assert found is not None
    assert found.facts == (f"memory reported an error in row {0x2_1234}, bank group 3, bank 2",)


def test_sections_that_are_not_known_are_named_as_unread() -> None:
    found = parse_record(made.record((made.UNKNOWN, b"abc")))
    assert found is not None
    assert (found.kind, found.facts) == ("other", ())
    assert found.unread == (f"type {made.UNKNOWN}",)


def test_a_record_is_read_from_memory_only_where_one_is() -> None:
    raw = made.record((made.MACHINE_CHECK, MACHINE))
    memory = FlatMemory({AT: raw, AT + 0x2000: bytes(0x200), AT + 0x4000: raw[:HEADER_SIZE]})
    assert read_record(memory, AT) is not None
    assert read_record(memory, AT + 0x2000) is None
    assert read_record(memory, AT + 0x9000) is None
    assert read_record(memory, 0x1000) is None
    cut = read_record(memory, AT + 0x4000)
    assert cut is not None
    assert cut.facts == ()


def test_a_record_cut_at_every_byte_never_raises() -> None:
    raw = made.record(
        (made.PROCESSOR, made.processor(6)),
        (made.MACHINE_CHECK, MACHINE),
        (made.MEMORY, made.memory(0, 1, 2, 3, 2, 4)),
        (made.PCIE, made.pcie(0, 1, 2, 3, (4, 5), 6)),
    )
    for end in range(len(raw)):
        parse_record(raw[:end])


@given(st.binary(max_size=600), st.integers(0, 0xFFFF))
def test_wild_records_never_raise(body: bytes, count: int) -> None:
    raw = bytearray(made.record((made.MACHINE_CHECK, MACHINE)))
    raw[10:12] = count.to_bytes(2, "little")
    raw[HEADER_SIZE : HEADER_SIZE + len(body)] = body
    parse_record(bytes(raw))
