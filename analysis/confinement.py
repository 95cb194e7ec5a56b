"""What a process gives up before it looks at a hostile file: memory, processor time, the network, writing, others.

A hostile dump can then at worst kill its own process. Everything here is best effort: what this system does not
allow is said in a sentence, and the analysis goes on without it.
"""

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from analysis.errors import LimitReached

if sys.platform != "win32":
    import resource

KILL_AFTER = 5  # seconds between the polite and the hard end of the processor limit

# linux/prctl.h, linux/seccomp.h, linux/filter.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_NOT_BELOW, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4  # in struct seccomp_data
_OTHER_NUMBERS = 0x4000_0000  # x32 calls carry this bit: the same calls under other numbers
# linux/audit.h and the system call tables: socket, connect, io_uring_setup (which can open sockets too); then what
# reaches into other processes: ptrace, process_vm_readv, process_vm_writev, pidfd_getfd.
_CALLS = {
    "x86_64": (0xC000_003E, (41, 42, 425, 101, 310, 311, 438)),
    "aarch64": (0xC000_00B7, (198, 203, 425, 117, 270, 271, 438)),
}
# linux/landlock.h: one number on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_WRITE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE, _TRUNCATE = 1 << 4, 1 << 5, 0x7F << 6, 1 << 14
_TRUNCATE_SINCE = 3  # version of Landlock


def cap_memory(size: int) -> str | None:
    """Caps the process' own data at ``size`` bytes; a mapped dump does not count. A sentence where not possible."""
    if sys.platform == "win32":
        return "the memory of the analysis is not capped: this system has no such limit"
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard < 0 else min(size, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    return None


def cap_time(seconds: int) -> str | None:
    """Caps processor time: LimitReached is raised after ``seconds``, and soon after that the process is killed."""
    if sys.platform == "win32":
        return "the processor time of the analysis is not capped: this system has no such limit"

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise LimitReached("processor seconds", seconds)

    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard < 0 or hard >= seconds + KILL_AFTER:
        signal.signal(signal.SIGXCPU, too_long)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + KILL_AFTER))
    return None


def cap_file_size(size: int) -> str | None:
    """Caps each file that the process writes at ``size`` bytes: more is an OSError. A sentence where not possible."""
    if sys.platform == "win32":
        return "the size of unpacked files is not capped by the system: it has no such limit"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # else it kills; ignored, the write fails
    resource.setrlimit(resource.RLIMIT_FSIZE, (size if hard < 0 else min(size, hard), hard))
    return None


def end_with_parent() -> str | None:
    """The process is killed when the one that started it ends, however that ends. A sentence where not possible."""
    if sys.platform != "linux":
        return "an analysis whose starter is killed goes on to its end: this system offers no way to stop it"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        return f"an analysis whose starter is killed goes on to its end: {errno.errorcode.get(ctypes.get_errno())}"
    return None


def cut_off_network() -> str | None:
    """No socket can be made or connected from now on. A sentence where this system does not allow that."""
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        return "the analysis is not cut off from the network: this system offers no way to do it"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return _refused()
    code = b"".join(_filter(*_CALLS[platform.machine()]))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(program), 0, 0):
        return _refused()
    return None


def confine_files(writable: Iterable[Path], readable: Iterable[Path] | None = None) -> str | None:
    """Nothing can be written, made or removed outside ``writable`` from now on, and no other process' memory touched.

    With ``readable`` reading is confined too: to those, to ``writable`` and to what Python itself loads from. A
    sentence where this system does not allow it. Source: docs.kernel.org/userspace-api/landlock.html.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG) if sys.platform == "linux" else -1
    if version < 1 or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return "the files that a child may write are not confined: this system has no Landlock"
    write = _WRITE | _REMOVE_DIR | _REMOVE_FILE | _MAKE | (_TRUNCATE if version >= _TRUNCATE_SINCE else 0)
    read = _READ_FILE | _READ_DIR if readable is not None else 0
    rules = libc.syscall(_CREATE_RULESET, struct.pack("=Q", read | write), 8, 0)
    try:
        for path in writable:
            _allow(libc, rules, path, read | write)
        for path in (*readable, *_python_paths()) if readable is not None else ():
            _allow(libc, rules, path, read)
        if libc.syscall(_RESTRICT_SELF, rules, 0):
            return f"the files that a child may write are not confined: {errno.errorcode.get(ctypes.get_errno())}"
    finally:
        os.close(rules)
    return None


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH)  # type: ignore[attr-defined,unused-ignore]  # Linux only
    except FileNotFoundError:
        return
    try:
        on_file = _WRITE | _READ_FILE | _TRUNCATE  # the others make sense for directories only
        libc.syscall(
            _ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights if path.is_dir() else rights & on_file, place), 0
        )
    finally:
        os.close(place)


def _python_paths() -> list[Path]:
    own = [*sys.path, sys.prefix, sys.base_prefix]
    return [Path(path) for path in (*own, "/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache") if path]


def hide_from_children() -> str | None:
    """Other processes of this user can read neither this one's memory nor its environment, where tokens stand.

    A sentence where not possible.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform != "linux" or libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        return "the environment of this process can be read by its user's other processes"
    return None


def _filter(architecture: int, calls: tuple[int, ...]) -> list[bytes]:
    # A classic BPF program. Calls of another architecture (32-bit ones in a 64-bit process) or of x32, and the named
    # calls, fail with EPERM; all others pass. Jumps count the instructions to skip.
    last = len(calls)
    return [
        _instruction(_LOAD_WORD, value=_ARCH_OFFSET),
        _instruction(_JUMP_IF_EQUAL, 0, last + 3, architecture),
        _instruction(_LOAD_WORD, value=_NUMBER_OFFSET),
        _instruction(_JUMP_IF_NOT_BELOW, last + 1, 0, _OTHER_NUMBERS),
        *(_instruction(_JUMP_IF_EQUAL, last - index, 0, call) for index, call in enumerate(calls)),
        _instruction(_RETURN, value=_ALLOW),
        _instruction(_RETURN, value=_ERRNO | errno.EPERM),
    ]


def _instruction(code: int, if_true: int = 0, if_false: int = 0, value: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refused() -> str:
    return f"the analysis is not cut off from the network: {errno.errorcode.get(ctypes.get_errno(), 'refused')}"
