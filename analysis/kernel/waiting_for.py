"""What a thread was about, in plain words, from the functions on its stack.

A table read from the top: the first row with a function on the stack gives the words, so what matters to a person
(a shutdown) stands above how it is done (a device removal, a file write). Names come from the kernel's own table only;
without one, wait reason and the state of the device the thread works on say a little, else nothing is said.
"""

from collections.abc import Iterable

from analysis.kernel.facts import Frame, Stack, Thread
from analysis.kernel.symbolize import KERNEL_MODULE

SHUTDOWN = "system shutdown"
POWER_TRANSITION = "system sleep or shutdown"
REMOVAL = "device removal"
SURPRISE = "surprise removal of a device"
START = "device start"
WORK = "waiting for work"

# Words, and the functions of nt that mean them. Names are those of 7601 to 22000; a kernel has some of each row.
# Loops of worker threads (PopIrpWorker, MiModifiedPageWriter …) are not here: idle ones wait in them, too.
PURPOSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    # ExitWindowsEx ends here, in wininit.exe or csrss.exe; PopGracefulShutdown is the worker that follows.
    (SHUTDOWN, ("NtShutdownSystem", "PopGracefulShutdown", "PoShutdownBugCheck", "PopShutdownSystem",
                "IoShutdownSystem")),
    # One path for sleep, hibernation and shutdown: which of them is in a variable, not in the function.
    (POWER_TRANSITION, ("NtSetSystemPowerState", "PopTransitionSystemPowerStateEx", "NtInitiatePowerAction",
                        "PopIssueActionRequest", "PopPolicyWorkerAction", "PoBroadcastSystemState",
                        "PopSetDevicesSystemState", "PopBuildDeviceNotifyList", "PopSleepSystem",
                        "PopTransitionToSleep")),
    (SURPRISE, ("PnpSurpriseRemoveLockedDeviceNode",)),
    (REMOVAL, ("PnpRemoveLockedDeviceNode", "PnpDeleteLockedDeviceNode", "PnpDeleteLockedDeviceNodes",
               "PnpProcessQueryRemoveAndEject", "PnpQueryRemoveLockedDeviceNode", "IopRemoveDevice",
               "PnpRequestDeviceRemoval")),
    ("driver unload", ("IopUnloadDriver", "NtUnloadDriver", "ZwUnloadDriver", "MmUnloadSystemImage",
                       "MiUnloadSystemImage", "PnpUnloadAttachedDriver")),
    ("driver load", ("IopLoadDriver", "NtLoadDriver", "ZwLoadDriver", "IopLoadUnloadDriver", "PnpCallDriverEntry",
                     "IopInitializeBuiltinDriver", "MmLoadSystemImage", "MmLoadSystemImageEx",
                     "PnpLoadBootFilterDriver")),
    (START, ("PnpStartDevice", "PnpStartDeviceNode", "PipProcessStartPhase1", "PipProcessStartPhase2",
             "PiProcessStartSystemDevices", "PipCallDriverAddDevice", "PnpCallAddDevice", "PpvUtilCallAddDevice")),
    ("device enumeration", ("PipEnumerateDevice", "PiProcessReenumeration", "PipProcessDevNodeTree",
                            "PiProcessNewDeviceNode", "PipEnumerateCompleted", "PpDevCfgProcessDevices")),
    ("device event", ("PnpDeviceEventWorker", "PnpProcessTargetDeviceEvent", "PnpNotifyTargetDeviceChange")),
    ("device configuration", ("PnpDeviceActionWorker", "PiProcessSetDeviceProblem",
                              "NtPlugPlayControl", "PiCMFastIoDeviceDispatch")),
    ("registry flush", ("CmpFlushHive", "CmFlushKey", "NtFlushKey", "CmpDoFlushAll", "CmpDoFlushNextHive",
                        "CmShutdownSystem", "HvSyncHive", "HvWriteDirtyDataToHive", "HvStoreModifiedData")),
    ("registry load or unload", ("CmLoadKey", "NtLoadKeyEx", "CmUnloadKey", "NtUnloadKey2", "CmpLoadHiveThread",
                                 "CmpCmdHiveOpen")),
    ("power IRP", ("PopRequestPowerIrp", "PoRequestPowerIrp", "PopDispatchQuerySetIrp",
                   "PopFxActivateDevice", "PoFxActivateDevice")),
    ("process start", ("NtCreateUserProcess", "PspCreateProcess", "PspAllocateProcess", "PspInsertProcess")),
    ("process or thread exit", ("PspExitProcess", "PspExitThread", "PspProcessDelete", "NtTerminateProcess",
                                "PspTerminateAllThreads", "PspRundownSingleProcess")),
    # Loader-style waits: CreateProcess and LoadLibrary come here for the file's section, as does a mapped data file.
    ("section or image load", ("NtCreateSection", "MmCreateSection", "MiCreateSection", "MiCreateImageFileMap",
                               "MiCreateDataFileMap", "MiMapViewOfImageSection")),
    # Another opener holds cached rights to the file and has to give them back first.
    ("file-system operation (oplock break)", ("FsRtlCheckOplock", "FsRtlCheckOplockEx", "FsRtlOplockBreakH",
                                              "FsRtlOplockBreakToNone", "FsRtlpOplockBreakNotify")),
    ("file-system operation (volume mount)", ("IopMountVolume", "IoVerifyVolume")),
    ("file-system operation (cache write-back)", ("CcFlushCache", "CcFlushCachePriv", "CcFlushCacheToLsn",
                                                  "CcWriteBehind", "CcCanIWrite", "CcCanIWriteStream",
                                                  "CcWaitForCurrentLazyWriterActivity", "CcLazyWriteScan",
                                                  "MmFlushSection", "MiFlushSectionInternal")),
    ("file-system operation (cache read)", ("CcCopyRead", "CcCopyReadEx", "CcFetchDataForRead", "CcMapData",
                                            "CcPinRead", "CcPinMappedData", "CcMapAndCopyInToCache")),
    ("paging", ("MiIssueHardFault", "MiWaitForInPageComplete", "MiDispatchFault", "MmAccessFault", "IoPageRead",
                "IoPageReadEx", "IoSynchronousPageWrite", "IoAsynchronousPageWrite", "MmPrefetchPages",
                "MiPfExecuteReadList", "MiGatherPagefilePages", "MiWaitForPageWriteCompletion")),
    ("file-system operation", ("NtCreateFile", "NtOpenFile", "NtReadFile", "NtWriteFile", "NtQueryDirectoryFile",
                               "NtQueryDirectoryFileEx", "NtSetInformationFile", "NtQueryInformationFile",
                               "NtFlushBuffersFile", "NtFlushBuffersFileEx", "NtFsControlFile", "IopCloseFile",
                               "NtQueryAttributesFile", "NtQueryFullAttributesFile", "NtDeleteFile",
                               "NtLockFile", "NtNotifyChangeDirectoryFile")),
    ("device request", ("NtDeviceIoControlFile",)),
)  # fmt: skip

