"""What a report says of processes that crashed or hang."""

import struct
from pathlib import Path

import pytest

from analysis.pipeline import analyze
from analysis.verdict.bucket import failure_id_hash
from analysis.verdict.report import Report
from tests.forge.minidump import EXE, LINUX, NTDLL, X86, Fault, Minidump, Module, Thread, context_x64, context_x86
from tests.usermode.stories import (
    AV,
    MODULES,
    PLUGIN,
    SECTION,
    STACK,
    crash,
    dispatched,
    hang,
    section,
    unwindable,
    waiting,
)


def told(tmp_path: Path, dump: Minidump) -> Report:
    path = tmp_path / "acme.dmp"
    path.write_bytes(dump.write())
    made = analyze(path)
    made.to_json()
    return made


def test_a_crash_in_the_program_is_the_programs(tmp_path: Path) -> None:
    made = told(tmp_path, crash(EXE + 0x1234, parameters=(1, 0x45)))
    assert made.dump.kind == "user-minidump"
    assert made.bugcheck is None
    assert made.exception is not None
    assert (made.exception.code, made.exception.name) == ("0xc0000005", "STATUS_ACCESS_VIOLATION")
    assert (made.exception.address, made.exception.thread) == ("0x140001234", "0x7")
    assert (made.exception.access, made.exception.access_address) == ("write", "0x45")
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.verdict.confidence) == ("acme.exe", "high")
    assert made.verdict.culprit.version == "1.2.3.4"
    assert made.bucket.failure_bucket_id == "NULL_POINTER_WRITE_c0000005_Acme.exe!Unknown"
    assert made.bucket.failure_id_hash == failure_id_hash(made.bucket.failure_bucket_id, "um")
    assert (made.system.os, made.system.build, made.system.architecture) == ("Windows 10", "10.0.19041.804", "x64")
    assert made.system.crash_time == "2020-09-13T12:26:40Z"
    assert made.threads[0].tid == 7
    assert made.threads[0].pid == 4242
    assert "acme.pdb (03020100050407060809" in " ".join(made.verdict.next_steps)


def test_unwinding_passes_a_stale_address_and_names_exports(tmp_path: Path) -> None:
    made = told(tmp_path, unwindable())
    frames = [(frame.symbol, frame.trust) for frame in made.threads[0].stack]
    assert frames == [("plugin!Parse+0x9", "context"), ("acme!Run+0x9", "unwind")]
    assert made.threads[0].stack_end == "the bottom of the stack: the next return address is 0"
    assert made.bucket.failure_bucket_id == "NULL_POINTER_READ_c0000005_plugin.dll!Parse"
    assert made.bucket.signature == "um NULL_POINTER_READ_c0000005 plugin.dll plugin!Parse|acme!Run"
    assert made.bucket.aliases == ("um NULL_POINTER_READ_c0000005 plugin.dll plugin|acme",)


def test_a_dispatched_exception_is_followed_to_the_code_that_raised_it(tmp_path: Path) -> None:
    made = told(tmp_path, dispatched())
    assert [(one.symbol, one.trust) for one in made.threads[0].stack][:2] == [
        ("ntdll!KiUserExceptionDispatcher+0x9", "context"),
        ("acme!Run+0x9", "unwind"),
    ]
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "acme.exe"


@pytest.mark.parametrize(
    ("first", "culprit"),
    [
        (NTDLL + 0x1500, "plugin.dll"),  # by its name
        (NTDLL + 0x10_1500, "plugin.dll"),  # in Windows' folder, of Windows' version
        (NTDLL + 0x20_1500, "hook.dll"),  # in Windows' folder, but another maker's
    ],
)
def test_a_library_of_the_system_is_passed_over(tmp_path: Path, first: int, culprit: str) -> None:
    made = told(tmp_path, crash(first, PLUGIN + 0x1234))
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == culprit
    if culprit == "plugin.dll":
        assert made.verdict.confidence == "low"  # found by scanning
        assert [one.module for one in made.verdict.suspects] == [made.threads[0].stack[0].module]


def test_with_nothing_but_system_frames_the_program_is_named_at_low(tmp_path: Path) -> None:
    made = told(tmp_path, crash(NTDLL + 0x1500, code=0xC0000374))
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.verdict.culprit.function) == ("acme.exe", None)
    assert (made.verdict.confidence, made.verdict.stack_culprit) == ("low", None)
    assert made.bucket.failure_bucket_id == "HEAP_CORRUPTION_c0000374_heap_corruption!Acme.exe"


def test_without_modules_nobody_is_blamed(tmp_path: Path) -> None:
    made = told(tmp_path, crash(0x1234_5678, parameters=(8, 0x1234_5678), modules=()))
    assert made.verdict.culprit is None
    assert made.verdict.confidence == "none"


def test_a_jump_to_nowhere_is_the_callers(tmp_path: Path) -> None:
    made = told(tmp_path, crash(0x666, PLUGIN + 0x1234, parameters=(8, 0x666)))
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "plugin.dll"
    assert made.bucket.failure_bucket_id == "NULL_POINTER_EXECUTE_c0000005_plugin.dll!Unknown"


