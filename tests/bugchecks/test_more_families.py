"""The families beyond faults and power: whom each names, what caps it, and what it advises."""

from dataclasses import replace

import pytest

from analysis.address import VirtAddr
from analysis.bugchecks import explain
from analysis.bugchecks.explained import FocusKind, Stop
from analysis.bugchecks.verifier_checks import CHECKS
from analysis.bugchecks.verifier_parameters import meanings_of
from analysis.kernel.dpcs import DpcState
from analysis.kernel.facts import Process, Thread
from analysis.kernel.whea import HardwareError
from tests.bugchecks.views import FakeView, module, request

ACME = module("acme.sys", 0xFFFF_F800_2000_0000)
GONE = module("gone.sys", 0xFFFF_F800_3000_0000, unloaded=True)
POOL = 0xFFFF_8000_0000_4010
THREAD = 0xFFFF_8000_0000_1000


def holder(address: int = THREAD) -> Thread:
    return Thread(VirtAddr(address), VirtAddr(1), "System", 4, 232, "Waiting")


def test_the_record_of_a_hardware_error_names_the_part() -> None:
    record = HardwareError("memory", "a memory module (node 1)", "fatal", ("memory reported an error in node 1",))
    one = explain(FakeView(0x124, (0, POOL, 0, 0), errors={POOL: record}))
    assert one.blamed is not None
    assert (one.blamed.kind, one.blamed.what, one.blamed.confidence) == ("hardware", "a memory module (node 1)", "high")
    assert any("memory modules" in step for step in one.next_steps)
    assert one.parameters[1].resolved == "a memory module (node 1) (fatal)"
    assert one.focus.kind is FocusKind.NONE


def test_without_the_record_the_status_in_the_parameters_tells() -> None:
    one = explain(FakeView(0x124, (0, POOL, 0xBE00_0000, 0x0080_0135)))
    assert one.blamed is not None
    assert "an error in a data cache, level 1" in one.blamed.why[1]
    assert any("Which processor" in line for line in one.cannot_tell)
    assert any("not in this dump" in line for line in one.cannot_tell)


@pytest.mark.parametrize("code", [0x12, 0x80, 0x9C, 0x124, 0xA5, 0x20001])
def test_hardware_stops_never_read_a_stack(code: int) -> None:
    one = explain(FakeView(code, (0, 0, 0, 0)))
    assert one.focus.kind is FocusKind.NONE
    assert one.blamed is not None


def test_a_machine_check_names_its_bank() -> None:
    one = explain(FakeView(0x9C, (4, POOL, 0xB200_0000, 0x0000_0400)))
    assert one.blamed is not None
    assert "bank 4" in one.blamed.why[1]


@pytest.mark.parametrize(
    ("parameters", "hints"),
    [
        ((1, 0x500, 0, 0), ["acme.sys"]),
        ((2, 0x500, 0x500, 0x700), ["acme.sys", "acme.sys", "acme.sys"]),
        ((0x500, 0, 0x500, 0x500), ["acme.sys", "acme.sys"]),
        ((5, 0x500, 0, 0), ["upper.sys", "acme.sys"]),
        ((6, 0x900, 1, 0), ["upper.sys", "acme.sys"]),
    ],
)
def test_each_subcase_of_9f_names_a_device_of_its_own(parameters: tuple[int, int, int, int], hints: list[str]) -> None:
    view = FakeView(
        0x9F,
        parameters,
        devices={0x500: "acme.sys"},
        drivers={0x700: "acme.sys"},
        functions={0x500: "upper.sys"},
        behind={0x900: 0x500},
    )
    one = explain(view)
    assert [hint.module for hint in one.hints] == hints
    assert one.deed


def test_a_held_power_request_tells_of_the_others_and_how_long() -> None:
    irps = {0x1000: request(0x1000, 0x16, 2, "acme.sys"), 0x2000: request(0x2000, 0x16, 2, "other.sys")}
    view = FakeView(
        0x9F, (3, 0x500, 0x600, 0x1000), irps=irps, devices={0x500: "pci.sys"}, functions={0x500: "upper.sys"},
        requests={0x600: (0x1000, 0x2000)}, seconds={0x1000: 600.0, 0x2000: 12.0},
    )  # fmt: skip
    one = explain(view)
    assert [hint.module for hint in one.hints] == ["acme.sys", "upper.sys", "pci.sys"]
    assert "for 600 s" in one.hints[0].because
    assert "0x2000" in one.facts[0]
    assert "other.sys" in one.facts[0]
    assert one.irps == (0x1000, 0x2000)


