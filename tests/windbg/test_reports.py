"""Texts of WinDbg, as reports: who is blamed, who waited for whom, and WinDbg's own verdict beside it."""

from pathlib import Path

from analysis.pipeline import analyze
from tests.windbg.reports import named, report_of
from tests.windbg.texts import (
    HELD_REQUEST,
    HUNG_32_BIT,
    HUNG_SHUTDOWN,
    LOCKS_ALONE,
    MODULES,
    NO_CODE,
    OLD_FAULT,
    REQUEST_ALONE,
    SMALL_DUMP,
)


def test_the_holder_of_a_printed_lock_is_the_root_and_its_driver_the_culprit(tmp_path: Path) -> None:
    report = report_of(tmp_path, HUNG_SHUTDOWN)
    assert report.dump.kind == "windbg-text"
    assert named(report) == "wanmini7.sys"
    assert report.blocking.root is not None
    assert report.blocking.root.thread == "0xffffa50c11aa5080"
    (chain,) = report.blocking.chains
    assert (chain.lock.name, chain.lock.ownership, chain.owners) == (
        "nt!PiEngineLock",
        "exclusive",
        ("0xffffa50c11aa5080",),
    )
    assert (chain.waiters, chain.waiters_expected) == (("0xffffa50c12bb6080", "0xffffa50c13cc7080"), 2)
    first = report.blocking.blocked_threads[0]
    assert (first.process, first.pid, first.wait_seconds, first.doing) == (
        "wininit.exe",
        0x264,
        300.109,
        "system shutdown",
    )
    assert report.verdict.summary == (
        "wanmini7.sys did not return from a network unbind (surprise removal of a device) "
        "and held nt!PiEngineLock exclusively for 300 s."
    )
    assert report.verdict.impact is not None
    assert report.verdict.impact.startswith("wininit.exe (system shutdown) was waiting for it for 300 s")
    assert report.windbg is not None
    assert report.windbg.agrees is True
    assert (report.system.build, report.system.architecture) == ("10.0.19041.1", "x64")
    assert {one.address for one in report.threads} >= {"0xffffa50c11aa5080", "0xffffa50c12bb6080"}


def test_a_fault_of_old_windows_is_told_from_its_frames(tmp_path: Path) -> None:
    report = report_of(tmp_path, OLD_FAULT)
    assert named(report) == "qlpkt.sys"
    assert report.system.architecture == "x86"
    assert report.bucket.failure_bucket_id == "0xD1_qlpkt+f10"
    (thread,) = report.threads
    assert (thread.address, thread.pid) == ("0x0", None)
    assert [frame.trust for frame in thread.stack[:3]] == ["unwind", "unwind", "frame-pointer"]
    assert thread.stack[1].address == "0xf88c2f10"
    assert report.verdict.culprit is not None
    assert report.verdict.culprit.timestamp == "0x45d69ba1"


def test_the_driver_that_holds_a_shown_request_is_blamed_not_the_bus(tmp_path: Path) -> None:
    report = report_of(tmp_path, HELD_REQUEST)
    assert named(report) == "cardrdr8.sys"
    culprit = report.verdict.culprit
    assert culprit is not None
    assert culprit.instance_path is not None
    assert culprit.instance_path.startswith("PCI\\VEN_1234")
    assert (report.irps[0].major, report.irps[0].minor, report.irps[0].driver) == (
        "IRP_MJ_POWER",
        "IRP_MN_SET_POWER",
        "cardrdr8.sys",
    )
    assert report.windbg is not None
    assert report.windbg.agrees is False
    assert report.notes[-1] == (
        "WinDbg's own verdict: module pci, bucket 0x9F_3_IMAGE_pci.sys "
        "(this report blames cardrdr8.sys, for the reasons given)"
    )


def test_a_stack_without_any_code_still_names_a_driver(tmp_path: Path) -> None:
    report = report_of(tmp_path, NO_CODE)
    assert report.bugcheck is None
    assert named(report) == "vswitch9.sys"
    assert report.bucket.failure_bucket_id == "AV_vswitch9!HandleEvent"
    assert [frame.symbol for frame in report.threads[0].stack[4:6]] == [
        "vswitch9!HandleEvent+0x116",
        "vswitch9!Dispatch+0x12",
    ]


def test_a_parameter_is_resolved_against_the_list_of_modules(tmp_path: Path) -> None:
    report = report_of(tmp_path, MODULES)
    assert named(report) == "gpudrv64.sys"
    culprit = report.verdict.culprit
    assert culprit is not None
    assert (culprit.version, culprit.vendor, culprit.timestamp) == ("31.0.15.5222", "Example Graphics", "0x66421c76")
    assert report.bugcheck is not None
    assert report.bugcheck.parameters[1].resolved == "gpudrv64+0x1ea91c0"
    assert {one.name: one.unloaded for one in report.modules} == {
        "ntoskrnl.exe": False,
        "gpudrv64.sys": False,
        "dump_disk.sys": True,
    }


def test_a_log_file_may_be_named_anything(tmp_path: Path) -> None:
    path = tmp_path / "MEMORY.DMP"
    path.write_text(OLD_FAULT, "utf-8")
    assert analyze(path).dump.kind == "windbg-text"


