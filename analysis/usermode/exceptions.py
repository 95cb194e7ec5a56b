"""What the exception of a process means: its name, what was accessed, and how WinDbg's buckets call it.

Sources: Microsoft Learn (EXCEPTION_RECORD, __fastfail); signal and Mach exception numbers of the public headers.
"""

from dataclasses import dataclass

from analysis.bugchecks.status import STATUS_NAMES
from analysis.formats.minidump import Platform, UserDump, UserException

ACCESS_VIOLATION, IN_PAGE_ERROR = 0xC0000005, 0xC0000006
STACK_OVERFLOW, HEAP_CORRUPTION, FAIL_FAST = 0xC00000FD, 0xC0000374, 0xC0000409
BREAKPOINT, CPP, CLR = 0x80000003, 0xE06D7363, 0xE0434352
NULL_PAGES = 0x1_0000  # addresses below can never be used: a null pointer and an offset
# Not failures: written when a watcher, a person or the program itself asked for a dump.
ON_REQUEST = {0xCFFFFFFF: "APPLICATION_HANG", 0x0517A7ED: "DUMP_WITHOUT_CRASH", 0x80000007: "WAKE_SYSTEM_DEBUGGER"}

SIGNALS = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    16: "SIGSTKFLT", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS", 0xFFFFFFFF: "DUMP_REQUESTED",
}  # fmt: skip
MACH = {
    1: "EXC_BAD_ACCESS", 2: "EXC_BAD_INSTRUCTION", 3: "EXC_ARITHMETIC", 4: "EXC_EMULATION", 5: "EXC_SOFTWARE",
    6: "EXC_BREAKPOINT", 7: "EXC_SYSCALL", 8: "EXC_MACH_SYSCALL", 9: "EXC_RPC_ALERT", 10: "EXC_CRASH",
    11: "EXC_RESOURCE", 12: "EXC_GUARD", 0x43507378: "SIMULATED",
}  # fmt: skip
FAST_FAILS = {
    0: "LEGACY_GS_VIOLATION", 1: "VTGUARD_CHECK_FAILURE", 2: "STACK_COOKIE_CHECK_FAILURE", 3: "CORRUPT_LIST_ENTRY",
    4: "INCORRECT_STACK", 5: "INVALID_ARG", 6: "GS_COOKIE_INIT", 7: "FATAL_APP_EXIT", 8: "RANGE_CHECK_FAILURE",
    9: "UNSAFE_REGISTRY_ACCESS", 10: "GUARD_ICALL_CHECK_FAILURE", 14: "INVALID_REFERENCE_COUNT",
    18: "INVALID_JUMP_BUFFER", 19: "MRDATA_MODIFIED", 23: "INVALID_FAST_FAIL_CODE", 24: "INVALID_SET_OF_CONTEXT",
    28: "INVALID_EXCEPTION_CHAIN", 29: "INVALID_BALANCED_TREE",
}  # fmt: skip
_ACCESS = {0: "read", 1: "write", 8: "execute"}
_NAMES = {CLR: "CLR_EXCEPTION", 0x40000015: "STATUS_FATAL_APP_EXIT", 0x406D1388: "MS_VC_EXCEPTION", **ON_REQUEST}


@dataclass(frozen=True, slots=True)
class Access:
    """The memory that was accessed in vain: "read", "write" or "execute", and the address."""

    kind: str
    address: int

    @property
    def is_null(self) -> bool:
        """Whether the pointer was null, or null plus the offset of a member."""
        return self.address < NULL_PAGES


def access_of(exception: UserException, dump: UserDump) -> Access | None:
    """What an access violation tried to do; None for every other exception."""
    if dump.system.platform is not Platform.WINDOWS or exception.code not in (ACCESS_VIOLATION, IN_PAGE_ERROR):
        return None
    if len(exception.parameters) < 2:
        return None
    kind = _ACCESS.get(exception.parameters[0])
    return Access(kind, exception.parameters[1]) if kind else None


def exception_name(exception: UserException, dump: UserDump) -> str | None:
    """The exception's or signal's name; None where no table holds it."""
    platform, code = dump.system.platform, exception.code
    if platform is Platform.WINDOWS:
        known = STATUS_NAMES.get(code)
        return known[0] if known else _NAMES.get(code)
    if platform in (Platform.MACOS, Platform.IOS):
        # A crash that another handler saw first is reported as EXC_CRASH with the original in its parameters.
        inner = exception.parameters[0] if exception.parameters and not code else code
        return MACH.get(inner)
    return SIGNALS.get(code)


def fast_fail(exception: UserException) -> str | None:
    """The reason that a program gave for ending itself at once, in the words of its constant."""
    if exception.code != FAIL_FAST or not exception.parameters:
        return None
    return FAST_FAILS.get(exception.parameters[0])


def in_words(exception: UserException, dump: UserDump) -> str:
    """What went wrong, to follow a subject: "read address 0x45, which is not mapped for that"."""
    access = access_of(exception, dump)
    if access is not None:
        verb = {"read": "read", "write": "wrote to", "execute": "jumped to"}[access.kind]
        null = " (a null pointer)" if access.is_null else ""
        why = "which could not be read from disk" if exception.code == IN_PAGE_ERROR else "which it must not"
        return f"{verb} address {access.address:#x}{null}, {why}"
    said = {
        STACK_OVERFLOW: "ran out of stack",
        HEAP_CORRUPTION: "was stopped because its heap is corrupt",
        BREAKPOINT: "hit a breakpoint",
        CPP: "raised a C++ exception that nobody caught",
        CLR: "raised a .NET exception that nobody caught",
    }.get(exception.code)
    reason = fast_fail(exception)
    if reason is not None:
        return f"stopped itself at once ({reason.lower().replace('_', ' ')})"
    name = exception_name(exception, dump)
    known = STATUS_NAMES.get(exception.code) if dump.system.platform is Platform.WINDOWS else None
    what = f"{name}: {known[1]}" if known else name or f"code {exception.code:#x}"
    return said or f"was stopped by {what}"


def bucket_head(exception: UserException | None, dump: UserDump) -> str:
    """The first part of a bucket in WinDbg's user-mode grammar, such as "NULL_POINTER_READ_c0000005"."""
    if exception is None:
        return "APPLICATION_HANG_cfffffff"
    access, reason = access_of(exception, dump), fast_fail(exception)
    if access is not None and exception.code == ACCESS_VIOLATION:
        what = f"{'NULL' if access.is_null else 'INVALID'}_POINTER_{access.kind.upper()}"
    elif reason is not None:
        what = f"FAIL_FAST_{reason}"
    else:
        name = exception_name(exception, dump) or "APPLICATION_FAULT"
        what = name.removeprefix("STATUS_")
    return f"{what}_{exception.code:x}"