def test_without_the_request_the_function_driver_goes_before_the_bus() -> None:
    one = explain(FakeView(0x9F, (3, 0x500, 0x600, 0x1000), devices={0x500: "pci.sys"}, functions={0x500: "upper.sys"}))
    assert [hint.module for hint in one.hints] == ["upper.sys", "pci.sys"]


@pytest.mark.parametrize("code", [0x109, 0x18B])
def test_integrity_checks_read_no_stack(code: int) -> None:
    one = explain(FakeView(code))
    assert (one.stop, one.focus.kind) == (Stop.CORRUPTION, FocusKind.NONE)
    assert not one.hints


def test_a_corrupt_list_caps_the_confidence_and_a_cookie_does_not() -> None:
    assert [cap.level for cap in explain(FakeView(0x139, (3, 0, 0, 0))).caps] == ["medium"]
    assert not explain(FakeView(0x139, (2, 0, 0, 0))).caps


def test_the_tags_of_damaged_pool_are_told_with_their_owners() -> None:
    one = explain(FakeView(0x19, (0x20, POOL, POOL + 0x40, 0), tags={POOL: "Ntfr", POOL + 0x40: "Zzzz"}))
    assert "'Ntfr' (used by ntfs.sys)" in one.facts[0]
    assert one.facts[1].endswith("'Zzzz'")
    assert one.parameters[1].resolved == "a block with the pool tag 'Ntfr' (used by ntfs.sys)"


def test_a_free_with_the_wrong_tag_names_both() -> None:
    owner, used = int.from_bytes(b"Ntfr", "little"), int.from_bytes(b"Acme", "little")
    one = explain(FakeView(0xC2, (0xA, POOL, owner, used)))
    assert one.stop is Stop.FAULT
    assert "'Ntfr' (used by ntfs.sys), and was freed with 'Acme'" in one.facts[0]


@pytest.mark.parametrize(("which", "kind"), [(0x41790, "memory"), (0x3F, "hardware"), (0x1233, None)])
def test_memory_management_tells_hardware_from_drivers(which: int, kind: str | None) -> None:
    one = explain(FakeView(0x1A, (which, 1, 2, 3)))
    assert (one.blamed.kind if one.blamed else None) == kind
    assert [cap.level for cap in one.caps] == (["medium"] if which == 0x1233 else ["low"])


def test_an_unloaded_driver_goes_before_the_one_that_fell_into_the_hole() -> None:
    one = explain(FakeView(0xD4, (GONE.base + 8, 2, 0, ACME.base + 8), (ACME, GONE)))
    assert [hint.module for hint in one.hints] == ["gone.sys"]


def test_the_driver_that_used_the_entries_up_is_named_by_a_string() -> None:
    one = explain(FakeView(0xD8, (POOL, 9000, 1, 2), texts={POOL: "\\SystemRoot\\drivers\\Acme.sys"}))
    assert [(hint.module, hint.decisive) for hint in one.hints] == [("acme.sys", True)]


def test_the_active_dpc_is_a_witness() -> None:
    one = explain(FakeView(0x133, (0, 1, 2, 0), (ACME,), dpc=ACME.base + 0x20))
    assert [(hint.module, hint.function) for hint in one.hints] == [("acme.sys", "acme+0x20")]
    assert not explain(FakeView(0x133, (0, 1, 2, 0))).hints


def calls(processor: int, *queued: int, active: int | None = None, ticks: int | None = None) -> DpcState:
    """The deferred calls of a processor; addresses are offsets in the driver."""
    routines = tuple(VirtAddr(ACME.base + one) for one in queued)
    routine = None if active is None else VirtAddr(ACME.base + active)
    return DpcState(processor, active is not None, routine, ticks, routines, len(queued))


