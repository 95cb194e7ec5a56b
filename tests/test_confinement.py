"""What an analysis gives up. Each test runs in a process of its own: there is no way back."""

import subprocess
import sys
from pathlib import Path

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@linux
def test_no_socket_can_be_made_and_files_still_open() -> None:
    code = """
import socket
from analysis.confinement import cut_off_network
note = cut_off_network()
try:
    socket.socket()
    made = True
except PermissionError:
    made = False
open(__import__("sys").executable, "rb").close()
print(note, made)
"""
    note, _, made = run(code).rpartition(" ")
    assert (note == "None") == (made == "False")


@linux
def test_memory_beyond_the_cap_is_refused() -> None:
    code = """
from analysis.confinement import cap_memory
cap_memory(200 << 20)
try:
    bytearray(400 << 20)
    print("granted")
except MemoryError:
    print("refused")
"""
    assert run(code) == "refused"


@linux
def test_time_beyond_the_cap_raises_a_limit() -> None:
    code = """
from analysis.confinement import cap_time
from analysis.errors import LimitReached
cap_time(1)
try:
    while True:
        pass
except LimitReached as reached:
    print(reached.limit, reached.value)
"""
    assert run(code) == "processor seconds 1"


@linux
def test_nothing_is_written_elsewhere_and_no_other_process_is_touched(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from analysis.confinement import confine_files
inside, outside = Path({str(tmp_path)!r}, "in"), Path({str(tmp_path)!r}, "out")
inside.mkdir(), outside.mkdir()
(outside / "kept").write_text("kept")
note = confine_files([inside])
(inside / "made").write_text("x")
tries = (
    lambda: (outside / "made").write_text("x"),
    lambda: (outside / "kept").write_text("x"),
    lambda: (outside / "kept").unlink(),
    lambda: (inside / "made").rename(outside / "moved"),
    lambda: open(f"/proc/{{os.getppid()}}/mem", "rb").read(8),
)
done = []
for attempt in tries:
    try:
        attempt()
        done.append("done")
    except OSError:
        done.append("refused")
print(note, (outside / "kept").read_text(), *sorted(set(done)))
"""
    said = run(code)
    if said.startswith("None"):
        assert said == "None kept refused"
    else:
        assert "no Landlock" in said


@linux
def test_calls_of_another_architecture_and_of_x32_are_refused_too() -> None:
    code = """
import ctypes, errno, platform
from analysis.confinement import cut_off_network
note = cut_off_network()
libc = ctypes.CDLL(None, use_errno=True)
x32 = libc.syscall(0x40000000 + 41, 2, 1, 0), errno.errorcode.get(ctypes.get_errno())
ptrace = {"x86_64": 101}.get(platform.machine(), 117)
traced = libc.syscall(ptrace, 16, 1, 0, 0), errno.errorcode.get(ctypes.get_errno())
print(note, x32, traced)
"""
    said = run(code)
    assert said == "None (-1, 'EPERM') (-1, 'EPERM')" or said.startswith("the analysis is not cut off")


@linux
def test_a_file_that_grows_too_large_fails_to_grow(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from analysis.confinement import cap_file_size
cap_file_size(1000)
try:
    Path({str(tmp_path)!r}, "big").write_bytes(bytes(2000))
    print("written")
except OSError:
    print("refused")
"""
    assert run(code) == "refused"


@linux
def test_reading_can_be_confined_to_one_file(tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("dump")
    (tmp_path / "token").write_text("secret")
    code = f"""
from pathlib import Path
from analysis.confinement import confine_files
note = confine_files([], [Path({str(tmp_path)!r}, "dump")])
import wave  # what Python loads is still there
try:
    said = Path({str(tmp_path)!r}, "token").read_text()
except PermissionError:
    said = "refused"
print(note, Path({str(tmp_path)!r}, "dump").read_text(), said)
"""
    said = run(code)
    assert said == "None dump refused" or "no Landlock" in said