def test_the_code_that_a_small_dump_of_xp_marks_is_the_one_in_the_title(tmp_path: Path) -> None:
    whole = report_of(tmp_path, SMALL_DUMP)
    banner, analysis = SMALL_DUMP.split("kd> !analyze -v")
    alone = report_of(tmp_path, banner + analysis[analysis.index("STACK_TEXT") :])
    for report in (whole, alone):
        assert report.bugcheck is not None
        assert (report.bugcheck.code, named(report)) == ("0xd1", "zqusb4.sys")
        assert not any("another crash" in note for note in report.notes)
    assert (whole.system.build, whole.system.processors, whole.system.crash_time) == (
        *("5.1.2600", 1, "2009-03-15T11:01:02Z"),
    )


def test_a_request_shown_without_its_command_is_known_by_its_current_location(tmp_path: Path) -> None:
    report = report_of(tmp_path, REQUEST_ALONE)
    assert [(one.address, one.driver) for one in report.irps] == [("0xffffe001c67b4010", "padflt6.sys")]
    assert named(report) == "padflt6.sys"
    other = report_of(tmp_path, REQUEST_ALONE.replace("stacks 3 is current", "stacks 2 is current"))
    assert named(other) is None  # another request than the one in parameter 4


def test_the_thread_of_a_32_bit_machine_is_found_though_its_command_is_sign_extended(tmp_path: Path) -> None:
    report = report_of(tmp_path, HUNG_32_BIT)
    assert named(report) == "zvbus3.sys"
    assert report.blocking.root is not None
    assert report.blocking.root.thread == "0x84a3ed48"
    assert [one.address for one in report.threads] == ["0x84a3ed48", "0x8570b030"]
    assert report.blocking.chains[0].owners == ("0x84a3ed48", "0x85f6da70")
    assert not any("no thread" in reason for reason in report.verdict.reasons)
    assert report.bucket.failure_bucket_id == "0x9F_4_zvbus3+3a44"


def test_locks_alone_tell_a_deadlock_and_who_is_at_its_front(tmp_path: Path) -> None:
    cycle = report_of(tmp_path, LOCKS_ALONE)
    assert named(cycle) is None
    assert len(cycle.blocking.deadlocks) == 1
    assert "zvfs7.sys" in cycle.verdict.summary
    assert "wqflt2.sys" in cycle.verdict.summary
    chain = report_of(tmp_path, LOCKS_ALONE.replace("aaaa1080-01<*>", "cccc1080-01<*>"))
    assert chain.blocking.deadlocks == ()
    assert chain.blocking.root is not None
    assert chain.blocking.root.thread == "0xffffe001cccc1080"


ENDED = """CRITICAL_PROCESS_DIED (ef)
Arguments:
Arg1: ffffc10a2f0b5080, Process object or thread object
Arg2: 0000000000000000, If this is 0, a process died. If this is 1, a thread died.
Debugging Details:
STACK_TEXT:
ffffa00d`5a2c7938 fffff802`6ef0b4d2 : nt!KeBugCheckEx
ffffa00d`5a2c7a50 fffff802`6ea0aab8 : nt!NtTerminateProcess+0x2c
MODULE_NAME: ntdll
IMAGE_NAME:  ntdll.dll
"""


def test_a_library_of_programs_is_no_culprit_and_the_process_that_ended_is_named(tmp_path: Path) -> None:
    assert named(report_of(tmp_path, ENDED)) is None
    for told in (
        "CRITICAL_PROCESS:  zvhost.exe\n",
        "FAILURE_BUCKET_ID:  0xEF_zvhost.exe_BUGCHECK_CRITICAL_PROCESS_2f0a4080_ntdll!NtTerminateProcess\n",
    ):
        report = report_of(tmp_path, ENDED + told)
        assert report.verdict.culprit is not None
        assert (report.verdict.culprit.module, report.verdict.culprit.kind) == ("zvhost.exe", "process")


def test_the_source_of_a_hardware_error_is_told_where_its_record_is_not_shown(tmp_path: Path) -> None:
    head = ENDED.replace("CRITICAL_PROCESS_DIED (ef)", "WHEA_UNCORRECTABLE_ERROR (124)")
    report = report_of(tmp_path, head.replace("Arg1: ffffc10a2f0b5080, Process", "Arg1: 0000000000000004, PCI"))
    assert "PCI Express" in report.verdict.summary
    assert any("PCI Express" in step for step in report.verdict.next_steps)


def test_with_wrong_symbols_of_the_kernel_the_bucket_is_of_build_and_image(tmp_path: Path) -> None:
    symbols = "MODULE_NAME: nt_wrong_symbols\nSYMBOL_NAME:  nt_wrong_symbols!5CD2A1F0AB3000\n"
    lab = "BUILDOSVER_STR:  10.0.18362.1.amd64fre.19h1_release.190318-1202\n"
    report = report_of(tmp_path, SMALL_DUMP.replace("STACK_TEXT", symbols + lab + "STACK_TEXT"))
    assert report.bucket.failure_bucket_id == (
        "WRONG_SYMBOLS_X86_18362.1.amd64fre.19h1_release.190318-1202_TIMESTAMP_190508-093128_5CD2A1F0_"
        "nt_wrong_symbols!5CD2A1F0AB3000"
    )
    without = report_of(tmp_path, SMALL_DUMP.replace("STACK_TEXT", symbols + "STACK_TEXT"))
    assert "WRONG" not in without.bucket.failure_bucket_id
