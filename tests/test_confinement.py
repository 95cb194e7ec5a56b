"""What an analysis gives up. Each test runs in a process of its own: there is no way back."""

import subprocess
import sys

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
