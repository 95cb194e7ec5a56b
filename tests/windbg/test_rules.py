"""One rule, one short text: what is concluded from fields, parameters and stacks, and what is not."""

from pathlib import Path

import pytest

from tests.windbg.reports import named, report_of

FAULT = """\
{title}
Arguments:
Arg1: {first}, x
Arg2: 00000002, x
Arg3: {third}, x
Arg4: {fourth}, x

Debugging Details:
{fields}
STACK_TEXT:
{stack}

"""


def fault(stack: str, *, title: str = "DRIVER_IRQL_NOT_LESS_OR_EQUAL (d1)", first: str = "0000001c",
          third: str = "00000000", fourth: str = "00000000", fields: str = "") -> str:  # fmt: skip
    return FAULT.format(title=title, stack=stack, first=first, third=third, fourth=fourth, fields=fields)


def test_a_framework_between_fault_and_client_is_passed_over_with_less_confidence(tmp_path: Path) -> None:
    stack = (
        "8ba0ef08 82154573 00000000 8ba10000 00000000 nt!_KiTrap0E+0xec\n"
        "8ba0f024 86692866 a2bfd314 8ba0f094 0000850a nt!memcpy+0x33\n"
        "8ba0f040 ac50c15f 8ba0f19c a2bfd0e8 00000000 NDIS!ndisMSetGeneralAttributes+0x23d\n"
        "8ba0f270 866e368a adfb9000 a2bfd0e8 8269b9b0 netmini3+0x1c15f\n"
        "8ba0f410 867004b0 a2bfd0e8 a2bfd0e8 a2be2a70 NDIS!ndisMInvokeInitialize+0x60\n"
    )
    report = report_of(tmp_path, fault(stack))
    assert named(report) == "netmini3.sys"
    assert report.verdict.confidence == "medium"
    assert any("ndisMSetGeneralAttributes" in reason for reason in report.verdict.reasons)


def test_damage_met_in_the_pool_is_never_sure(tmp_path: Path) -> None:
    stack = (
        "nt!KiGeneralProtectionFault+0x343\nnt!RtlpHpVsChunkSplit+0x606\n"
        "nt!ExAllocateHeapPool+0x70e\nnt!ExAllocatePool2+0xdd\nalloc5+0x1105\n"
    )
    report = report_of(tmp_path, fault(stack, title="SYSTEM_THREAD_EXCEPTION_NOT_HANDLED (7e)", first="c0000005"))
    assert (named(report), report.verdict.confidence) == ("alloc5.sys", "medium")
    direct = fault("nt!KiPageFault+0x343\nalloc5+0x1105\n")
    assert report_of(tmp_path, direct).verdict.confidence == "high"


def test_windbgs_verdict_is_taken_over_only_where_the_text_shows_nothing_else(tmp_path: Path) -> None:
    fields = "MODULE_NAME: rtwl7\nIMAGE_NAME:  rtwl7.sys\nSYMBOL_NAME:  rtwl7+18e2b\n"
    report = report_of(tmp_path, fault("nt!KeBugCheckEx\n", title="DPC_WATCHDOG_VIOLATION (133)", fields=fields))
    assert (named(report), report.verdict.confidence) == ("rtwl7.sys", "low")
    assert any(reason.startswith("taken over from WinDbg") for reason in report.verdict.reasons)
    assert report.windbg is not None
    assert report.windbg.agrees is None
    stack = "nt!KiPageFault+0x1\nother2+0x10\n"
    assert named(report_of(tmp_path, fault(stack, fields=fields))) == "other2.sys"


def test_a_forced_stop_blames_nobody_whatever_windbg_says(tmp_path: Path) -> None:
    fields = "MODULE_NAME: kbdhid\nIMAGE_NAME:  kbdhid.sys\n"
    text = fault("nt!KeBugCheckEx\nkbdhid!Crash+0x1\n", title="MANUALLY_INITIATED_CRASH (e2)", fields=fields)
    assert named(report_of(tmp_path, text)) is None


def test_what_windbg_blames_nobody_for_stays_nobodys(tmp_path: Path) -> None:
    fields = "MODULE_NAME: Unknown_Module\nIMAGE_NAME:  Unknown_Image\n"
    text = fault("nt!KeBugCheckEx\nnt!PopIrpWatchdog+0x1\n", title="DRIVER_POWER_STATE_FAILURE (9f)", fields=fields,
                 first="00000003")  # fmt: skip
    assert named(report_of(tmp_path, text)) is None


