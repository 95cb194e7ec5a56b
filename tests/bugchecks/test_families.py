"""Each family: where it looks, whom it names, and what it does not say."""

from pathlib import Path

import pytest

import analysis.bugchecks
from analysis.address import VirtAddr
from analysis.bugchecks import FAMILIES, explain
from analysis.bugchecks.explained import Explained, FocusKind, Stop
from analysis.bugchecks.tables import all_codes
from analysis.formats.image import ExceptionRecord
from analysis.kernel.facts import Process, Thread
from tests.bugchecks.views import FakeView, module, request

# Files of the package that hold no family.
OTHERS = {
    "building",
    "deferred",
    "verifier_checks",
    "verifier_parameters",
    "explained",
    "faulting",
    "pool_tags",
    "resolve",
    "status",
    "tables",
    "view",
    "__init__",
}
DRIVER = module("acme.sys", 0xFFFF_F800_2000_0000)
THREAD = 0xFFFF_8000_0000_1000


def test_every_file_of_a_family_is_in_the_table() -> None:
    files = {file.stem for file in Path(analysis.bugchecks.__path__[0]).glob("*.py")} - OTHERS
    assert {family.name for family in FAMILIES} == files


def test_no_code_is_in_two_families() -> None:
    codes = [code for family in FAMILIES for code in family.codes]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("code", all_codes())
def test_every_code_is_explained_whatever_its_parameters(code: int) -> None:
    for parameters in ((0, 0, 0, 0), (2**64 - 1,) * 4, (4, 300, THREAD, 1)):
        one = explain(FakeView(code, parameters))
        assert one.name
        assert one.explanation.endswith(".")
        assert len(one.parameters) == 4


