"""Names for a failure: WinDbg's hash of a bucket, a best guess at WinDbg's bucket, and our own signature.

The hash was verified on 40 public pairs of bucket and hash; the grammar of buckets is observed, not documented.
"""

import hashlib
import uuid
from dataclasses import dataclass

from analysis.bugchecks.status import status_code
from analysis.bugchecks.tables import Parameters, find_code, is_live_only
from analysis.kernel.facts import Frame
from analysis.verdict.functions import Place, is_fault_entry, split_symbol
from analysis.verdict.modules import Strength, is_framework, stem, strength
from analysis.verdict.signature import LONGEST, NOBODY, Signature, frames_of

NEGATIVE = 1 << 63
EXECUTE = 8  # the third parameter of 0xA and 0xD1
NULL_AREA = 0x1_0000
ACCESS_VIOLATION = 0xC0000005

# Codes for faults of plain memory access, which WinDbg files under "AV" whatever the code.
ALWAYS_AV = frozenset({0xA, 0xD1})
AV_BY_EXCEPTION = frozenset({0x3B, 0x7E, 0x8E})
# Codes whose first parameter is an exception.
EXCEPTION_FIRST = frozenset({0x1E, 0x3B, 0x7E, 0x8E, 0x5A})
# Codes whose first parameter WinDbg appends though it is no documented subcase.
NUMBER_FIRST = frozenset({0x19, 0x1A, 0x9F, 0xA0, 0xC2, 0xC4, 0xC5, 0xCA, 0x10D, 0x124, 0x139, 0x13A, 0x1D5})
# FAST_FAIL_… of winnt.h, without their beginning.
FAST_FAILS = {
    0: "LEGACY_GS_VIOLATION",
    1: "VTGUARD_CHECK_FAILURE",
    2: "STACK_COOKIE_CHECK_FAILURE",
    3: "CORRUPT_LIST_ENTRY",
    4: "INCORRECT_STACK",
    5: "INVALID_ARG",
    6: "GS_COOKIE_INIT",
    7: "FATAL_APP_EXIT",
    8: "RANGE_CHECK_FAILURE",
    9: "UNSAFE_REGISTRY_ACCESS",
    10: "GUARD_ICALL_CHECK_FAILURE",
    11: "GUARD_WRITE_CHECK_FAILURE",
    12: "INVALID_FIBER_SWITCH",
    13: "INVALID_SET_OF_CONTEXT",
    14: "INVALID_REFERENCE_COUNT",
    18: "INVALID_JUMP_BUFFER",
    19: "MRDATA_MODIFIED",
    20: "CERTIFICATION_FAILURE",
    21: "INVALID_EXCEPTION_CHAIN",
    28: "INVALID_BUFFER_ACCESS",
    29: "INVALID_BALANCED_TREE",
    30: "INVALID_NEXT_THREAD",
    31: "GUARD_ICALL_CHECK_SUPPRESSED",
    32: "APCS_DISABLED",
    33: "INVALID_IDLE_STATE",
    35: "UNEXPECTED_HEAP_EXCEPTION",
    36: "INVALID_LOCK_STATE",
    40: "INVALID_THREAD",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What the names are made of. ``module`` None: nobody was blamed. ``function`` as printed in the frame,
    ``bus`` the bus driver of the device whose request was held, ``old`` True for Windows before 8, whose buckets hold
    offsets, ``area`` what a debugger prints for the kind of an address that it does not know. Code 0: not known.
    ``by_chance``: memory was damaged and nothing but a scanned frame, any driver's leftover, points to the module: our
    own name leaves it out."""

    code: int
    parameters: Parameters
    subcase: int | None
    module: str | None
    function: str | None
    frames: tuple[Frame, ...] = ()
    on_stack: bool = True
    lock: str | None = None
    service: str | None = None
    kind: str | None = None
    bus: str | None = None
    old: bool = False
    architecture: str = "x64"
    area: str = "(null)"
    by_chance: bool = False


def failure_id_hash(bucket: str, mode: str = "km") -> str:
    """WinDbg's FAILURE_ID_HASH of a bucket text, for kernel mode ("km") or user mode ("um")."""
    raw = f"{mode}:{bucket.lower()}".encode("utf-16-le")
    return str(uuid.UUID(bytes_le=hashlib.md5(raw, usedforsecurity=False).digest()))


def failure_bucket(failure: Failure) -> str:
    """A best effort at the text WinDbg would have chosen; free of addresses."""
    if failure.kind == "memory":
        return (
            "MEMORY_CORRUPTION_ONE_BIT" if is_one_bit(failure.code, failure.parameters) else "MEMORY_CORRUPTION_LARGE"
        )
    live = "LKD_" if is_live_only(failure.code) else "X64_" if failure.old and failure.architecture == "x64" else ""
    head = _old_head(failure) if failure.old else _head(failure)
    return f"{live}{head}_{_tail(failure)}"[:LONGEST]


def is_one_bit(code: int, parameters: Parameters) -> bool:
    """Whether the parameters show exactly one flipped bit: bad memory hardware far more often than a driver."""
    if code == 0x1A and parameters[0] in (0x41792, 0x41793):  # P3 is the content of a PTE that should be empty
        return parameters[2].bit_count() == 1
    return code == 0xC1 and parameters[3] == 0x32


def signature(failure: Failure) -> Signature:
    """Our own name for the failure."""
    subcase = f":{failure.subcase:x}" if failure.subcase is not None else ""
    module = None if failure.by_chance else failure.module
    frames = frames_of(module, failure.function, failure.frames)
    culprit = NOBODY if failure.by_chance else module or failure.kind or NOBODY
    service = failure.service.lower() if failure.service else None
    return Signature(f"{failure.code:#x}{subcase}", culprit, frames, failure.lock, service)


def _old_head(failure: Failure) -> str:
    # Debuggers of Windows 7 and before named a fault by its code alone: "0x50_avipbb+80c7", "X64_0x7E_man+1ce7".
    plain = failure.code in ALWAYS_AV or failure.code in AV_BY_EXCEPTION or failure.code == 0x50
    return f"0x{failure.code:X}" if plain else _head(failure)


def _head(failure: Failure) -> str:
    code, (first, second, third, fourth) = failure.code, failure.parameters
    if code == 0:
        faulted = any(is_fault_entry(frame.symbol) for frame in failure.frames)
        return "AV" if faulted else "UNKNOWN"
    if code == 0x18:  # the fourth parameter is the count that went below zero
        return "0x18_OVER_DEREFERENCE" if fourth >= NEGATIVE else "0x18"
    if code in ALWAYS_AV and third == EXECUTE and first == fourth:  # the instruction itself could not be fetched
        return "AV_CODE_AV_NULL_IP" if first < NULL_AREA else f"AV_CODE_AV_{'PAGED' if failure.module else 'BAD'}_IP"
    if code in ALWAYS_AV or (code in AV_BY_EXCEPTION and status_code(first) == ACCESS_VIOLATION):
        return "AV"
    if code == 0x50:
        return f"AV_{'W' if second in (1, 2) else 'X' if second in (8, 0x10) else 'R'}_{failure.area}"
    text = f"0x{code:X}"
    if code in EXCEPTION_FIRST:
        text += f"_{status_code(first):x}"
        return text + ("_R" if code == 0x1E and status_code(first) == ACCESS_VIOLATION else "")
    if code == 0x109:  # the fourth parameter says what sort of region was changed
        return f"{text}_{failure.parameters[3]:x}"
    if code == 0x133:
        return text + ("_DPC" if first == 0 else "_ISR")
    known = find_code(code)
    if code in NUMBER_FIRST or (known is not None and failure.subcase is not None):
        text += f"_{failure.subcase if failure.subcase is not None else first:x}"
    return text + (f"_{FAST_FAILS[first]}" if code == 0x139 and first in FAST_FAILS else "")


def _tail(failure: Failure) -> str:
    module = failure.module
    if module is None or failure.kind == "process" or (strength(module) is Strength.NEVER and not failure.function):
        return "ANALYSIS_INCONCLUSIVE!unknown_function"
    if failure.bus is not None and stem(failure.bus) != stem(module):
        return f"{stem(module)}_IMAGE_{failure.bus}"  # "0x9F_3_RtsPer_IMAGE_pci.sys"
    if failure.old and failure.function:  # "avipbb+80c7"
        where = split_symbol(failure.function)
        named = f"{where.module}!{where.function}" if where.function else where.module
        return f"{named}+{where.offset:x}"
    if not failure.on_stack:
        return f"IMAGE_{module}"
    behind = _wdf_frame(failure, module)
    if behind is not None:  # "AV_SynTP_Wdf01000!FxRequestBase::_FxRequestBase"
        return f"{stem(module)}_{behind.module}!{behind.function}"
    place = split_symbol(failure.function) if failure.function else None
    name = place.module if place else stem(module)
    return f"{_framework_above(failure, module)}{name}!{(place and place.function) or 'unknown_function'}"


def _wdf_frame(failure: Failure, module: str) -> Place | None:
    # The driver framework calls its client and is called by it: where it failed itself, its function is told, too.
    for frame in failure.frames:
        if frame.module is None or strength(frame.module) is Strength.NEVER:
            continue
        place = split_symbol(frame.symbol)
        is_framework_first = stem(frame.module) == "wdf01000" and stem(module) != "wdf01000"
        return place if is_framework_first and place.function else None
    return None


def _framework_above(failure: Failure, module: str) -> str:
    # "0x133_DPC_USBXHCI_Wdf01000!…": the client goes before the framework in which the innermost frame lies. Here the
    # client itself is named by function, so nothing is put in front of it unless only the framework has a frame.
    if not is_framework(module):
        return ""
    client = next((f for f in failure.frames if f.module and strength(f.module) is Strength.CANDIDATE), None)
    return f"{stem(client.module)}_" if client and client.module else ""