def test_code_in_memory_that_differs_from_its_file_is_memory(tmp_path: Path) -> None:
    fields = "MEMORY_CORRUPTOR:  ONE_BIT\nMODULE_NAME: memory_corruption\nIMAGE_NAME:  memory_corruption\n"
    report = report_of(tmp_path, fault("nt!KiPageFault+0x1\nsome1+0x10\n", fields=fields))
    assert (named(report), report.verdict.confidence) == ("memory", "medium")


def test_a_dead_critical_process_is_named(tmp_path: Path) -> None:
    fields = "PROCESS_OBJECT: 0000001c\nIMAGE_NAME:  wininit.exe\nMODULE_NAME: wininit\nPROCESS_NAME:  wininit.exe\n"
    text = fault("nt!KeBugCheckEx\nnt!PspCatchCriticalBreak+0x1\n", title="CRITICAL_PROCESS_DIED (ef)", fields=fields)
    report = report_of(tmp_path, text)
    assert report.verdict.culprit is not None
    assert (report.verdict.culprit.kind, report.verdict.culprit.module) == ("process", "wininit.exe")


def test_a_reset_display_driver_without_a_name_is_not_the_port_driver(tmp_path: Path) -> None:
    text = fault("nt!KeBugCheckEx\ndxgkrnl!TdrBugcheckOnTimeout+0xfe\ndxgkrnl!ADAPTER_RENDER::Reset+0x12a\n",
                 title="VIDEO_TDR_FAILURE (116)")  # fmt: skip
    assert named(report_of(tmp_path, text)) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("FAULTING_MODULE: 9fee1000 leak3\n", "leak3.sys"),
        ("FAULTING_MODULE: 80400000 nt\n", None),
        ("", None),
    ],
)
def test_the_faulting_module_counts_where_no_driver_is_on_the_stack(fields: str, expected: str, tmp_path: Path) -> None:
    text = fault("nt!KeBugCheckEx\nnt!VfPoolCheckForLeaks+0x46\n", title="DRIVER_VERIFIER_DETECTED_VIOLATION (c4)",
                 first="00000062", fields=fields)  # fmt: skip
    report = report_of(tmp_path, text)
    assert named(report) == expected
    assert report.verdict.confidence != "high"


def test_addresses_of_a_32_bit_machine_lose_their_sign(tmp_path: Path) -> None:
    text = (
        "PAGE_FAULT_IN_NONPAGED_AREA (50)\nBUGCHECK_CODE:  50\nBUGCHECK_P1: ffffffff8ba10000\nBUGCHECK_P2: 0\n"
        "BUGCHECK_P3: ffffffffac50c15f\nBUGCHECK_P4: 0\nSTACK_TEXT:\n"
        "8ba0ef08 ac50c15f 00000000 8ba10000 00000000 nt!KiTrap0E+0xec\n"
        "8ba0f024 86692866 a2bfd314 8ba0f094 0000850a mini4+0xc15f\n\n"
    )
    report = report_of(tmp_path, text)
    assert report.bugcheck is not None
    assert [one.value for one in report.bugcheck.parameters] == ["0x8ba10000", "0x0", "0xac50c15f", "0x0"]
    assert report.bugcheck.parameters[2].resolved == "mini4+0xc15f"


def test_an_instruction_that_could_not_be_fetched_has_a_bucket_of_its_own(tmp_path: Path) -> None:
    text = fault("nt!KiPageFault+0x1\nmini4!Paged\n", first="a12e5000", third="00000008", fourth="a12e5000")
    assert report_of(tmp_path, text).bucket.failure_bucket_id == "AV_CODE_AV_PAGED_IP_mini4!Paged"


def test_a_programs_crash_is_told_as_one(tmp_path: Path) -> None:
    text = (
        "*                        Exception Analysis                                   *\n"
        "ExceptionAddress: 00007ff6a1b21234 (editor9!Save+0x0000000000000014)\n"
        "   ExceptionCode: c0000005 (Access violation)\nNumberParameters: 2\n"
        "   Parameter[0]: 0000000000000000\n   Parameter[1]: 0000000000000010\n\n"
        "PROCESS_NAME:  editor9.exe\nSTACK_TEXT:\n"
        "000000f1`2b8ff7a0 00007ff6`a1b23456 : 00000000`00000000 00000000`00000000 : editor9!Save+0x14\n"
        "000000f1`2b8ff7e0 00000000`00000000 : 00000000`00000000 00000000`00000000 : editor9!main+0x56\n\n"
        "MODULE_NAME: editor9\nIMAGE_NAME:  editor9.exe\nANALYSIS_SOURCE:  UM\n"
        "FAILURE_BUCKET_ID:  NULL_POINTER_READ_c0000005_editor9.exe!Save\n"
    )
    report = report_of(tmp_path, text)
    assert report.bugcheck is None
    assert report.exception is not None
    assert (report.exception.code, report.exception.address) == ("0xc0000005", "0x7ff6a1b21234")
    culprit = report.verdict.culprit
    assert culprit is not None
    assert (culprit.kind, culprit.module, report.verdict.confidence) == ("process", "editor9.exe", "medium")