def test_frame_pointers_of_32_bit_code(tmp_path: Path) -> None:
    base = 0x40_0000
    stack = struct.pack("<8I", 1, 2, STACK + 24, base + 0x2345, 3, 4, 0, 0)
    context = context_x86(base + 0x1234, STACK, STACK + 8)
    dump = Minidump(
        processor=X86,
        version=(6, 1, 7601),
        modules=[Module("D:\\games\\Old.exe", base)],
        threads=[Thread(9, (STACK, stack), context)],
        fault=Fault(9, AV, base + 0x1234, (0, 0), context),
    )
    made = told(tmp_path, dump)
    assert [(one.symbol, one.trust) for one in made.threads[0].stack] == [
        ("old+0x1234", "context"),
        ("old+0x2345", "frame-pointer"),
    ]
    assert (made.system.os, made.system.architecture) == ("Windows 7", "x86")


def test_a_hang_says_where_the_main_thread_waits(tmp_path: Path) -> None:
    made = told(tmp_path, hang(waiting(1, STACK, EXE + 0x1234)))
    assert made.exception is None
    assert made.dump.live
    assert "waits in NtWaitForAlertByThreadId" in made.verdict.summary
    assert made.verdict.confidence in ("low", "medium")
    assert made.bucket.failure_bucket_id.startswith("APPLICATION_HANG_cfffffff_Acme.exe!")


def test_a_hang_behind_a_critical_section_names_its_owner(tmp_path: Path) -> None:
    made = told(
        tmp_path,
        hang(
            waiting(1, STACK, EXE + 0x1234, SECTION),
            waiting(2, STACK + 0x1_0000, PLUGIN + 0x1234),
            waiting(3, STACK + 0x2_0000, SECTION),
            sections={SECTION: section(owner=2, waiters=2)},
        ),
    )
    assert made.blocking.root is not None
    assert made.blocking.root.thread == "0x2"
    (chain,) = made.blocking.chains
    assert (chain.lock.kind, chain.owners, chain.waiters, chain.waiters_expected) == (
        "critical-section",
        ("0x2",),
        ("0x1", "0x3"),
        2,
    )
    assert {one.tid for one in made.blocking.blocked_threads} == {1, 3}
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "plugin.dll"
    assert {one.address for one in made.threads} >= {"0x1", "0x2", "0x3"}


def test_two_critical_sections_make_a_deadlock(tmp_path: Path) -> None:
    other = SECTION + 0x1000
    made = told(
        tmp_path,
        hang(
            waiting(1, STACK, other),
            waiting(2, STACK + 0x1_0000, SECTION),
            sections={SECTION: section(owner=1, waiters=1), other: section(owner=2, waiters=1)},
        ),
    )
    (deadlock,) = made.blocking.deadlocks
    assert set(deadlock.threads) == {"0x1", "0x2"}
    assert made.blocking.root is None
    assert made.verdict.confidence in ("low", "none")


@pytest.mark.parametrize(
    "data",
    [
        section(owner=99, waiters=1),  # owned by a thread that is not there
        section(owner=2, waiters=0),  # nobody waits
        section(owner=1, waiters=1),  # its own
        section(owner=2, waiters=5000),
        bytes(40),
    ],
)
def test_what_only_looks_like_a_section_is_none(tmp_path: Path, data: bytes) -> None:
    made = told(
        tmp_path,
        hang(waiting(1, STACK, SECTION), waiting(2, STACK + 0x1_0000), sections={SECTION: data}),
    )
    assert made.blocking.chains == ()
    assert made.blocking.root is None


def test_a_linux_process_is_summarised(tmp_path: Path) -> None:
    context = context_x64(rip=0x40_1234, rsp=STACK)
    dump = Minidump(
        platform=LINUX,
        version=(0, 0, 0),
        modules=[
            Module("/opt/acme/bin/server", 0x40_0000),
            Module("/lib/x86_64-linux-gnu/libc.so.6", 0x7F00_0000_0000),
        ],
        threads=[Thread(11, (STACK, bytes(64)), context)],
        fault=Fault(11, 11, 0, (), context),
        extra={0x47670005: b'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12"\n'},
    )
    made = told(tmp_path, dump)
    assert (made.system.os, made.system.build) == ("Debian GNU/Linux 12", "6.1.0")
    assert made.exception is not None
    assert made.exception.name == "SIGSEGV"
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "server"
    assert any("Linux" in one for one in made.verdict.cannot_tell)


def test_an_uncaught_cpp_exception_is_told_from_the_first_frame_outside_windows(tmp_path: Path) -> None:
    made = told(tmp_path, crash(NTDLL + 0x1500, EXE + 0x1234, code=0xE06D7363, parameters=()))
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "acme.exe"
    assert "C++ exception" in made.verdict.summary
    assert made.bucket.failure_bucket_id == "CPP_EXCEPTION_e06d7363_Acme.exe!Unknown"


def test_the_same_crash_elsewhere_has_the_same_signature(tmp_path: Path) -> None:
    moved = [Module(one.path, one.base + 0x5000_0000, version=one.version) for one in MODULES]
    here = told(tmp_path, crash(EXE + 0x1234))
    there = told(tmp_path, crash(EXE + 0x5000_1234, modules=moved))
    assert here.bucket.signature == there.bucket.signature
