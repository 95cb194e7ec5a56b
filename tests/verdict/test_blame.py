"""The walk and the conclusion, one sentence a test."""

import pytest

from analysis.bugchecks.explained import Blamed, Cap, Hint, Stop
from analysis.trust import Trust
from analysis.verdict.blame import Blame, Case, DeviceEvidence, conclude
from analysis.verdict.walk import walk_stack
from tests.verdict.frames import stack


def walked(text: str, stop: Stop = Stop.FAULT) -> str | None:
    chosen = walk_stack(stack(text), stop).chosen
    return chosen.module if chosen else None


@pytest.mark.parametrize(
    ("frames", "module"),
    [
        ("nt!KeBugCheckEx nt!KiPageFault+0x1 acme+0x10 nt!IofCallDriver+0x5", "acme.sys"),
        ("ntfs!NtfsWrite fltmgr!FltDo acme!Post+0x1 nt!IofCallDriver", "acme.sys"),
        ("ndis!NdisSend tcpip!Send acme+0x1", "acme.sys"),
        ("nt!KeBugCheckEx netio!Stream+0x5c nt!KxSwitch", "netio.sys"),
        ("nt!KeBugCheckEx ntfs!NtfsFsdRead+0x2", "ntfs.sys"),
        ("nt!KeBugCheckEx verifier!VfThing+0x1 nt!VfSomething acme+0x3", "acme.sys"),
        ("nt!KeBugCheckEx hal!Something+0x1", None),
        ("acme+0x1 beta+0x2", "acme.sys"),
    ],
)
def test_the_strongest_module_wins_and_then_the_innermost(frames: str, module: str | None) -> None:
    assert walked(frames) == module


def test_names_match_exactly_and_never_by_prefix() -> None:
    assert walked("ntfs!A ntfsx+0x1") == "ntfsx.sys"
    assert walked("halcyon+0x1") == "halcyon.sys"


def test_only_a_fault_falls_back_on_the_kernel() -> None:
    frames = "nt!KeBugCheckEx nt!KiBugCheckDispatch+0x69 nt!KiPageFault+0x4 nt!CmpCreateKeyBody+0x166 nt!CmParseKey"
    chosen = walk_stack(stack(frames), Stop.FAULT).chosen
    assert chosen is not None
    assert (chosen.module, chosen.function) == ("ntoskrnl.exe", "nt!CmpCreateKeyBody+0x166")
    assert walked(frames, Stop.HANG) is None


def test_user_mode_modules_are_never_culprits() -> None:
    assert walked("nt!KeBugCheckEx nt!NtClose+0x1 ntdll!ZwClose+0x2 poc!wmain+0x1", Stop.OTHER) is None


def test_a_wild_jump_into_the_lower_half_blames_the_caller() -> None:
    assert walked("0x0000000041414141 acme+0x1 nt!IofCallDriver") == "acme.sys"


def test_in_a_hang_a_framework_gives_way_to_its_client() -> None:
    frames = "nt!KeWaitForSingleObject ndis!NdisMSleep+0x1 rassstp+0x1234 ndis!ndisMHaltMiniport nt!IopRemoveDevice"
    assert walked(frames, Stop.HANG) == "rassstp.sys"
    assert walked(frames, Stop.FAULT) == "ndis.sys"


def test_pass_through_functions_are_only_the_way() -> None:
    assert walked("nt!KeWaitForSingleObject ndis!NdisWaitEvent+0x1 nt!ExpWorkerThread", Stop.HANG) is None


def hang(text: str, device: DeviceEvidence | None, trust: Trust = Trust.UNWIND, *caps: Cap) -> tuple[str | None, str]:
    blame = conclude(Case(0x9F, Stop.HANG, stack(text, trust), device=device, caps=caps))
    return blame.module, blame.confidence


STACK = "nt!KeWaitForSingleObject+0x1 ndis!NdisMSleep+0x1 acmevpn+0x1234 nt!IopRemoveDevice+0x2"


def test_stack_and_device_that_agree_are_believed() -> None:
    assert hang(STACK, DeviceEvidence("acmevpn.sys")) == ("acmevpn.sys", "high")


def test_several_drivers_on_a_scanned_stack_are_a_guess() -> None:
    def concluded(text: str, trust: Trust) -> Blame:
        return conclude(Case(code=0x9F, frames=stack(f"nt!KeWaitForSingleObject {text}", trust), stop=Stop.HANG))

    several = concluded("acme+0x10 beta+0x30", Trust.SCAN)
    assert several.confidence == "low"
    assert any("1 more driver has left return addresses" in reason for reason in several.reasons)
    assert concluded("acme+0x10 acme+0x30 ndis!X", Trust.SCAN).confidence == "medium"
    assert concluded("acme+0x10 beta+0x30", Trust.UNWIND).confidence == "high"


def test_a_scanned_stack_never_gives_high() -> None:
    assert hang(STACK, DeviceEvidence("acmevpn.sys"), Trust.SCAN) == ("acmevpn.sys", "medium")
    assert hang(f"{STACK} acmevpn+0x99", None, Trust.SCAN) == ("acmevpn.sys", "medium")
    assert hang(STACK, None, Trust.SCAN) == ("acmevpn.sys", "low")


