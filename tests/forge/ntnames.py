"""The names of the kernel that the builder uses, and where each lies in an invented kernel.

A real symbol table may replace the addresses; a name it does not have is then not used.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.forge.pages import PAGE


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TEXT_NAMES = _words("""
KeBugCheckEx KeBugCheck2 KiBugCheckDispatch KiExceptionDispatch KiDispatchException KiSwapThread
KiCommitThreadWait KeWaitForSingleObject KeWaitForMultipleObjects KeDelayExecutionThread KeRemovePriQueue
KeRemoveQueueEx ExpWaitForResource ExAcquireResourceExclusiveLite ExAcquireResourceSharedLite
ExpAcquireResourceExclusiveLite ExpAcquireResourceSharedLite ExAcquireFastResourceExclusive ExAcquireFastMutex
ExpAcquireFastMutexContended ExfAcquirePushLockExclusiveEx ExfAcquirePushLockExclusive IofCallDriver IopfCallDriver
PnpBugcheckPowerTimeout PopIrpWatchdog PopIrpWatchdogBugcheck KiProcessExpiredTimerList KiTimerExpiration
KiRetireDpcList KiExecuteAllDpcs ExpWorkerThread IoRemoveIoCompletion PnpRemoveLockedDeviceNode
PnpDeviceActionWorker CcWorkerThread MiZeroPageThread MmZeroPageThread MiModifiedPageWriter MiMappedPageWriter
KeBalanceSetManager MiDereferenceSegmentThread ExReleaseResourceLite KeSetEvent ExAllocatePoolWithTag
ExFreePoolWithTag IoDeleteDevice IofCompleteRequest KeWaitForGate MmAccessFault IopLoadUnloadDriver AlpcpSignalAndWait
IopSynchronousServiceTail KeSwapProcessOrStack
""")
PAGE_NAMES = _words("""
IopSynchronousCall IopRemoveDevice PnpAsynchronousCall PnpDeviceEventWorker PnpProcessTargetDeviceEvent
PnpProcessQueryRemoveAndEject PnpDeleteLockedDeviceNodes PnpDeleteLockedDeviceNode PnpSurpriseRemoveLockedDeviceNode
PnpRequestDeviceRemoval PpDevNodeLockTree PpDevNodeUnlockTree PopTransitionSystemPowerStateEx NtSetSystemPowerState
NtShutdownSystem NtInitiatePowerAction PoBroadcastSystemState PopSetDevicesSystemState PopBuildDeviceNotifyList
PspSystemThreadStartup NtWaitForSingleObject NtWaitForMultipleObjects ObWaitForSingleObject ObWaitForMultipleObjects
ObpWaitForMultipleObjects NtDelayExecution NtRemoveIoCompletion NtWaitForWorkViaWorkerFactory
NtAlpcSendWaitReceivePort AlpcpProcessSynchronousRequest AlpcpReceiveSynchronousReply AlpcpReceiveMessage NtReadFile
AlpcpReceiveMessagePort IopXxxControlFile NtDeviceIoControlFile PopGracefulShutdown PopPolicyWorkerThread
PopPolicyWorkerAction IopUnloadDriver NtUnloadDriver NtLoadDriver IopLoadDriver PipCallDriverAddDevice
PipProcessStartPhase1 PiProcessNewDeviceNode PipProcessDevNodeTree PnpStartDeviceNode IoGetDeviceProperty
IoReportTargetDeviceChange NtPlugPlayControl PiControlQueryRemoveDevice PiCMHandleIoctl NtQueryDirectoryFile
NtQuerySystemInformation EtwpLogger CmpLazyWriteWorker IoGetDeviceInterfaces
""")
# Behind all others, and only where a story asks for them.
SPIN_NAMES = _words("""
KxWaitForSpinLockAndAcquire KeAcquireSpinLockRaiseToDpc KxWaitForLockOwnerShip KeAcquireInStackQueuedSpinLock
""")
SPECIAL_NAMES = {  # name: prologue, where its call returns to, room
    "KiSwapContext": ("swap", 0x76, 0x100),
    "KiStartSystemThread": ("start", 0x28, 0x80),
    "KiPageFault": ("trap", 0x2A4, 0x400),
    "KiSystemCall64": ("trap", 0x328, 0x600),
    "KiIdleLoop": ("start", 0x9E, 0x100),
}
SYSTEM_SERVICE_COPY_END = 0x300
DATA_NAMES = {  # name: bytes
    "PiEngineLock": 0x68,
    "PnpDeviceCompletionQueue": 0x50,
    "PnpDeviceEventList": 8,
    "ExpSystemResourcesList": 0x10,
    "ExpResourceSpinLock": 8,
    "PsLoadedModuleList": 0x10,
    "PsLoadedModuleResource": 0x68,
    "PsActiveProcessHead": 0x10,
    "PsInitialSystemProcess": 8,
    "KdDebuggerDataBlock": 0x380,
    "KdpDataBlockEncoded": 8,
    "KiProcessorBlock": 0x100,
    "PopIrpList": 0x10,
    "PopIrpThreadList": 0x10,
    "PopIrpLock": 8,
    "PopInrushIrp": 8,
    "IopRootDeviceNode": 8,
    "MmUnloadedDrivers": 8,
    "MmLastUnloadedDriver": 8,
    "KiBugCheckData": 0x40,
    "KiBugCheckDriver": 8,
    "MmPteBase": 8,
    "MmPfnDatabase": 8,
    "MmPhysicalMemoryBlock": 8,
    "ObTypeIndexTable": 0x200,
    "ObHeaderCookie": 8,
    "KeNumberProcessors": 8,
    "KeTimeIncrement": 8,
    "ExWorkerQueue": 0x2B0,
    "NtBuildLab": 0x40,
    "NtBuildNumber": 8,
    "PsProcessType": 8,
    "PsThreadType": 8,
    "PspCidTable": 8,
    "IopDriverLoadResource": 0x68,
    "IopSecurityResource": 0x68,
    "PnpRegistryDeviceResource": 0x68,
    "ExpFirmwareTableResource": 0x68,
    "CmpRegistryLock": 0x68,
}
EXPORTED = _words("""
KeBugCheckEx KeWaitForSingleObject KeWaitForMultipleObjects KeDelayExecutionThread ExAcquireResourceExclusiveLite
ExAcquireResourceSharedLite ExAcquireFastMutex IofCallDriver KeSetEvent ExReleaseResourceLite ExAllocatePoolWithTag
ExFreePoolWithTag IoDeleteDevice IofCompleteRequest PsInitialSystemProcess NtBuildNumber IoGetDeviceProperty
IoReportTargetDeviceChange NtDeviceIoControlFile NtReadFile NtShutdownSystem IoGetDeviceInterfaces
""")
ABSENT = {  # names that older majors do not have
    "KeRemovePriQueue": 14393,
    "ExpAcquireResourceExclusiveLite": 17763,
    "ExpAcquireResourceSharedLite": 17763,
    "ExAcquireFastResourceExclusive": 17763,
    "PopTransitionSystemPowerStateEx": 17763,
    "PopIrpWatchdogBugcheck": 9600,
    "PopIrpWatchdog": 9600,
    "ObWaitForSingleObject": 9600,
    "ObWaitForMultipleObjects": 9600,
    "ExpAcquireFastMutexContended": 9600,
    "ExfAcquirePushLockExclusiveEx": 9600,
    "IopfCallDriver": 14393,
    "PiCMHandleIoctl": 9600,
    "MiZeroPageThread": 14393,
    "CmpLazyWriteWorker": 9600,
    "ObHeaderCookie": 14393,
    "MmPteBase": 14393,
    "PiControlQueryRemoveDevice": 99999,
}
ENDED = {"KiSwapThread": (7601, 9600), "ObpWaitForMultipleObjects": (0, 9600), "MmZeroPageThread": (0, 14393)}


@dataclass(slots=True)
class KernelNames:
    """Symbols of one kernel: RVA by name, room behind each, and where code, data and tables lie."""

    rvas: dict[str, int]
    extents: dict[str, int]
    guid: str
    pdb: str
    size: int
    tables: int
    pageable: set[str] = field(default_factory=set)

    def __contains__(self, name: object) -> bool:
        return name in self.rvas


def invented(major: int, rng: random.Random, more: Sequence[str] = ()) -> KernelNames:
    """A kernel of our own: every name in an order drawn from ``rng``, sections for text, data and pageable code.

    ``more`` are functions that lie behind all the others.
    """
    rvas: dict[str, int] = {}
    extents: dict[str, int] = {}
    cursor = 0x1000
    for name in _shuffled([*TEXT_NAMES, *SPECIAL_NAMES], rng):
        if _present(name, major):
            room = SPECIAL_NAMES[name][2] if name in SPECIAL_NAMES else rng.randrange(0x10, 0x30) * 0x10
            rvas[name], extents[name] = cursor, room
            cursor += room
    rvas["KiSystemServiceCopyEnd"] = rvas["KiSystemCall64"] + SYSTEM_SERVICE_COPY_END
    cursor = _page_up(cursor)
    for name in _shuffled(list(DATA_NAMES), rng):
        if _present(name, major):
            rvas[name], extents[name] = cursor, DATA_NAMES[name]
            cursor += DATA_NAMES[name] + rng.randrange(0, 8) * 8
            cursor = cursor + 0xF & ~0xF
    cursor = _page_up(cursor)
    pageable = set()
    for name in _shuffled(PAGE_NAMES, rng):
        if _present(name, major):
            rvas[name], extents[name] = cursor, rng.randrange(0x10, 0x30) * 0x10
            cursor += extents[name]
            pageable.add(name)
    cursor = _page_up(cursor) if more else cursor
    for name in more:
        rvas[name], extents[name] = cursor, 0x100
        cursor += 0x100
    tables = _page_up(cursor)
    guid = f"{rng.getrandbits(128):032X}"
    return KernelNames(rvas, extents, guid, "ntkrnlmp.pdb", tables + 0x10000, tables, pageable)


def from_table(symbols: Mapping[str, int], guid: str, pdb: str = "ntkrnlmp.pdb") -> KernelNames:
    """The addresses of a real kernel's symbol table, so that the table applies to the forged dump."""
    known = {*TEXT_NAMES, *PAGE_NAMES, *SPECIAL_NAMES, *DATA_NAMES, "KiSystemServiceCopyEnd"}
    rvas = {name: symbols[name] for name in known if name in symbols}
    ordered = sorted(set(symbols.values()))
    following = dict(pairwise(ordered))
    extents = {name: following.get(rva, rva + 0x100) - rva for name, rva in rvas.items()}
    tables = _page_up(ordered[-1] + 0x2000)
    pageable = {name for name in PAGE_NAMES if name in rvas}
    return KernelNames(rvas, extents, guid, pdb, tables + 0x10000, tables, pageable)


def _present(name: str, major: int) -> bool:
    first, last = ENDED.get(name, (0, 10**9))
    if name == "KiSwapThread":
        return major > 7601
    return ABSENT.get(name, 0) <= major and first <= major < last


def _shuffled(names: Sequence[str], rng: random.Random) -> list[str]:
    out = list(names)
    rng.shuffle(out)
    return out


def _page_up(value: int) -> int:
    return value + PAGE - 1 & -PAGE