def test_lines_that_ran_together_are_taken_apart(tmp_path: Path) -> None:
    text = (
        "CRITICAL_SERVICE_FAILED (5a)\n Arguments: Arg1: 0000000000000001 Arg2: ffffd80f4bfe7070 "
        "Arg3: ffffb00b0513d320 Arg4: ffffffffc0000428 Debugging Details: ------ DUMP_CLASS: 1 DUMP_QUALIFIER: 401 "
        "BUGCHECK_STR: 0x5A_c0000428 CPU_COUNT: 1 DEFAULT_BUCKET_ID: WIN8_DRIVER_FAULT PROCESS_NAME: System "
        "IMAGE_NAME: filecrypt.sys\n"
        "MODULE_NAME: filecrypt\nFAILURE_BUCKET_ID: 0x5A_c0000428_IMAGE_filecrypt.sys\n"
    )
    report = report_of(tmp_path, text)
    assert report.bugcheck is not None
    assert [one.value for one in report.bugcheck.parameters] == [
        "0x1", "0xffffd80f4bfe7070", "0xffffb00b0513d320", "0xffffffffc0000428",
    ]  # fmt: skip
    assert (named(report), report.verdict.confidence) == ("filecrypt.sys", "low")


def test_escapes_of_markdown_are_undone(tmp_path: Path) -> None:
    text = (
        "DRIVER\\_IRQL\\_NOT\\_LESS\\_OR\\_EQUAL (d1)\nArg1: 1c, x\nSTACK\\_TEXT:\n"
        "ffffc60b\\`87e8ed40 fffff805\\`736312d0 : 0 : nt!KiPageFault+0x474\n"
    )
    assert report_of(tmp_path, text).dump.kind == "windbg-text"


def test_the_owner_of_a_lock_is_the_thread_without_flags_and_blocks_by_its_own_wait(tmp_path: Path) -> None:
    text = (
        "0: kd> !locks\n**** DUMP OF ALL RESOURCE OBJECTS ****\nKD: Scanning for held locks...\n\n"
        "Resource @ 0x85205ec8    Exclusively owned\n    Contention Count = 7\n    NumberOfExclusiveWaiters = 2\n"
        "     Threads: 88b9fcb3-01<*> \n     Threads Waiting On Exclusive Access:\n"
        "              850bbd78       89b2b3f0       \n\n"
        "Resource @ 0x85305ec8    Shared 1 owning threads\n    NumberOfExclusiveWaiters = 1\n"
        "     Threads: 850bbd78-01<*> \n     Threads Waiting On Exclusive Access:\n              88b9fcb0\n"
        "2 total locks, 2 locks currently held\n"
        "0: kd> !thread 88b9fcb0\nTHREAD 88b9fcb0  Cid 1548.16e4  Teb: 7ffac000 Win32Thread: fe288838 WAIT:\n"
        "(WrResource) KernelMode Non-Alertable\n    850a5f88  NotificationEvent\n"
        "Owning Process            b469a3c8       Image:         tool.exe\n"
    )
    report = report_of(tmp_path, text)
    assert [set(one.threads) for one in report.blocking.deadlocks] == [{"0x88b9fcb0", "0x850bbd78"}]
    assert report.verdict.culprit is None
    assert {one.thread for one in report.blocking.blocked_threads} >= {"0x89b2b3f0"}


def test_the_client_in_a_bucket_goes_before_the_bus(tmp_path: Path) -> None:
    for bucket, client in (
        ("0x9F_3_cardrdr8_IMAGE_pci.sys", "cardrdr8.sys"),
        ("0x9F_3_i2cdrv7_DEV_AMDI0010_IMAGE_ACPI.sys", "i2cdrv7.sys"),
    ):
        fields = f"MODULE_NAME: pci\nIMAGE_NAME:  pci.sys\nFAILURE_BUCKET_ID:  {bucket}\n"
        text = fault("nt!KeBugCheckEx\n", title="DRIVER_POWER_STATE_FAILURE (9f)", first="00000003", fields=fields)
        report = report_of(tmp_path, text)
        assert (named(report), report.verdict.confidence) == (client, "medium")
    fields = "FAILURE_BUCKET_ID:  0x9F_3_POWER_DOWN_WDF_WAIT_TIMEOUT_IMAGE_pci.sys\n"
    text = fault("nt!KeBugCheckEx\n", title="DRIVER_POWER_STATE_FAILURE (9f)", first="00000003", fields=fields)
    assert named(report_of(tmp_path, text)) is None