def test_queued_calls_are_facts_with_the_longest_queue_first() -> None:
    states = (calls(0, active=0x10), calls(2, 0x20, 0x30, 0x20, active=0x10, ticks=9))
    one = explain(FakeView(0x133, (1, 1, 2, 0), (ACME,), dpc_states=states))
    assert one.facts == (
        (
            "processor 2 was in the deferred procedure call acme+0x10 for 9 clock ticks; "
            "3 waited behind it: acme+0x20 (2 times), acme+0x30"
        ),
        "processor 0 was in the deferred procedure call acme+0x10",
    )


def test_a_processor_stuck_in_a_call_explains_a_hang_behind_the_locks() -> None:
    stuck = explain(FakeView(0xE2, (0, 0, 0, 0), (ACME,), dpc_states=(calls(3, 0x20, active=0x10, ticks=900),)))
    assert (stuck.stop, stuck.locks_first, stuck.focus.kind, stuck.focus.address) == (
        *(Stop.HANG, True, FocusKind.PROCESSOR, 3),
    )
    assert [hint.module for hint in stuck.hints] == ["acme.sys"]
    unnamed = explain(FakeView(0xE2, (0, 0, 0, 0), dpc_states=(DpcState(3, True, None, 900, (), 0),)))
    assert (unnamed.stop, unnamed.focus.address, unnamed.hints) == (Stop.HANG, 3, ())
    assert "does not record" in unnamed.facts[0]
    short = explain(FakeView(0xE2, (0, 0, 0, 0), (ACME,), dpc_states=(calls(3, 0x20, active=0x10, ticks=2),)))
    assert (short.stop, short.hints) == (Stop.DELIBERATE, ())


def test_how_a_critical_process_ended_is_told_with_its_meaning() -> None:
    processes = {POOL: Process(VirtAddr(POOL), 600, "csrss.exe")}
    view = FakeView(0xF4, (3, POOL, 0, 0), processes=processes, exits={POOL: 0xC000_0005})
    one = explain(view).blamed
    assert one is not None
    assert one.why[1] == (
        "it ended with the status 0xc0000005, STATUS_ACCESS_VIOLATION: memory was accessed that must not be"
    )
    disk = explain(replace(view, exits={POOL: 0xC000_0006})).blamed
    assert disk is not None
    assert (disk.kind, disk.what) == ("hardware", "the disk or the path to it (csrss.exe ended)")
    told = explain(replace(view, raw_code=0xEF, parameters=(POOL, 0, 0, 0), exits={POOL: 1}))
    assert told.blamed is not None
    assert told.blamed.kind == "process"
    assert "told to end" in told.next_steps[-1]


def test_a_live_dump_of_the_network_stack_is_no_crash() -> None:
    failed = explain(FakeView(0x15E, (1, POOL, 0x500, 0x47), (ACME,), functions={0x500: "acme.sys"}))
    assert failed.live
    assert [hint.module for hint in failed.hints] == ["acme.sys"]
    assert [cap.level for cap in failed.caps] == ["medium"]
    assert failed.parameters[3].resolved == "NdisMRemoveMiniport was called"
    late = explain(FakeView(0x15E, (0x25, 0x22, POOL, 0), (ACME,)))
    assert (late.stop, late.locks_first, late.hints) == (Stop.HANG, True, ())
    assert late.parameters[1].resolved == "halting a network adapter"
    assert "no table holds its layout" in late.cannot_tell[0]
    assert "0x77" in explain(FakeView(0x15E, (0x77, 0, 0, 0))).cannot_tell[-1]


def test_each_check_of_the_verifier_says_what_its_other_parameters_are() -> None:
    one = explain(FakeView(0xC4, (0xC5, ACME.base + 8, 1, 0), (ACME,)))
    assert [fact.meaning for fact in one.parameters[1:]] == [
        "routine of the driver",
        "count of disabled APCs",
        "count of disabled APCs before the call",
    ]
    assert one.parameters[1].resolved == "acme+0x8"
    assert [fact.meaning for fact in explain(FakeView(0xC4, (0x10, POOL, 0, 0))).parameters[2:]] == [
        *("not used by this check", "not used by this check"),
    ]
    rule = explain(FakeView(0xC4, (0x20004, POOL, 0, 0), texts={POOL: "not above DISPATCH_LEVEL"}))
    assert rule.parameters[1].resolved == "not above DISPATCH_LEVEL"
    assert [number for number in CHECKS if meanings_of(number) is None] == []


