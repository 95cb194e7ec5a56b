"""Whole analyses: forged machines and real small dumps, from file to report."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import analysis.pipeline
from analysis.errors import BadDump, NotADump
from analysis.fingerprint import NOT_HASHED
from analysis.pipeline import Options, analyze, public_source
from analysis.verdict.report import Report
from tests.forge import Forged, forge
from tests.formats.built import full

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not (SHARED / "dumps").exists(), reason="no ../shared/data")


@pytest.fixture(scope="module")
def seed() -> Forged:
    return forge("seed", build=19041, kind="bitmap")


@pytest.fixture(scope="module")
def seed_dump(seed: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seed") / "MEMORY.DMP"
    seed.write(path)
    return path


@pytest.fixture(scope="module")
def seed_symbols(seed: Forged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("symbols")
    seed.write_isf(directory)
    return directory


def test_the_seed_story_is_told(seed: Forged, seed_dump: Path, seed_symbols: Path) -> None:
    report = analyze(seed_dump, Options(symbols=(seed_symbols,)))
    verdict, expected = report.verdict, seed.facts.expected
    assert verdict.culprit is not None
    assert verdict.culprit.module == expected.culprit
    assert verdict.culprit.service == expected.service
    assert verdict.culprit.instance_path == expected.instance_path
    assert verdict.culprit.device == "WAN Miniport (SSTP)"
    assert (verdict.stack_culprit, verdict.device_culprit) == (expected.culprit, expected.culprit)
    assert verdict.confidence == "high"
    assert verdict.summary == (
        "rassstp.sys did not return from the surprise removal of WAN Miniport (SSTP) "
        "and held nt!PiEngineLock exclusively for 300 s."
    )
    assert verdict.impact is not None
    assert verdict.impact.startswith("wininit.exe (system shutdown) was waiting for it for 300 s")
    assert [one.module for one in verdict.suspects] == ["ndis.sys"]
    assert report.blocking.root is not None
    assert report.blocking.root.thread == f"{expected.root:#x}"
    assert {one.thread for one in report.blocking.blocked_threads} == {f"{one.thread:#x}" for one in expected.blocked}
    assert report.bucket.failure_bucket_id == "0x9F_4_rassstp!unknown_function"
    assert report.bucket.signature == "0x9f:4 rassstp.sys rassstp lock=nt!PiEngineLock service=rassstp"
    assert report.bugcheck is not None
    assert report.bugcheck.parameters[3].resolved == (
        rf"Plug and Play waits for the drivers of {expected.instance_path}"
    )


def test_without_symbols_the_lock_is_described_and_nothing_else_changes(seed: Forged, seed_dump: Path) -> None:
    report = analyze(seed_dump)
    assert report.verdict.culprit is not None
    assert report.verdict.culprit.module == seed.facts.expected.culprit
    assert report.verdict.confidence == "high"
    lock = report.blocking.chains[0].lock
    assert lock.name is None
    assert "ntoskrnl.exe" in lock.description
    assert any("symbol table" in line for line in report.verdict.cannot_tell)


def test_both_ways_of_naming_it_meet_in_one_signature(seed_dump: Path, seed_symbols: Path) -> None:
    named, unnamed = analyze(seed_dump, Options(symbols=(seed_symbols,))), analyze(seed_dump)
    assert unnamed.bucket.signature in named.bucket.aliases


def test_the_report_is_valid_and_comes_back_from_json(seed_dump: Path) -> None:
    report = analyze(seed_dump)
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_progress_only_goes_forward_and_ends(seed_dump: Path) -> None:
    seen: list[tuple[str, float | None]] = []
    analyze(seed_dump, progress=lambda stage, fraction: seen.append((stage, fraction)))
    fractions = [fraction for _, fraction in seen if fraction is not None]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [stage for stage, _ in seen][:3] == ["open", "memory", "symbols"]


@pytest.mark.parametrize("stage", ["open_memory", "open_kernel_symbols", "read_scene", "explain", "find_waits", "tell"])
def test_a_stage_that_fails_becomes_a_note_and_the_rest_stands(
    stage: str, seed_dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("by accident")

    monkeypatch.setattr(analysis.pipeline, stage, broken)
    report = analyze(seed_dump)
    report.to_json()
    assert any("ZeroDivisionError" in note for note in report.notes)
    assert report.system.processors == 4
    if stage not in ("explain", "find_waits"):
        assert report.verdict.culprit is None
    if stage != "explain":
        assert report.bugcheck is not None
        assert report.bugcheck.code == "0x9f"


def test_memory_and_limits_are_not_mere_notes(seed_dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> object:
        raise MemoryError

    monkeypatch.setattr(analysis.pipeline, "read_scene", exhausted)
    with pytest.raises(MemoryError):
        analyze(seed_dump)


@pytest.mark.parametrize("pointer", [0x4242_4242_4242_4242, None], ids=["nowhere", "a process"])
def test_a_parameter_that_names_no_thread_leaves_the_locks_to_speak(
    pointer: int | None, seed: Forged, seed_dump: Path, tmp_path: Path
) -> None:
    raw = bytearray(seed_dump.read_bytes())
    raw[0x50:0x58] = (pointer or seed.facts.processes[0].address).to_bytes(8, "little")  # the header's parameter 3
    damaged = tmp_path / "damaged.dmp"
    damaged.write_bytes(raw)
    report, expected = analyze(damaged), seed.facts.expected
    assert report.blocking.root is not None
    assert report.blocking.root.thread == f"{expected.root:#x}"
    assert report.verdict.culprit is not None
    assert (report.verdict.culprit.module, report.verdict.confidence) == (expected.culprit, "medium")
    assert report.verdict.reasons[0].startswith("there is no thread at 0x")


def test_a_truncated_dump_gives_a_partial_report(seed_dump: Path, tmp_path: Path) -> None:
    whole = seed_dump.read_bytes()
    short = tmp_path / "short.dmp"
    short.write_bytes(whole[: len(whole) // 3])
    report = analyze(short)
    report.to_json()
    assert report.bugcheck is not None
    assert report.bugcheck.code == "0x9f"
    assert any("truncated" in line for line in report.verdict.cannot_tell + report.notes)


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    page = tmp_path / "page.dmp"
    page.write_text("<!DOCTYPE html><html><title>Sign in</title></html>")
    with pytest.raises((NotADump, BadDump)):
        analyze(page)


def test_a_large_dump_is_not_hashed_unless_the_hash_is_known(seed_dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = analyze(seed_dump)
    assert told.dump.sha256 == hashlib.sha256(seed_dump.read_bytes()).hexdigest()
    monkeypatch.setattr("analysis.fingerprint.HASH_LIMIT", 1000)
    unhashed = analyze(seed_dump)
    assert unhashed.dump.sha256 is None
    assert [line for line in unhashed.verdict.cannot_tell if line not in told.verdict.cannot_tell] == [NOT_HASHED]
    known = "ab" * 32
    assert analyze(seed_dump, Options(sha256=known)).dump.sha256 == known


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("https://user:secret@host.example:8443/dumps/a.dmp?sig=abc#x", "https://host.example:8443/dumps/a.dmp"),
        (r"C:\Users\me\MEMORY.DMP", "MEMORY.DMP"),
        ("/home/me/MEMORY.DMP", "MEMORY.DMP"),
        ("MEMORY.DMP", "MEMORY.DMP"),
        (None, "file.dmp"),
    ],
)
def test_the_source_holds_nothing_private(source: str | None, told: str) -> None:
    assert public_source(source, Path("/secret/folder/file.dmp")) == told


# Real small dumps


@pytest.mark.shared
@needs_data
def test_the_x64_dump_blames_the_driver_of_the_faulting_instruction() -> None:
    report = analyze(SHARED / "dumps" / "triage_x64.dmp", Options(symbols=(SHARED / "symbols",)))
    assert report.bugcheck is not None
    assert (report.bugcheck.raw_code, report.bugcheck.code) == ("0x1000007e", "0x7e")
    assert report.verdict.culprit is not None
    assert (report.verdict.culprit.module, report.verdict.culprit.function) == ("amdppm.sys", "amdppm+0x334c")
    assert report.system.build == "10.0.19041.804"
    assert len([module for module in report.modules if not module.unloaded]) == 151
    assert any(frame.symbol.startswith("nt!") for thread in report.threads for frame in thread.stack)
    assert report.dump.live is False


@pytest.mark.shared
@needs_data
def test_the_arm64_dump_is_a_power_button_stop_and_blames_nobody() -> None:
    report = analyze(SHARED / "dumps" / "triage_arm64.dmp", Options(symbols=(SHARED / "symbols",)))
    assert report.bugcheck is not None
    assert report.bugcheck.code == "0x1c8"
    assert "power button for 7 s" in report.bugcheck.explanation
    assert (report.verdict.culprit, report.verdict.confidence) == (None, "none")
    assert report.verdict.stack_culprit is None
    assert any("small dump" in line for line in report.verdict.cannot_tell)


# The child process


def child(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-m", "analysis", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_the_child_tells_stages_and_ends_with_the_report(seed_dump: Path) -> None:
    status, lines, _ = child(str(seed_dump), json.dumps({"source": "https://host.example/x.dmp?token=1"}))
    assert status == 0
    assert {"stage", "fraction"} == set(lines[0])
    assert lines[-1]["report"]["dump"]["source"] == "https://host.example/x.dmp"
    assert lines[-1]["report"]["verdict"]["culprit"]["module"] == "rassstp.sys"


def test_the_child_names_what_is_no_dump(tmp_path: Path) -> None:
    empty = tmp_path / "empty.dmp"
    empty.touch()
    status, lines, errors = child(str(empty))
    assert status == 3
    assert lines[-1]["error"]["exit_code"] == 3
    assert "empty" in lines[-1]["error"]["message"]
    assert "Traceback" not in errors


def test_the_child_has_no_file_to_read(tmp_path: Path) -> None:
    status, lines, _ = child(str(tmp_path / "nothing.dmp"))
    assert status == 2
    assert lines[-1]["error"]["kind"] == "no-file"
    assert str(tmp_path) not in lines[-1]["error"]["message"]


def test_the_child_ends_at_its_memory_cap(seed_dump: Path) -> None:
    status, lines, _ = child(str(seed_dump), json.dumps({"memory_bytes": 30 << 20}))
    assert status != 0
    assert all("report" not in line for line in lines)


def test_the_child_is_used_as_it_says() -> None:
    status, lines, errors = child()
    assert (status, lines) == (2, [])
    assert errors.startswith("usage:")


@pytest.mark.parametrize(
    ("code", "first_parameter", "live"),
    [
        (b"MATT", b"MOONSOLS", True),
        (b"PAGE", b"PAGEPAGE", True),
        (bytes(4), b"MOONSOLS", True),
        (b"\x9f\0\0\0", b"\4\0\0\0\0\0\0\0", False),
        (bytes(4), bytes(8), False),
    ],
)
def test_a_capture_is_no_crash(tmp_path: Path, code: bytes, first_parameter: bytes, live: bool) -> None:
    path = tmp_path / "capture.dmp"
    dump = full({1: b"x"})
    dump[0x38:0x3C], dump[0x40:0x48] = code, first_parameter
    path.write_bytes(dump)
    assert analyze(path).dump.live is live


def test_a_file_cut_short_says_so_where_a_person_looks(seed_dump: Path, tmp_path: Path) -> None:
    whole = analyze(seed_dump)
    assert not any("cut short" in sentence for sentence in whole.verdict.cannot_tell)
    path = tmp_path / "cut.dmp"
    path.write_bytes(seed_dump.read_bytes()[:0x100000])
    cut = analyze(path)
    assert cut.verdict.cannot_tell[0].startswith("The file is cut short")
    assert cut.bugcheck is not None
    assert cut.bugcheck.raw_code == "0x9f"