# Where an idle worker waits: near the innermost end, else it is the worker's loop under real work.
IDLE = ("KeRemovePriQueue", "KeRemoveQueueEx", "KeRemoveQueue", "IoRemoveIoCompletion", "NtRemoveIoCompletion",
        "NtRemoveIoCompletionEx", "NtWaitForWorkViaWorkerFactory", "KeRemoveQueueApc")  # fmt: skip
IDLE_FRAMES = 6
FILE_SYSTEMS = frozenset({
    "ntfs.sys", "refs.sys", "refsv1.sys", "fastfat.sys", "exfat.sys", "cdfs.sys", "udfs.sys", "npfs.sys", "msfs.sys",
    "rdbss.sys", "mrxsmb.sys", "mrxsmb20.sys", "mup.sys", "dfsc.sys", "srv2.sys", "fltmgr.sys", "csvfs.sys",
})  # fmt: skip
NETWORK = frozenset({"ndis.sys", "ndisimplatform.sys"})


def doing(
    thread: Thread, stack: Stack, *, device_being_removed: bool = False, device_starting: bool = False
) -> str | None:
    """What ``thread`` was doing, as words that complete "… was busy with"; None where nothing tells.

    The two flags say what the state of the device it works on says.
    """
    functions = _kernel_functions(stack.frames)
    if any(name in IDLE for name in _kernel_functions(stack.frames[:IDLE_FRAMES])):
        return WORK
    for words, names in PURPOSES:
        if any(name in functions for name in names):
            return _network(words, stack) if words in {REMOVAL, SURPRISE} else words
    if device_being_removed:
        return _network(REMOVAL, stack)
    if device_starting:
        return START
    if thread.wait_reason == "WrQueue":
        return WORK
    modules = [frame.module for frame in stack.frames if frame.module not in {None, KERNEL_MODULE}]
    return "file-system operation" if modules and all(module in FILE_SYSTEMS for module in modules) else None


def _network(words: str, stack: Stack) -> str:
    """A removal that has reached the network stack waits for protocols to let go of the adapter."""
    return f"network unbind ({words})" if any(frame.module in NETWORK for frame in stack.frames) else words


def _kernel_functions(frames: Iterable[Frame]) -> set[str]:
    names = (frame.symbol.removeprefix("nt!") for frame in frames if frame.symbol.startswith("nt!"))
    return {name.split("+")[0] for name in names}