@pytest.mark.parametrize(
    ("parameters", "deed", "modules"),
    [
        ((0x1, 2, 1, 64), "asked for paged pool at too high an IRQL (check 0x1)", []),
        ((0xC5, ACME.base + 8, 0, 0), "changed the thread's count of disabled APCs (check 0xc5)", ["acme.sys"]),
        ((0xF6, 4, 0, ACME.base), "used a program's handle as one of the kernel (check 0xf6)", ["acme.sys"]),
        ((0xA003, 0, 0, 0), "broke a rule of the Hyper-V extensible switch (check 0xa003)", []),
        ((0x9400C, 0, 0, 0), "broke Driver Verifier's rule WlanTimedScan (check 0x9400c)", []),
        ((0x777, ACME.base, 0, 0), "broke a rule that Driver Verifier checks (0x777)", []),
    ],
)
def test_checks_of_the_verifier_in_words(parameters: tuple[int, int, int, int], deed: str, modules: list[str]) -> None:
    one = explain(FakeView(0xC4, parameters, (ACME,)))
    assert (one.deed, [hint.module for hint in one.hints]) == (deed, modules)
    assert (one.parameters[0].resolved is None) == (parameters[0] == 0x777)


def test_what_the_verifier_hands_out_beside_code() -> None:
    shutdown = explain(FakeView(0xC4, (0x115, THREAD, 0, 0)))
    assert (shutdown.stop, shutdown.focus.kind, shutdown.focus.address) == (Stop.HANG, FocusKind.THREAD, THREAD)
    late = explain(FakeView(0xC4, (0x135, POOL, 9, 0), irps={POOL: request(POOL, 0xE, 0, "acme.sys")}))
    assert ([hint.module for hint in late.hints], late.irps) == (["acme.sys"], (POOL,))
    disk = explain(FakeView(0xC4, (0xA0, POOL, 0, 8), (ACME,)))
    assert disk.blamed is not None
    assert "sector 0x8" in disk.blamed.why[0]


def test_a_processor_that_does_not_answer_is_looked_at_itself() -> None:
    one = explain(FakeView(0x101, (12, 0, POOL, 3)))
    assert (one.focus.kind, one.focus.address) == (FocusKind.PROCESSOR, 3)
    assert [cap.level for cap in one.caps] == ["low"]


def test_the_owner_of_the_resource_is_the_story_and_not_who_noticed() -> None:
    one = explain(FakeView(0x1CC, (POOL, 0x5000, 7, 30), owners={POOL: (holder(),)}))
    assert (one.focus.kind, one.focus.address) == (FocusKind.THREAD, THREAD)
    assert "System (process 4), thread 232" in one.facts[0]
    assert explain(FakeView(0x1CC, (POOL, 0x5000, 7, 30))).focus.address == 0x5000


def test_the_pnp_watchdog_names_service_and_thread() -> None:
    service = int.from_bytes(b"acme", "little")
    one = explain(FakeView(0x1D5, (service, POOL, THREAD, 300_000), (ACME,)))
    assert (one.focus.kind, one.focus.address) == (FocusKind.THREAD, THREAD)
    assert [(hint.module, hint.decisive) for hint in one.hints] == [("acme.sys", False)]
    assert "within 300 s" in one.explanation


def test_a_stuck_thread_in_a_display_driver() -> None:
    one = explain(FakeView(0xEA, (THREAD, 0, POOL, 1), texts={POOL: "acmegpu"}))
    assert (one.focus.address, [hint.module for hint in one.hints]) == (THREAD, ["acmegpu.sys"])


def test_a_live_display_timeout_says_that_windows_went_on() -> None:
    one = explain(FakeView(0x141, (0, ACME.base + 1, 0, 0), (ACME,)))
    assert one.live
    assert "went on" in one.explanation
    assert [hint.module for hint in one.hints] == ["acme.sys"]