def test_where_the_framework_failed_its_function_stands_in_the_bucket(tmp_path: Path) -> None:
    stack = "nt!KiPageFault+0x1\nWdf01000!FxRequestBase::Complete+0x10\ntouch4!OnRead+0x20\n"
    report = report_of(tmp_path, fault(stack))
    assert named(report) == "touch4.sys"
    assert report.bucket.failure_bucket_id == "AV_touch4_Wdf01000!FxRequestBase::Complete"


def test_a_stack_filled_like_prose_is_found(tmp_path: Path) -> None:
    text = (
        "KMODE_EXCEPTION_NOT_HANDLED (1e)\nArg1: 00000001 Arg2: 804b1cd8 BUGCHECK_STR:  0x1E_0 PROCESS_NAME:  System\n"
        "LAST_CONTROL_TRANSFER:  from f2695af5 to 8042be0b STACK_TEXT: f245fc78\n"
        "f2695af5 0000001e 00000001 804b1cd8 nt!KeBugCheck+0xf WARNING: Stack unwind information not available. "
        "Following frames may be\nwrong. f245fc90 804b1d5e 828696f0 82614000 f219fd08 usb3p+0xaf5 f245fd58 804b1f9f "
        "0000008c 82614000 f219fd08\nnt!IopLoadDriver+0x672 STACK_COMMAND:  kb\n"
    )
    report = report_of(tmp_path, text)
    assert named(report) == "usb3p.sys"
    assert [frame.symbol for frame in report.threads[0].stack] == [
        "nt!KeBugCheck+0xf",
        "usb3p+0xaf5",
        "nt!IopLoadDriver+0x672",
    ]


def test_lines_shortened_by_their_author_are_frames(tmp_path: Path) -> None:
    stack = (
        "... : nt!KeBugCheckEx ...\n... : VerifierExt!Abort+0x6f ...\n... : mydrv6!OnInterrupt+0x69 [c:\\a.c @ 26]\n"
    )
    assert named(report_of(tmp_path, fault(stack, title="DRIVER_VERIFIER_DETECTED_VIOLATION (c4)"))) == "mydrv6.sys"


def test_an_instruction_pointer_within_an_instruction_is_hardware(tmp_path: Path) -> None:
    fields = "MISALIGNED_IP: \nnt!KiSwapContext+1\nMODULE_NAME: hardware\nIMAGE_NAME:  hardware\n"
    report = report_of(tmp_path, fault("nt!KiPageFault+0x1\nsome1+0x10\n", fields=fields))
    assert (named(report), report.verdict.confidence) == ("hardware", "low")


def test_the_banner_tells_the_machine(tmp_path: Path) -> None:
    banner = (
        "Microsoft (R) Windows Debugger Version 10.0.1.1 AMD64\n"
        "Windows 10 Kernel Version 19041 MP (12 procs) Free x64\n"
        "Built by: 19041.1.amd64fre.vb_release.191206-1406\nMachine Name:\n"
        "Debug session time: Thu Dec 17 15:51:45.544 2020 (UTC - 7:00)\nSystem Uptime: 1 days 0:00:58.312\n"
    )
    report = report_of(tmp_path, banner + fault("nt!KiPageFault+0x1\nsome1+0x10\n"))
    machine = report.system
    assert (machine.build, machine.processors, machine.architecture) == ("10.0.19041.1", 12, "x64")
    assert (machine.crash_time, machine.uptime_seconds) == ("2020-12-17T22:51:45Z", 86458)
    odd = banner.replace("Dec 17 15:51", "Feb 31 25:61").replace("- 7:00", "- 99:00")
    assert report_of(tmp_path, odd + fault("nt!KiPageFault+0x1\nsome1+0x10\n")).system.crash_time is None


def test_a_long_call_under_a_port_driver_is_not_surely_its_clients(tmp_path: Path) -> None:
    title, first = "DPC_WATCHDOG_VIOLATION (133)", "00000000"
    under = "nt!KeAccumulateTicks+0x1\nstorport!RaidUnitCompleteRequest+0x9\niavend3+0x1234\nnt!KiRetireDpcList+0x1\n"
    report = report_of(tmp_path, fault(under, title=title, first=first))
    assert (named(report), report.verdict.confidence) == ("iavend3.sys", "medium")
    itself = "nt!KeAccumulateTicks+0x1\niavend3+0x1234\nnt!KiRetireDpcList+0x1\n"
    assert report_of(tmp_path, fault(itself, title=title, first=first)).verdict.confidence == "high"