def test_a_stale_return_address_loses_to_the_driver_of_the_device() -> None:
    assert hang("nt!KeWait innocent+0x99 acmevpn+0x1", DeviceEvidence("acmevpn.sys"), Trust.SCAN)[0] == "acmevpn.sys"


def test_an_unwound_filter_above_the_device_driver_keeps_the_blame_with_medium_confidence() -> None:
    assert hang("nt!KeWait badfilter+0x1 nt!IofCallDriver", DeviceEvidence("acmevpn.sys")) == (
        "badfilter.sys",
        "medium",
    )


def test_a_device_alone_is_medium() -> None:
    assert hang("nt!KeWait nt!IopRemoveDevice", DeviceEvidence("acmevpn.sys")) == ("acmevpn.sys", "medium")


def test_a_request_that_no_stack_shows_blames_its_driver_only_with_a_framework_for_witness() -> None:
    device = DeviceEvidence("acmevpn.sys", trust=Trust.PARAMETER, enough=False)
    assert hang("nt!KeWait nt!IopRemoveDevice", device) == (None, "none")
    assert hang("nt!KeWait ndis!NdisMSleep+0x1 nt!IopRemoveDevice", device) == ("acmevpn.sys", "medium")


def test_nothing_found_means_nobody() -> None:
    assert hang("nt!KeWait nt!IopRemoveDevice", None) == (None, "none")


def test_a_cap_lowers_and_says_why() -> None:
    blame = conclude(
        Case(
            0x9F,
            Stop.HANG,
            stack(STACK),
            device=DeviceEvidence("acmevpn.sys"),
            caps=(Cap("low", "the layout of a neighbouring build was used"),),
        )
    )
    assert blame.confidence == "low"
    assert any("neighbouring build" in reason for reason in blame.reasons)


def test_a_parameter_beats_a_stack_that_is_not_stronger() -> None:
    hint = Hint("acme.sys", "P4 lies in it")
    blame = conclude(Case(0xD1, Stop.FAULT, stack("nt!KiPageFault tcpip!Send"), hints=(hint,)))
    assert blame.module == "acme.sys"


def test_a_stronger_stack_beats_a_parameter_in_a_file_system() -> None:
    hint = Hint("ntfs.sys", "P4 lies in it")
    blame = conclude(Case(0xD1, Stop.FAULT, stack("ntfs!A fltmgr!B acme!C+0x1"), hints=(hint,)))
    assert blame.module == "acme.sys"
    assert {one.module for one in blame.passed} == {"ntfs.sys", "fltmgr.sys"}


def test_a_request_holder_is_decisive() -> None:
    hint = Hint("usbehci.sys", "the request waits in it", decisive=True)
    blame = conclude(Case(0x9F, Stop.HANG, stack("nt!KeWait usbhub!Sync+0x1 acme+0x2"), hints=(hint,)))
    assert blame.module == "usbehci.sys"
    assert blame.stack_culprit == "acme.sys"


def test_hardware_is_no_module() -> None:
    blame = conclude(Case(0x124, Stop.HARDWARE, stack("pshed!A acme+0x1"), blamed=Blamed("hardware", "the processor")))
    assert (blame.module, blame.kind, blame.confidence) == (None, "hardware", "medium")


def test_a_deliberate_stop_blames_nobody_whatever_is_on_its_stack() -> None:
    blame = conclude(Case(0xE2, Stop.DELIBERATE, stack("nt!KeBugCheckEx i8042prt!Isr+0x1 kbdclass!X acme+0x1")))
    assert (blame.module, blame.kind, blame.confidence) == (None, None, "none")


def test_the_bus_of_the_device_is_not_to_blame() -> None:
    blame = conclude(Case(0x9F, Stop.HANG, stack("nt!KeWait nt!IopRemoveDevice"), device=DeviceEvidence("pci.sys")))
    assert (blame.module, blame.device_culprit) == (None, None)
    assert [one.module for one in blame.passed] == ["pci.sys"]


def test_a_bus_driver_that_runs_itself_may_be_blamed() -> None:
    frames = stack("nt!KeWait usbhub3!HUBFDO_Wait+0x1 nt!IofCallDriver")
    blame = conclude(Case(0x9F, Stop.HANG, frames, device=DeviceEvidence("usbhub3.sys")))
    assert blame.module == "usbhub3.sys"


def test_the_holder_of_a_request_goes_before_the_bus_that_the_kernel_printed() -> None:
    hints = (Hint("acme.sys", "it has the request"), Hint("pci.sys", "the kernel named it", decisive=True))
    blame = conclude(Case(0x9F, Stop.REQUEST, (), hints))
    assert (blame.module, blame.confidence) == ("acme.sys", "high")


def test_a_request_that_reached_the_bus_is_the_drivers_above() -> None:
    hints = (Hint("pci.sys", "it has the request"), Hint("acme.sys", "the request went through it"))
    assert conclude(Case(0x9F, Stop.REQUEST, (), hints)).module == "acme.sys"
    assert conclude(Case(0x9F, Stop.REQUEST, (), hints[:1])).module == "pci.sys"


