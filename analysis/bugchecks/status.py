"""Names and plain words for the NTSTATUS and exception codes that bugchecks carry.

After Microsoft's published list of NTSTATUS values ([MS-ERREF] 2.3.1); only those met in bugchecks.
"""

from collections.abc import Mapping
from types import MappingProxyType

STATUS_NAMES: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        0x00000102: ("STATUS_TIMEOUT", "timed out"),
        0x00000103: ("STATUS_PENDING", "still pending"),
        0x40010004: ("DBG_TERMINATE_PROCESS", "a debugger ended it"),
        0x40010005: ("DBG_CONTROL_C", "a debugger's Ctrl+C"),
        0x80000001: ("STATUS_GUARD_PAGE_VIOLATION", "a guard page was touched"),
        0x80000002: ("STATUS_DATATYPE_MISALIGNMENT", "misaligned data was accessed"),
        0x80000003: ("STATUS_BREAKPOINT", "a breakpoint was hit and no debugger was attached"),
        0x80000004: ("STATUS_SINGLE_STEP", "a single step trap"),
        0x80000005: ("STATUS_BUFFER_OVERFLOW", "a buffer was too small"),
        0xC0000001: ("STATUS_UNSUCCESSFUL", "an unspecified failure"),
        0xC0000005: ("STATUS_ACCESS_VIOLATION", "memory was accessed that must not be"),
        0xC0000006: ("STATUS_IN_PAGE_ERROR", "a page could not be read from disk"),
        0xC0000008: ("STATUS_INVALID_HANDLE", "an invalid handle"),
        0xC000000D: ("STATUS_INVALID_PARAMETER", "an invalid parameter"),
        0xC000000E: ("STATUS_NO_SUCH_DEVICE", "the device is not there any more"),
        0xC0000010: ("STATUS_INVALID_DEVICE_REQUEST", "the device does not support the request"),
        0xC0000011: ("STATUS_END_OF_FILE", "read past the end of the file"),
        0xC0000017: ("STATUS_NO_MEMORY", "not enough memory"),
        0xC000001D: ("STATUS_ILLEGAL_INSTRUCTION", "an illegal instruction was executed"),
        0xC0000022: ("STATUS_ACCESS_DENIED", "access denied"),
        0xC0000025: ("STATUS_NONCONTINUABLE_EXCEPTION", "an exception that cannot be continued"),
        0xC0000026: ("STATUS_INVALID_DISPOSITION", "an exception handler answered nonsense"),
        0xC0000032: ("STATUS_DISK_CORRUPT_ERROR", "the file system on disk is damaged"),
        0xC000003F: ("STATUS_CRC_ERROR", "a checksum of data did not match"),
        0xC0000056: ("STATUS_DELETE_PENDING", "the object is being deleted"),
        0xC000007B: ("STATUS_INVALID_IMAGE_FORMAT", "a program file or library is damaged"),
        0xC000007F: ("STATUS_DISK_FULL", "the disk is full"),
        0xC000008C: ("STATUS_ARRAY_BOUNDS_EXCEEDED", "an array index out of bounds"),
        0xC000008E: ("STATUS_FLOAT_DIVIDE_BY_ZERO", "a floating-point division by zero"),
        0xC0000094: ("STATUS_INTEGER_DIVIDE_BY_ZERO", "an integer division by zero"),
        0xC0000095: ("STATUS_INTEGER_OVERFLOW", "an integer overflow"),
        0xC0000096: ("STATUS_PRIVILEGED_INSTRUCTION", "an instruction that this mode may not execute"),
        0xC000009A: ("STATUS_INSUFFICIENT_RESOURCES", "not enough system resources"),
        0xC000009C: ("STATUS_DEVICE_DATA_ERROR", "the device returned bad data: bad blocks on the disk"),
        0xC000009D: ("STATUS_DEVICE_NOT_CONNECTED", "the device is gone: cable, power or controller"),
        0xC000009E: ("STATUS_DEVICE_POWER_FAILURE", "the device lost power"),
        0xC00000A3: ("STATUS_DEVICE_NOT_READY", "the device is not ready"),
        0xC00000B5: ("STATUS_IO_TIMEOUT", "an I/O request timed out"),
        0xC00000C0: ("STATUS_DEVICE_DOES_NOT_EXIST", "the device does not exist"),
        0xC00000E3: ("STATUS_REGISTRY_CORRUPT", "the registry is damaged"),
        0xC00000E9: ("STATUS_UNEXPECTED_IO_ERROR", "an unexpected I/O error"),
        0xC00000FD: ("STATUS_STACK_OVERFLOW", "the stack is exhausted"),
        0xC0000102: ("STATUS_FILE_CORRUPT_ERROR", "a file or directory on disk is damaged"),
        0xC000013A: ("STATUS_CONTROL_C_EXIT", "ended by Ctrl+C or a closed console"),
        0xC0000142: ("STATUS_DLL_INIT_FAILED", "a library could not be started"),
        0xC000014C: ("STATUS_REGISTRY_CORRUPT_HIVE", "a registry hive is damaged"),
        0xC000014F: ("STATUS_UNRECOGNIZED_VOLUME", "the volume holds no known file system"),
        0xC000016A: ("STATUS_DISK_OPERATION_FAILED", "a disk operation failed after retries"),
        0xC0000185: ("STATUS_IO_DEVICE_ERROR", "the device reported an I/O error: cable, controller or disk"),
        0xC0000188: ("STATUS_LOG_FILE_FULL", "the log file is full"),
        0xC0000135: ("STATUS_DLL_NOT_FOUND", "a library is missing"),
        0xC000020C: ("STATUS_CONNECTION_DISCONNECTED", "the connection was dropped"),
        0xC0000218: ("STATUS_CANNOT_LOAD_REGISTRY_FILE", "a registry hive could not be loaded"),
        0xC000021A: ("STATUS_SYSTEM_PROCESS_TERMINATED", "a critical process ended"),
        0xC0000221: ("STATUS_IMAGE_CHECKSUM_MISMATCH", "a driver or system file is damaged on disk"),
        0xC000026E: ("STATUS_VOLUME_DISMOUNTED", "the volume was dismounted"),
        0xC0000374: ("STATUS_HEAP_CORRUPTION", "a heap is corrupt"),
        0xC0000409: ("STATUS_STACK_BUFFER_OVERRUN", "a security check failed"),
        0xC0000420: ("STATUS_ASSERTION_FAILURE", "an assertion failed"),
        0xC0000428: ("STATUS_INVALID_IMAGE_HASH", "a file's signature could not be verified"),
        0xC0000602: ("STATUS_FAIL_FAST_EXCEPTION", "a fail-fast exception"),
        0xC000C001: ("STATUS_HARDWARE_MEMORY_ERROR", "a memory hardware error"),
        0xE06D7363: ("CPP_EXCEPTION", "a C++ exception"),
    }
)

# Page-in and disk errors: the storage path failed, whatever code was running when it showed.
STORAGE_ERRORS = frozenset(
    {
        0xC0000006,
        0xC000000E,
        0xC0000032,
        0xC000003F,
        0xC000009C,
        0xC000009D,
        0xC000009E,
        0xC00000A3,
        0xC00000B5,
        0xC00000C0,
        0xC00000E9,
        0xC0000102,
        0xC000016A,
        0xC0000185,
        0xC000026E,
    }
)


def status_code(value: int) -> int:
    """A status as 32 bits: parameters carry it sign-extended (0xffffffffc0000005)."""
    return value & 0xFFFF_FFFF


def describe_status(value: int) -> str | None:
    """The name of a status with its plain words, "STATUS_ACCESS_VIOLATION: memory …", or None if not in the table."""
    known = STATUS_NAMES.get(status_code(value))
    return f"{known[0]}: {known[1]}" if known else None
