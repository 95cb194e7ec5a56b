"""WinDbg's analyses of programs: judged by the frames they show, with WinDbg's own verdict beside."""

from pathlib import Path

import pytest

from analysis.pipeline import Options, analyze
from analysis.verdict.report import Report

LINES = "*" * 79
TEXT = """{stars}
*                        Exception Analysis                                   *
{stars}

EXCEPTION_RECORD:  (.exr -1)
ExceptionAddress: 00007ffb1c2d101c (acmeplug!Acme::Next+0x000000000000001c)
   ExceptionCode: {code}
  ExceptionFlags: 00000000
NumberParameters: 2
   Parameter[0]: 0000000000000000
   Parameter[1]: 0000000000000010

FAULTING_THREAD:  00001a2c

PROCESS_NAME:  Acme.exe

STACK_TEXT:
{stack}

SYMBOL_NAME:  {module}!Something+1c

MODULE_NAME: {module}

IMAGE_NAME:  {module}.dll

FAILURE_BUCKET_ID:  {bucket}

OSPLATFORM_TYPE:  x64

Followup:     MachineOwner
---------
"""
BELOW = ("acme!main+0x84", "kernel32!BaseThreadInitThunk+0x14", "ntdll!RtlUserThreadStart+0x21")
FAULT = ("acmeplug!Acme::Next+0x1c", "acmeplug!Acme::Run+0x40", *BELOW)
THROWN = ("KERNELBASE!RaiseException+0x69", "VCRUNTIME140!_CxxThrowException+0xa7", *BELOW)
WAITS = (
    "ntdll!NtWaitForSingleObject+0x14",
    "KERNELBASE!WaitForSingleObjectEx+0x8e",
    "acmeplug!Acme::Join+0x84",
    *BELOW,
)


def told(directory: Path, frames: tuple[str, ...], code: str, module: str, bucket: str, rules: str = "") -> Report:
    rows = (
        f"000000d1`2f2ff{at:03x} 00007ffb`1c2d{at:04x} : 00000000`00000000 00000000`00000001 00000000`00000000 "
        f"00000000`00000000 : {frame}"
        for at, frame in zip(range(0x100, 0x800, 0x40), frames, strict=False)
    )
    path, own = directory / "analysis.txt", directory / "own.toml"
    path.write_text(TEXT.format(stars=LINES, stack="\n".join(rows), code=code, module=module, bucket=bucket))
    own.write_text(rules)
    made = analyze(path, Options(rules=own if rules else None))
    made.to_json()
    return made


def test_a_fault_is_that_of_the_module_it_happened_in(tmp_path: Path) -> None:
    bucket = "NULL_POINTER_READ_c0000005_acmeplug.dll!Acme::Next"
    made = told(tmp_path, FAULT, "c0000005 (Access violation)", "acmeplug", bucket)
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.verdict.culprit.kind) == ("acmeplug.dll", "process")
    assert made.verdict.confidence == "medium"
    assert made.verdict.summary.startswith("acmeplug.dll in acme.exe read address 0x10 (a null pointer)")
    assert made.bucket.failure_bucket_id == bucket
    assert made.windbg is not None
    assert made.windbg.agrees
    assert not made.dump.live
    assert not any("bugcheck" in line for line in made.verdict.cannot_tell)


def test_whoever_throws_is_looked_for_below_the_runtime(tmp_path: Path) -> None:
    made = told(
        tmp_path, THROWN, "e06d7363 (C++ EH exception)", "KERNELBASE", "CPP_EXCEPTION_e06d7363_KERNELBASE.dll!x"
    )
    assert made.verdict.culprit is not None
    assert (made.verdict.culprit.module, made.verdict.confidence) == ("acme.exe", "medium")
    assert {one.module for one in made.verdict.suspects} == {"kernelbase.dll", "vcruntime140.dll"}
    assert made.windbg is not None
    assert made.windbg.agrees is False


def test_a_program_that_waits_did_not_fail(tmp_path: Path) -> None:
    bucket = "APPLICATION_HANG_cfffffff_acmeplug.dll!Acme::Join"
    made = told(tmp_path, WAITS, "cfffffff", "acmeplug", bucket)
    assert made.dump.live
    assert "waits in NtWaitForSingleObject, called from acmeplug!Acme::Join+0x84" in made.verdict.summary
    assert made.bucket.failure_bucket_id == bucket


@pytest.mark.parametrize(
    ("rules", "culprit"),
    [
        ('[[ignore]]\nmodule = "acmeplug.dll"\n', "acme.exe"),
        ('[[ours]]\nmodule = "acmeplug*"\nteam = "Plug-ins"\n', "acmeplug.dll"),
    ],
)
def test_the_users_rules_hold_for_texts_of_programs(tmp_path: Path, rules: str, culprit: str) -> None:
    made = told(tmp_path, FAULT, "c0000005", "acmeplug", "NULL_POINTER_READ_c0000005_acmeplug.dll!x", rules)
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == culprit
    assert made.verdict.team == ("Plug-ins" if "team" in rules else None)


def test_an_older_text_gives_its_code_in_another_line(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text(
        "*                        Exception Analysis                                   *\n"
        "EXCEPTION_CODE: (NTSTATUS) 0xc0000005 - The instruction at 0x%08lx referenced memory at 0x%08lx.\n"
        "PROCESS_NAME:  old.exe\nSTACK_TEXT:\n"
        "0012f7a0 00401234 00000000 00000000 00000000 helper!Copy+0x14\n"
        "0012f7e0 7c816fe7 00000000 00000000 00000000 old!main+0x56\n\n"
        "MODULE_NAME: helper\nIMAGE_NAME:  helper.dll\nFAULTING_THREAD:  00000d5c\n"
    )
    made = analyze(path)
    assert made.verdict.culprit is not None
    assert made.verdict.culprit.module == "helper.dll"
    assert made.bucket.failure_bucket_id.endswith("_c0000005_helper.dll!Copy")


def test_without_frames_windbgs_own_verdict_is_all_there_is(tmp_path: Path) -> None:
    made = told(tmp_path, (), "c0000005", "acmeplug", "NULL_POINTER_READ_c0000005_acmeplug.dll!x")
    assert made.verdict.confidence in ("low", "none")