def test_a_pointer_left_on_the_stack_does_not_beat_an_unwound_driver() -> None:
    device = DeviceEvidence("acmevpn.sys", trust=Trust.SCAN)
    blame = conclude(Case(0x9F, Stop.HANG, stack("nt!KeWait raspppoe!Cleanup+0x1 nt!IopRemoveDevice"), device=device))
    assert (blame.module, blame.confidence) == ("raspppoe.sys", "medium")


def test_the_framework_alone_gives_way_to_the_driver_of_the_device() -> None:
    blame = conclude(
        Case(0x9F, Stop.HANG, stack("nt!KeWait ndis!CloseBindings+0x1"), device=DeviceEvidence("acmevpn.sys"))
    )
    assert (blame.module, blame.confidence) == ("acmevpn.sys", "medium")
    assert (blame.stack_culprit, blame.device_culprit) == ("ndis.sys", "acmevpn.sys")


@pytest.mark.parametrize("code", [0x19, 0x1A, 0x4E, 0xC5])
def test_corruption_is_never_high(code: int) -> None:
    assert conclude(Case(code, Stop.CORRUPTION, stack("nt!KeBugCheckEx acme+0x1"))).confidence == "medium"


def test_on_a_scanned_stack_code_that_left_several_frames_beats_single_leftovers() -> None:
    frames = stack("nt!KeWait leftover+0x9 acme+0x11 acme+0x22 other+0x1", Trust.SCAN)
    blame = conclude(Case(0xE2, Stop.HANG, frames))
    assert (blame.module, blame.confidence) == ("acme.sys", "medium")


def test_single_frames_of_several_drivers_on_a_scanned_stack_are_low() -> None:
    blame = conclude(Case(0xE2, Stop.HANG, stack("nt!KeWait one+0x9 two+0x11", Trust.SCAN)))
    assert (blame.module, blame.confidence) == ("one.sys", "low")
    assert any("more driver has left return addresses" in reason for reason in blame.reasons)


def test_a_device_found_by_scanning_does_not_beat_more_frames() -> None:
    frames = stack("nt!KeWait acme+0x11 acme+0x22 stale+0x1", Trust.SCAN)
    blame = conclude(Case(0xE2, Stop.HANG, frames, device=DeviceEvidence("stale.sys", trust=Trust.SCAN)))
    assert blame.module == "acme.sys"
    certain = conclude(Case(0xE2, Stop.HANG, frames, device=DeviceEvidence("stale.sys", trust=Trust.STRUCTURE)))
    assert certain.module == "stale.sys"


def test_a_scanned_frame_inside_the_wait_is_a_leftover() -> None:
    frames = stack("nt!KiSwapThread+0x1 stale+0x1 stale+0x2 nt!KeWaitForSingleObject+0x1 acme+0x11", Trust.SCAN)
    assert conclude(Case(0xE2, Stop.HANG, frames)).module == "acme.sys"


def test_in_a_scanned_hang_a_leftover_does_not_beat_a_windows_driver_with_several_frames() -> None:
    frames = stack("nt!KeWait leftover+0x9 rassstp+0x11 rassstp+0x22 ndis!CloseBindings+0x1", Trust.SCAN)
    assert conclude(Case(0x9F, Stop.HANG, frames)).module == "rassstp.sys"
    fault = conclude(Case(0xD1, Stop.FAULT, frames))
    assert (fault.module, fault.confidence) == ("leftover.sys", "low")


def test_an_instruction_that_a_parameter_names_needs_no_second_frame() -> None:
    frames = stack("nt!KeBugCheckEx acme+0x10", Trust.SCAN)
    hint = Hint("acme.sys", "parameter 4 is in it", decisive=True)
    assert conclude(Case(0xD1, Stop.FAULT, frames, (hint,))).confidence == "high"
    assert conclude(Case(0xD1, Stop.FAULT, frames)).confidence == "low"


def test_nobody_is_surely_blamed_by_a_name_that_only_stands_for_one() -> None:
    hint = Hint("acme.sys", "the instruction that failed lies in it", decisive=True)
    unnamed = Hint("unnamed-5f00000012000", "the instruction that failed lies in it", decisive=True)
    sure, capped = (conclude(Case(0xD1, Stop.FAULT, hints=(one,))) for one in (hint, unnamed))
    assert (sure.confidence, capped.confidence) == ("high", "medium")
    assert "only stands for it" in capped.reasons[-1]


def test_one_record_of_a_processor_alone_is_not_enough_for_high() -> None:
    only = Cap("medium", "one record says so")
    hint = Hint("acme.sys", "a processor was in it", trust=Trust.STRUCTURE, alone=only)
    alone = conclude(Case(0xE2, Stop.HANG, stack("nt!KiRetireDpcList"), (hint,)))
    shown = conclude(Case(0xE2, Stop.HANG, stack("acme!Dpc+0x1 nt!KiRetireDpcList"), (hint,)))
    assert (alone.module, alone.confidence, shown.confidence) == ("acme.sys", "medium", "high")
    assert "one record says so" in alone.reasons[-1]
