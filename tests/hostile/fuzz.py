"""Coverage-guided fuzzing of every parser: ``python -m tests.hostile.fuzz [TARGET ...] --seconds 600``.

Each target runs in a process of its own under atheris, bounded in memory and in time for each input, from the seeds of
the forge and the kept corpus. Prints executions, coverage reached and findings; a finding is an error.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.target import MAX_INPUT, Target
from tests.hostile.targets import TARGETS, target_named

CORPUS = Path(__file__).with_name("corpus")
MEMORY_MB = 1024  # resident, of the process that is fuzzed; Python and numpy alone take about 100
INPUT_SECONDS = 10  # one input
ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Result:
    """What a run gave. ``edges`` are libFuzzer's, of all code that is instrumented; ``lines`` are (reached, all) of the
    target's own modules."""

    executions: int = 0
    seconds: float = 0.0
    edges: int = 0
    findings: list[str] = field(default_factory=list)
    lines: tuple[int, int] = (0, 0)


def main() -> int:
    """Fuzz the targets one after another; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(target.name for target in TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--work", type=Path, default=Path("build/fuzz"), help="where corpora and findings are kept")
    arguments = parser.parse_args()
    found = False
    for target in [target_named(name) for name in arguments.targets] or TARGETS:
        result = fuzz(target, arguments.seconds, arguments.work)
        result.lines = lines_reached(target, arguments.work.absolute() / "corpus" / target.name)
        found |= bool(result.findings)
        print(line_of(target, result), flush=True)
        for finding in result.findings:
            print(f"    found: {finding}", flush=True)
    return 1 if found else 0


def line_of(target: Target, result: Result) -> str:
    """One row of the table."""
    reached, lines = result.lines
    share = 100 * reached / lines if lines else 0
    return (
        f"{target.name:9} {result.executions:10,} executions in {result.seconds:6.1f} s "
        f"{result.edges:6,} edges, {reached:5,} of {lines:5,} lines ({share:.0f} %), {len(result.findings)} findings"
    )


def fuzz(target: Target, seconds: float, work: Path, root: Path = ROOT, *, only_first: bool = False) -> Result:
    """Fuzz one target with the code below ``root``. The corpus goes to ``work/corpus/NAME``, findings beside it."""
    corpus, findings = work.absolute() / "corpus" / target.name, work.absolute() / "findings" / target.name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(target.seeds()):
        (corpus / f"seed-{index}").write_bytes(seed)
    known = {path.name for path in findings.iterdir()}
    result, started = Result(), time.monotonic()
    # A hang or too much memory ends the process: another one goes on for the rest of the time.
    while (left := seconds - (time.monotonic() - started)) >= 1 and not (only_first and result.findings):
        _session(target, left, (corpus, findings), root, result, only_first=only_first)
        result.findings = sorted(
            path.name for path in findings.iterdir() if path.name not in known and path.suffix != ".txt"
        )
    result.seconds = time.monotonic() - started
    return result


def _session(
    target: Target, seconds: float, folders: tuple[Path, Path], root: Path, result: Result, *, only_first: bool
) -> None:
    corpus, findings = folders
    known = set(findings.iterdir())
    kept = [str(folder) for folder in (CORPUS / target.name,) if folder.is_dir()]
    command = [
        sys.executable, "-m", "tests.hostile.harness", target.name, str(findings),
        "first" if only_first else "all", str(corpus), *kept,
        f"-max_total_time={int(seconds)}", f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={MAX_INPUT}", f"-artifact_prefix={findings}/", "-print_final_stats=1",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=root,
        env=environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
        check=False,
    )
    executed = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stdout) or re.findall(
        r"^#(\d+)", done.stdout, re.MULTILINE
    )
    if not executed:
        raise RuntimeError(f"the harness of {target.name} did not run:\n{done.stdout[-2000:]}")
    for ended in set(findings.glob("*-*")) - known:
        if ended.name.startswith(("oom-", "timeout-", "slow-unit-")) and not _happens_alone(target, ended, root):
            ended.unlink()
    result.executions += int(executed[-1])
    result.edges = max([result.edges, *map(int, re.findall(r"\bcov: (\d+)", done.stdout))])


def _happens_alone(target: Target, found: Path, root: Path) -> bool:
    # A library that leaks a little each time fills the memory after tens of thousands of inputs, and a machine may be
    # busy: no input is to blame that does nothing of the kind in a process of its own.
    command = [
        sys.executable, "-m", "tests.hostile.harness", target.name, str(found.parent), "all", str(found),
        f"-timeout={INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=root, env=environment(root), capture_output=True, check=False)
    return done.returncode != 0


def environment(root: Path) -> dict[str, str]:
    """For a process that runs the code below ``root``."""
    return {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": tempfile.gettempdir()}


def lines_reached(target: Target, corpus: Path) -> tuple[int, int]:
    """How many lines of the target's modules its corpus reaches, of how many."""
    command = [sys.executable, "-m", "tests.hostile.reached", target.name, str(corpus), str(CORPUS / target.name)]
    done = subprocess.run(command, cwd=ROOT, env=environment(ROOT), stdout=subprocess.PIPE, text=True, check=True)
    reached, lines = json.loads(done.stdout.splitlines()[-1])
    return reached, lines


if __name__ == "__main__":
    sys.exit(main())
