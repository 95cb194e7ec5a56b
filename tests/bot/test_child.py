"""The analysis process: its word is taken, its death is told, nothing of it outlives the job."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bot.child import PROGRAM, AnalysisFailed, Child, ChildLimits, Order, analyze, environment, start
from tests.bot.kit import until
from tests.storage.samples import report

ROOT = Path(__file__).parents[2]
LIMITS = ChildLimits(seconds=20, memory_bytes=1_000_000_000)


def program(code: str) -> tuple[str, ...]:
    return ("-c", "import json, os, sys, time\n" + textwrap.dedent(code))


def say(message: object) -> str:
    return f"print({json.dumps(json.dumps(message))}, flush=True)\n"


def failure(code: str, limits: ChildLimits = LIMITS) -> AnalysisFailed:
    with pytest.raises(AnalysisFailed) as caught:
        start(Order(Path("x.dmp")), limits, program(code)).document()
    return caught.value


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z":
            return True  # dead, and init has not looked yet
        time.sleep(0.02)
    return False


def test_stages_are_told_and_the_report_comes_back() -> None:
    told: list[tuple[str, float | None]] = []
    code = "print('a library chatters')\n" + say({"stage": "symbols", "fraction": 0.5}) + say({"stage": "waits"})
    code += say({"stage": "odd", "fraction": 7}) + "print('[1, 2]')\n" + say({"report": report().to_json()})
    child = start(Order(Path("x.dmp")), LIMITS, program(code))
    assert child.report(lambda stage, fraction: told.append((stage, fraction))) == report()
    assert told == [("symbols", 0.5), ("waits", None), ("odd", 1.0)]


def test_the_child_is_told_what_to_read(tmp_path: Path) -> None:
    order = Order(tmp_path / "x.dmp", "https://h/x.dmp", (tmp_path / "sym",), tmp_path / "cache", "ab", 1.5)
    told = tmp_path / "told"
    code = f"open({str(told)!r}, 'w').write(sys.stdin.read())"
    with pytest.raises(AnalysisFailed):
        start(order, LIMITS, program(code)).document()
    path, options = json.loads(told.read_text())
    assert path == str(tmp_path / "x.dmp")
    assert json.loads(options) == {
        "source": "https://h/x.dmp",
        "symbols": [str(tmp_path / "sym")],
        "cache": str(tmp_path / "cache"),
        "rules": None,
        "marks": None,
        "sha256": "ab",
        "fetch_seconds": 1.5,
        "ask": False,
        "every_symbol": False,
        "memory_bytes": LIMITS.memory_bytes,
        "cpu_seconds": 20,
    }


def test_what_the_child_says_went_wrong_is_passed_on_in_one_printable_line() -> None:
    said = {"kind": "not-a-dump", "message": "this is a zip\narchive \x1b[31m" + "x" * 999, "exit_code": 3}
    failed = failure(say({"error": said}) + "sys.exit(3)")
    assert (failed.kind, failed.exit_code) == ("not-a-dump", 3)
    assert failed.line.startswith("this is a zip archive ?[31mxxx")
    assert len(failed.line) == 300
    assert failure(say({"error": {"kind": "odd", "message": "x", "exit_code": 99}})).exit_code == 1


def test_a_child_that_dies_without_a_word_is_a_fault_with_its_last_line() -> None:
    failed = failure("print('first', file=sys.stderr); print('last words', file=sys.stderr); sys.exit(9)")
    assert failed.line == "the analysis ended with status 9 without a result: last words"
    assert failed.exit_code == 1
    crashed = failure("import ctypes; ctypes.string_at(0)")
    assert crashed.line.startswith("the analysis died of signal 11 without a result")


def test_a_report_that_breaks_the_contract_is_a_fault() -> None:
    document = report().to_json() | {"schema_version": "x"}
    failed = failure(say({"report": document}))
    assert (failed.kind, failed.exit_code) == ("fault", 1)
    assert "breaks its contract" in failed.line


def test_the_kill_timer_stops_a_child_and_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
        if os.fork() == 0:
            pass
        with open({str(pids)!r}, "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        time.sleep(60)
    """
    started = time.monotonic()
    failed = failure(code, ChildLimits(seconds=1.0))
    assert time.monotonic() - started < 50  # of the 60 that it would take
    assert failed.line == "stopped: the analysis was not finished after 1 s"
    assert (failed.kind, failed.exit_code) == ("time", 5)
    assert len(pids.read_text().split()) == 2
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_what_a_finished_child_left_running_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = """
        if os.fork() == 0:
            os.close(1)
            time.sleep(60)
        else:
            time.sleep(0.2)
    """
    code = textwrap.dedent(code).replace("os.close(1)", f"os.close(1); open({str(pid)!r}, 'w').write(str(os.getpid()))")
    code += say({"report": report().to_json()})
    assert start(Order(Path("x.dmp")), LIMITS, program(code)).report() == report()
    assert gone(int(pid.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="the cap from outside is prlimit's")
def test_the_memory_cap_holds_whatever_the_child_does() -> None:
    code = """
        try:
            hoard = [bytearray(50_000_000) for _ in range(100)]
        except MemoryError:
            print(json.dumps({"error": {"kind": "memory", "message": "out of memory", "exit_code": 5}}))
    """
    failed = failure(code, ChildLimits(seconds=20, memory_bytes=300_000_000))
    assert (failed.kind, failed.exit_code) == ("memory", 5)


def test_a_child_killed_by_the_system_ran_out_of_memory() -> None:
    failed = failure("os.kill(os.getpid(), 9)")
    assert (failed.kind, failed.exit_code) == ("memory", 5)


def test_no_token_reaches_the_child() -> None:
    ours = {"PATH": "/bin", "PILEUP_SLACK_BOT_TOKEN": "xoxb-1", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/lib"}
    theirs = environment(ours)
    assert not any("TOKEN" in name or "SECRET" in name for name in theirs)
    assert theirs["PATH"] == "/bin"
    assert theirs["PYTHONPATH"].endswith(os.pathsep + "/lib")


async def test_the_event_loop_goes_on_while_a_child_works(tmp_path: Path) -> None:
    told: list[str] = []
    # The child goes on when the loop did something: a loop that only waited for it would wait for ever.
    wait = f"while not os.path.exists({str(tmp_path / 'ticked')!r}): time.sleep(0.01)\n"
    code = say({"stage": "symbols"}) + wait + say({"report": report().to_json()})
    order = Order(Path("x.dmp"))
    task = asyncio.create_task(analyze(order, LIMITS, lambda stage, _: told.append(stage), program(code)))
    await until(lambda: told == ["symbols"])
    (tmp_path / "ticked").touch()
    assert await task == report()
    assert told == ["symbols"]


async def test_cancelling_kills_the_child(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    task = asyncio.create_task(analyze(Order(Path("x.dmp")), LIMITS, program=program(code)))
    while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110  # another process writes it
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(int(pid.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="prctl's")
def test_a_killed_starter_takes_the_analysis_with_it(tmp_path: Path) -> None:
    # The starter is killed with SIGKILL in the middle; the child sleeps and would never notice by itself.
    child = f"""
        from analysis.confinement import end_with_parent
        end_with_parent()
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(60)
    """
    starter = f"""
        from pathlib import Path
        from bot.child import ChildLimits, Order, start
        start(Order(Path("x.dmp")), ChildLimits(), {program(child)!r}).document()
    """
    process = subprocess.Popen([sys.executable, *program(starter)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    for _ in range(500):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_child_without_an_order_ends_when_it_is_stopped() -> None:
    child = Child()
    assert child.stop() == -9
    assert child.stop() == -9


def test_a_child_whose_starter_dies_before_the_order_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, *PROGRAM], input="", capture_output=True, text=True, env=environment(os.environ), check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