def test_a_file_system_that_met_a_disk_error_is_storage() -> None:
    assert explain(FakeView(0x7A, (1, 0xC000_009A, 0, 0))).blamed is None
    assert "the disk itself may be sound" in explain(FakeView(0x7A, (1, 0xC000_009A, 0, 0))).facts[0]
    assert explain(FakeView(0x24, (0x1904FB, 0, 0, 0))).stop is Stop.STORAGE


def test_the_verifier_says_its_rule_and_who_it_means() -> None:
    rule = explain(FakeView(0xC4, (0x20005, POOL, 0, 0), texts={POOL: "IrqlExApcLte1: not at this IRQL"}))
    assert rule.deed == "broke Driver Verifier's rule IrqlExApcLte1 (check 0x20005)"
    assert rule.facts == ("parameter 2 says: IrqlExApcLte1: not at this IRQL",)
    later = explain(FakeView(0xC4, (0xB_0001, POOL, 0, 0), texts={POOL: "a rule of later days"}))
    assert later.deed == "broke Driver Verifier's rule: a rule of later days"
    left = explain(FakeView(0xC4, (0x62, POOL, 0, 3), texts={POOL: "Acme.sys"}))
    assert [hint.module for hint in left.hints] == ["acme.sys"]
    assert any("verifier /reset" in step for step in left.next_steps)


def test_the_iommu_names_the_devices_function_driver() -> None:
    one = explain(FakeView(0xE6, (0x26, 0x500, 0x1000, 0), devices={0x500: "pci.sys"}, functions={0x500: "acme.sys"}))
    assert [hint.module for hint in one.hints] == ["acme.sys", "pci.sys"]
    assert [cap.level for cap in one.caps] == ["medium"]


@pytest.mark.parametrize(("first", "index"), [(1, 2), (2, 3), (5, 2), (0xA, 2)])
def test_plug_and_play_blames_who_reported_the_device(first: int, index: int) -> None:
    parameters = (first, 0x500 if index == 2 else 0, 0x500 if index == 3 else 0, 0)
    view = FakeView(0xCA, parameters, devices={0x500: "bus.sys"}, drivers={0x500: "bus.sys"})
    one = explain(view)
    assert "bus.sys" in {hint.module for hint in one.hints}
    assert one.deed


def test_an_unknown_plug_and_play_subcase_lets_locks_speak() -> None:
    one = explain(FakeView(0xCA, (0x13, 1, 0x600, 0), waiting={0x600: ("ROOT\\ACME\\0000",)}))
    assert one.locks_first
    assert "ROOT\\ACME\\0000" in one.facts[0]


def test_usb_names_the_client_of_the_request() -> None:
    irps = {0x1000: request(0x1000, 0xF, 0, "client.sys", "usbhub3.sys")}
    one = explain(FakeView(0x144, (1, 0x1000, 0, 0x500), irps=irps, devices={0x500: "client.sys"}))
    assert {hint.module for hint in one.hints} == {"client.sys"}
    assert [cap.level for cap in explain(FakeView(0x144, (0x1001, 0, 0, 0))).caps] == ["low"]


def test_who_ended_a_critical_process_is_told() -> None:
    processes = {0x1000: Process(VirtAddr(0x1000), 600, "csrss.exe"), 0x2000: Process(VirtAddr(0x2000), 99, "kill.exe")}
    one = explain(FakeView(0xEF, (0x1000, 0, 0x2000, 0), processes=processes))
    assert "kill.exe" in one.facts[0]
    named = explain(FakeView(0xF4, (3, 0x1000, POOL, 0), texts={POOL: "WININIT.EXE"}))
    assert named.blamed is not None
    assert named.blamed.name == "wininit.exe"


def test_the_subsystem_that_failed_says_why() -> None:
    one = explain(FakeView(0xC000021A, (POOL, 0xC000_0005, 0, 0), texts={POOL: "Windows SubSystem"}))
    assert one.blamed is None
    assert "Windows SubSystem" in one.facts[0]
    assert "STATUS_ACCESS_VIOLATION" in one.facts[1]
