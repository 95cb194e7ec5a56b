"""Functions that carry other people's calls, and the frames that only report that something went wrong.

Names are matched exactly, or as a prefix where the entry ends with ``*``. Names end up here when public stacks
show them between a guilty driver and the wait or the fault.
"""

import re
from dataclasses import dataclass

from analysis.verdict.modules import KERNEL_NAMES, stem


@dataclass(frozen=True, slots=True)
class Place:
    """A printed symbol taken apart: "ndis!NdisWaitEvent+0x1c" is module "ndis", function, offset 0x1c."""

    module: str
    function: str | None
    offset: int


def split_symbol(symbol: str) -> Place:
    """The parts of a printed symbol; the function is None where no symbol named it ("acmenet+0x1234")."""
    module, bang, rest = symbol.partition("!")
    text = rest if bang else module
    match = re.fullmatch(r"(.*?)\+(?:0x)?([0-9a-fA-F]+)", text)
    name, offset = (match[1], int(match[2], 16)) if match else (text, 0)
    return Place(module if bang else name, name if bang else None, offset)


# In modules that may well be guilty themselves: these frames are only the way.
PASS_THROUGH: dict[str, tuple[str, ...]] = {
    "ndis": ("NdisWaitEvent", "ndisWaitEvent*", "ndisDummyIrpHandler", "ndisDispatchRequest"),
    "fltmgr": ("FltpDispatch", "FltpPassThrough*", "FltpLegacyProcessing*", "FltpCreate"),
    "wdf01000": ("FxDevice::*", "FxIoQueue::*", "FxDriver::*", "FxDestroy", "imp_Wdf*", "FxPkg*"),
    "classpnp": ("ClassDeviceControl", "ClassReadWrite", "ClasspPowerHandler", "ClassGlobalDispatch"),
    "storport": ("RaDriver*", "RaidpAdapterContinueScatterGather"),
    "dxgkrnl": ("TdrBugcheckOnTimeout", "TdrResetFromTimeout*", "TdrIsRecoveryRequired"),
    "watchdog": ("WdLogSingleEntry*", "WdpDbgCaptureTriageDump"),
}

# nt frames that stand between the fault and the stop; the first nt frame below them is the one that failed.
PLUMBING: tuple[str, ...] = (
    *("KeBugCheck*", "KiBugCheck*", "KiFastFailDispatch", "KiRaiseSecurityCheckFailure", "RtlFailFast*"),
    *("KiPageFault*", "KiExceptionDispatch", "KiDispatchException", "CommonDispatchException", "KiExceptionExit"),
    *("KiGeneralProtectionFault*", "KiInvalidOpcodeFault*", "KiDivideErrorFault*", "KiDoubleFaultAbort*"),
    *("KiStackFault*", "KiBreakpointTrap*", "KiDebugTrapOrFault*", "KiTrap*", "MmAccessFault", "MiSystemFault"),
    *("RtlpBreakWithStatusInstruction", "DbgBreakPointWithStatus", "RtlDispatchException"),
    *("RtlpExecuteHandlerForException", "RtlRaiseStatus", "RtlRaiseException", "ExRaise*", "KeContextFromKframes"),
    *("_C_specific_handler", "__C_specific_handler", "_GSHandlerCheck*", "KiSystemServiceHandler"),
    *("KiNmiInterrupt*", "HalBugCheckSystem", "MiRaisedIrqlFault", "MiBugCheck*"),
)

# Of these the ones that an access to memory, or a bad instruction, leads into.
FAULT_ENTRIES: tuple[str, ...] = ("KiPageFault*", "KiTrap0E", "KiTrap0D", "KiGeneralProtectionFault*", "MmAccessFault")

# nt's bookkeeping of the memory pool. Code that allocates or frees does not fail in here unless the pool is damaged.
POOL: tuple[str, ...] = (
    *("RtlpHp*", "ExAllocateHeapPool", "ExFreeHeapPool", "ExpAllocatePool*", "ExDeferredFreePool", "ExpFreePool*"),
    *(
        "ExpInterlockedPopEntrySListFault*",
        "ExpScanFreePool*",
        "RtlpFreeHeap*",
        "RtlpAllocateHeap*",
        "RtlCSparseBitmap*",
    ),
)

# nt frames in which any thread waits, is scheduled or was started: they say nothing about who it is.
WAITING: tuple[str, ...] = (
    *("KeWaitFor*", "KiSwap*", "SwapContext", "KiCommitThreadWait", "KeDelayExecutionThread", "KeRemovePriQueue"),
    *("IopSynchronousCall", "IofCallDriver", "IopfCallDriver", "IofCallDriverSpecifyReturn", "IoCallDriver"),
    *("PnpAsynchronousCall", "ExfAcquire*", "ExpAcquire*", "ExAcquire*", "ExpWaitForResource"),
    *("PspSystemThreadStartup", "ExpWorkerThread", "KiStartSystemThread", "PnpDeviceEventWorker"),
)


# The wait functions themselves: whatever called them is what waits.
WAITS: tuple[str, ...] = ("KeWaitFor*", "KeDelayExecutionThread", "KeRemovePriQueue", "KeRemoveQueue*")


def is_wait_function(symbol: str) -> bool:
    """Whether the frame is nt's own function in which a thread waits."""
    place = split_symbol(symbol)
    return place.function is not None and stem(place.module) in KERNEL_NAMES and _matches(place.function, WAITS)


def is_pass_through(symbol: str) -> bool:
    """Whether the frame belongs to a function of a driver that only carries other drivers' calls."""
    place = split_symbol(symbol)
    return place.function is not None and _matches(place.function, PASS_THROUGH.get(stem(place.module), ()))


def is_plumbing(symbol: str) -> bool:
    """Whether the frame of nt only delivers the stop or the fault."""
    function = split_symbol(symbol).function
    return function is not None and ("$filt$" in function or "$fin$" in function or _matches(function, PLUMBING))


def is_fault_entry(symbol: str) -> bool:
    """Whether the frame is the kernel's entry for a fault of the code below it."""
    function = split_symbol(symbol).function
    return function is not None and _matches(function, FAULT_ENTRIES)


def is_pool_internal(symbol: str) -> bool:
    """Whether the frame is within the pool's own bookkeeping."""
    function = split_symbol(symbol).function
    return function is not None and _matches(function, POOL)


def is_waiting(symbol: str) -> bool:
    """Whether the frame of nt is one that every waiting or starting thread has."""
    function = split_symbol(symbol).function
    return function is not None and _matches(function, WAITING)


def _matches(function: str, names: tuple[str, ...]) -> bool:
    # The symbols of 32-bit kernels keep the underscore of C: "_KiTrap0E".
    return any(
        one.startswith(name[:-1]) if name.endswith("*") else one == name
        for name in names
        for one in {function, function.removeprefix("_")}
    )