def test_the_small_dump_spelling_keeps_its_raw_code() -> None:
    one = explain(FakeView(0x1000007E, (0xFFFF_FFFF_C000_0005, DRIVER.base + 0x10, 0, THREAD), (DRIVER,)))
    assert (one.code, one.raw_code, one.name) == (0x7E, 0x1000007E, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED")
    assert one.focus.kind is FocusKind.CONTEXT
    assert one.focus.address == THREAD
    assert one.parameters[0].resolved == "STATUS_ACCESS_VIOLATION: memory was accessed that must not be"
    assert one.parameters[1].resolved == "acme+0x10"
    assert [hint.module for hint in one.hints] == ["acme.sys"]


def test_the_pnp_lock_holder_is_the_focus_of_9f_4() -> None:
    thread = Thread(VirtAddr(THREAD), VirtAddr(1), "System", 4, 232, "Waiting")
    one = explain(FakeView(0x9F, (4, 300, THREAD, 0xFFFF_8000_0000_9000), threads={THREAD: thread}))
    assert (one.stop, one.focus.kind, one.focus.address) == (Stop.HANG, FocusKind.THREAD, THREAD)
    assert one.timeout_seconds == 300
    assert one.parameters[2].resolved == "System (process 4), thread 232, Waiting"
    assert any("0xffff800000009000" in line for line in one.cannot_tell)


def test_9f_3_names_the_holder_of_the_request_before_the_bus() -> None:
    irps = {0x1000: request(0x1000, 0x16, 2, "acme.sys")}
    one = explain(FakeView(0x9F, (3, 0x500, 0x600, 0x1000), irps=irps, devices={0x500: "pci.sys"}))
    assert one.stop is Stop.REQUEST
    assert [hint.module for hint in one.hints] == ["acme.sys", "pci.sys"]
    assert one.parameters[3].resolved == "IRP_MJ_POWER IRP_MN_SET_POWER, now in acme.sys"
    assert one.focus.kind is FocusKind.NONE


def test_9f_3_without_the_request_says_that_it_is_missing() -> None:
    one = explain(FakeView(0x9F, (3, 0x500, 0x600, 0x1000)))
    assert not one.hints
    assert any("0x1000" in line for line in one.cannot_tell)


@pytest.mark.parametrize("first", [1, 2, 5, 6, 0x500, 0x77])
def test_the_other_subcases_of_9f_do_not_pretend_to_hold_a_lock(first: int) -> None:
    one = explain(FakeView(0x9F, (first, 1, 2, 3)))
    assert one.timeout_seconds is None
    assert "lock" not in one.explanation.lower().replace("block", "")


@pytest.mark.parametrize("code", [0xE2, 0x161, 0x1C8, 0xDEADDEAD])
def test_a_stop_on_purpose_never_reads_the_stack_of_the_stop(code: int) -> None:
    one = explain(FakeView(code, (0x1F40, 0, 0, 0)))
    assert (one.stop, one.focus.kind) == (Stop.DELIBERATE, FocusKind.NONE)


def test_the_power_button_says_how_long_it_was_held() -> None:
    assert "for 8 s" in explain(FakeView(0x1C8, (8000, 0, 0, 0))).explanation


def test_live_dumps_and_captures_are_told_apart_from_crashes() -> None:
    def live(code: int) -> Explained:
        return explain(FakeView(code))

    assert live(0x161).live
    assert live(0x15F).live
    assert live(0x4D415454).live
    assert "MATT" in live(0x4D415454).explanation
    filler = live(int.from_bytes(b"PAGE", "little"))
    assert filler.live
    assert "No bugcheck code was ever written" in filler.explanation
    assert not live(0xE2).live
    assert not live(0x9F).live


def test_code_in_an_unloaded_driver_names_it() -> None:
    gone = module("gone.sys", 0xFFFF_F800_3000_0000, unloaded=True)
    one = explain(FakeView(0xCE, (gone.base + 0x44, 8, gone.base + 0x44, 0), (gone,)))
    assert {hint.module for hint in one.hints} == {"gone.sys"}
    assert all(hint.decisive for hint in one.hints)


def test_the_driver_that_the_kernel_named_is_decisive() -> None:
    one = explain(FakeView(0x50, (1, 0, 2, 0), broken_driver="Acme.sys"))
    assert [(hint.module, hint.decisive) for hint in one.hints] == [("acme.sys", True)]


def test_one_flipped_bit_in_a_page_table_is_memory() -> None:
    one = explain(FakeView(0x1A, (0x41792, THREAD, 1 << 45, 0)))
    assert one.blamed is not None
    assert one.blamed.kind == "memory"
    assert explain(FakeView(0x1A, (0x41792, THREAD, 3 << 45, 0))).blamed is None


def test_pool_damage_caps_the_confidence() -> None:
    assert [cap.level for cap in explain(FakeView(0xC5)).caps] == ["low"]
    assert [cap.level for cap in explain(FakeView(0x19, (0x22, 0, 0, 0))).caps] == ["medium"]


def test_a_failed_read_from_disk_is_storage() -> None:
    one = explain(FakeView(0x7A, (4, 0xC000_009D, 0, 0)))
    assert one.stop is Stop.STORAGE
    assert one.blamed is not None
    assert one.blamed.kind == "hardware"


def test_a_critical_process_is_named() -> None:
    process = Process(VirtAddr(0x1000), 600, "csrss.exe")
    one = explain(FakeView(0xEF, (0x1000, 0, 0, 0), processes={0x1000: process}))
    assert one.blamed is not None
    assert (one.blamed.kind, one.blamed.name) == ("process", "csrss.exe")


def test_an_exception_of_reading_from_disk_is_no_drivers_fault() -> None:
    assert explain(FakeView(0x7E, (0xC000_0006, 0, 0, 0))).stop is Stop.STORAGE


@pytest.mark.parametrize(
    ("parameters", "deed"),
    [
        ((0, 0x10), "raised STATUS_ACCESS_VIOLATION reading from 0x10 (close to zero: a null pointer)"),
        ((1, 0xFFFF_8000_1234_0000), "raised STATUS_ACCESS_VIOLATION writing to 0xffff800012340000"),
        ((0, 2**64 - 1), "raised STATUS_ACCESS_VIOLATION reading from an address that cannot exist (not canonical)"),
        ((), "raised STATUS_ACCESS_VIOLATION"),
    ],
)
def test_an_access_violation_says_what_was_accessed(parameters: tuple[int, ...], deed: str) -> None:
    record = ExceptionRecord(0xC000_0005, 0, DRIVER.base, parameters)
    one = explain(FakeView(0x7E, (0xFFFF_FFFF_C000_0005, DRIVER.base, THREAD, 0), exceptions={THREAD: record}))
    assert one.deed == deed


def test_the_record_of_another_exception_is_not_believed() -> None:
    record = ExceptionRecord(0x8000_0003, 0, DRIVER.base, (0, 0x10))
    one = explain(FakeView(0x3B, (0xC000_0005, DRIVER.base, 0, 0), exceptions={0: record}))
    assert one.deed == "raised STATUS_ACCESS_VIOLATION"


def test_an_empty_queue_is_not_called_undecoded() -> None:
    one = explain(FakeView(0x9F, (4, 300, THREAD, 0xFFFF_8000_0000_2000)))
    assert [line for line in one.cannot_tell if "parameter 4" in line and "names nothing" in line]
    assert not [line for line in one.cannot_tell if "not decoded" in line]
