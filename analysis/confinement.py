"""What the process of an analysis gives up before it looks at a file: memory, processor time, the network.

A hostile dump can then at worst kill its own process. Everything here is best effort: what this system does not
allow is said in a sentence, and the analysis goes on without it.
"""

import ctypes
import errno
import platform
import signal
import struct
import sys
from types import FrameType

from analysis.errors import LimitReached

if sys.platform != "win32":
    import resource

KILL_AFTER = 5  # seconds between the polite and the hard end of the processor limit

# linux/prctl.h, linux/seccomp.h, linux/filter.h
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_NUMBER_OFFSET, _ARCH_OFFSET = 0, 4  # in struct seccomp_data
# linux/audit.h and the system call tables: socket, connect, io_uring_setup (which can open sockets too).
_CALLS = {"x86_64": (0xC000_003E, (41, 42, 425)), "aarch64": (0xC000_00B7, (198, 203, 425))}


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


def _filter(architecture: int, calls: tuple[int, ...]) -> list[bytes]:
    # A classic BPF program: calls of another architecture and all but the named calls pass, those fail with EPERM.
    last = len(calls)
    return [
        _instruction(_LOAD_WORD, value=_ARCH_OFFSET),
        _instruction(_JUMP_IF_EQUAL, 0, last + 1, architecture),
        _instruction(_LOAD_WORD, value=_NUMBER_OFFSET),
        *(_instruction(_JUMP_IF_EQUAL, last - index, 0, call) for index, call in enumerate(calls)),
        _instruction(_RETURN, value=_ALLOW),
        _instruction(_RETURN, value=_ERRNO | errno.EPERM),
    ]


def _instruction(code: int, if_true: int = 0, if_false: int = 0, value: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refused() -> str:
    return f"the analysis is not cut off from the network: {errno.errorcode.get(ctypes.get_errno(), 'refused')}"
