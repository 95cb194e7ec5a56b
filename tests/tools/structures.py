"""Which structures and members go into the built-in tables. An empty tuple means all members."""

from analysis.symbols.layout import Field

STRUCTURES: dict[str, tuple[str, ...]] = {
    # Lists, strings and references.
    "_LIST_ENTRY": (), "_SINGLE_LIST_ENTRY": (), "_UNICODE_STRING": (), "_CLIENT_ID": (), "_EX_FAST_REF": (),
    "_POOL_HEADER": (), "_RTL_BITMAP": (), "_LARGE_INTEGER": ("QuadPart",),
    # Objects.
    "_OBJECT_HEADER": (), "_OBJECT_HEADER_NAME_INFO": (), "_OBJECT_TYPE": (), "_HANDLE_TABLE": (),
    "_HANDLE_TABLE_ENTRY": (), "_OBJECT_DIRECTORY": (), "_OBJECT_DIRECTORY_ENTRY": (),
    # Threads and processes.
    "_KTHREAD": (
        "Header", "SListFaultAddress", "QuantumTarget", "InitialStack", "StackLimit", "StackBase", "ThreadLock",
        "CycleTime", "KernelStack", "StateSaveArea", "SchedulingGroup", "WaitRegister", "Running", "MiscFlags",
        "ThreadFlags", "KernelStackResident", "SystemThread", "Alertable", "ApcQueueable", "GuiThread", "Tag",
        "SystemCallNumber", "FirstArgument", "TrapFrame", "ApcState", "Priority", "BasePriority", "WaitStatus",
        "WaitBlockList", "WaitListEntry", "SwapListEntry", "Queue", "Teb", "RelativeTimerBias", "Timer", "WaitBlock",
        "WaitBlockCount", "ContextSwitches", "State", "Spare13", "WaitIrql", "WaitMode", "WaitTime", "WaitNext",
        "KernelApcDisable", "SpecialApcDisable", "CombinedApcDisable", "QueueListEntry", "NextProcessor",
        "NextProcessorNumber", "Process", "UserAffinity", "PreviousMode", "AdjustReason",
        "AdjustIncrement", "AffinityVersion", "Affinity", "ApcStateIndex", "SavedApcState", "WaitReason",
        "SuspendCount", "UserTime", "KernelTime", "SuspendEvent", "ThreadListEntry", "MutantListHead", "LockEntries",
        "AbEntrySummary", "AbWaitEntryCount", "AbWaitObject", "ReadySummary",
        "PriorityDecrement", "Win32Thread", "IdealProcessor", "UserIdealProcessor",
        "ThreadTimerDelay", "KeReferenceCount", "AbAllocationRegionCount",
    ),
    "_KAPC_STATE": (), "_KAPC": (
        "Type", "Size", "Thread", "ApcListEntry", "KernelRoutine", "NormalRoutine", "NormalContext", "Inserted",
    ),
    "_ETHREAD": (
        "Tcb", "CreateTime", "ExitTime", "ExitStatus", "PostBlockList", "StartAddress", "TerminationPort",
        "ActiveTimerListHead", "Cid", "KeyedWaitSemaphore", "AlpcWaitSemaphore", "ClientSecurity", "IrpList",
        "TopLevelIrp", "DeviceToVerify", "Win32StartAddress", "ChargeOnlySession", "LegacyPowerObject",
        "ThreadListEntry", "RundownProtect", "ThreadLock", "ReadClusterSize", "CrossThreadFlags", "Terminated",
        "SystemThread", "HideFromDebugger", "SameThreadPassiveFlags", "ActiveExWorker", "MemoryMaker",
        "SameThreadApcFlags", "AlpcMessageId", "AlpcMessage", "AlpcReceiveAttributeSet", "AlpcWaitListEntry",
        "CacheManagerCount", "IoBoostCount", "ThreadName", "SetContextState", "OwnerEntryListHead",
        "DisownedOwnerEntryListHead", "LockEntries", "WorkOnBehalfThread",
    ),
    "_KPROCESS": (
        "Header", "ProfileListHead", "DirectoryTableBase", "ThreadListHead", "ProcessLock", "Affinity", "ReadyListHead",
        "SwapListEntry", "ActiveProcessors", "ProcessFlags", "BasePriority", "StackCount", "ProcessListEntry",
        "CycleTime", "ContextSwitches", "UserTime", "KernelTime", "InstrumentationCallback", "UserDirectoryTableBase",
    ),
    "_EPROCESS": (
        "Pcb", "ProcessLock", "CreateTime", "ExitTime", "RundownProtect", "UniqueProcessId", "ActiveProcessLinks",
        "Flags", "Flags2", "ProcessExiting", "ProcessDelete", "CommitCharge", "DebugPort", "ExceptionPortData",
        "ObjectTable", "Token", "InheritedFromUniqueProcessId", "SectionObject", "SectionBaseAddress", "Win32Process",
        "Job", "Session", "Peb", "ImageFileName", "PriorityClass", "SecurityPort", "SeAuditProcessCreationInfo",
        "JobLinks", "ThreadListHead", "ActiveThreads", "ImagePathHash", "LastThreadExitStatus", "ExitStatus", "VadRoot",
        "WoW64Process", "Protection", "SequenceNumber", "ImageFilePointer", "MmProcessLinks", "VirtualSize",
        "SessionProcessLinks", "OwnerProcessId",
    ),
    # Waits and locks.
    "_KWAIT_BLOCK": (), "_KWAIT_CHAIN": (), "_KWAIT_CHAIN_ENTRY": (), "_KWAIT_STATUS_REGISTER": (),
    "_DISPATCHER_HEADER": (
        "Type", "TimerControlFlags", "Signalling", "Size", "Hand", "Absolute", "Abandoned", "Inserted", "Lock",
        "LockNV", "SignalState", "WaitListHead",
    ),
    "_KEVENT": (), "_KGATE": (), "_KSEMAPHORE": (), "_KMUTANT": (), "_KTIMER": (), "_KQUEUE": (), "_KPRIQUEUE": (),
    "_KDPC": (), "_FAST_MUTEX": (), "_KGUARDED_MUTEX": (), "_EX_PUSH_LOCK": (), "_ERESOURCE": (), "_OWNER_ENTRY": (),
    "_FAST_ERESOURCE_INTERNAL": (), "_FAST_OWNER_ENTRY_INTERNAL": (), "_KLOCK_ENTRY": (), "_KLOCK_ENTRY_LOCK_STATE": (),
    "_RTL_BALANCED_NODE": (), "_RTL_RB_TREE": (), "_EX_RUNDOWN_REF": (), "_ETIMER": (),
    # Work queues.
    "_WORK_QUEUE_ITEM": (), "_EX_WORK_QUEUE": (), "_IO_WORKITEM": (),
    # ALPC.
    "_ALPC_PORT": (
        "PortListEntry", "CommunicationInfo", "OwnerProcess", "CompletionPort", "ConnectionPort", "OwnerProcess",
        "MainQueue", "PendingQueue", "WaitQueue", "Semaphore", "DummyEvent", "LargeMessageQueue", "CanceledQueue",
        "u1", "PortContext", "TargetQueuePort", "TargetSequencePort", "MainQueueLength", "PendingQueueLength",
    ),
    "_ALPC_COMMUNICATION_INFO": (
        "ConnectionPort", "ServerCommunicationPort", "ClientCommunicationPort", "CommunicationList",
    ), "_KALPC_MESSAGE": (
        "Entry", "PortQueue", "OwnerPort", "WaitingThread", "u1.State", "SequenceNo", "QuotaProcess",
        "CancelSequencePort",
        "CancelQueuePort", "CommunicationInfo", "ConnectionPort", "ServerThread", "PortMessage",
    ),
    # Processors and register frames.
    "_KPCR": ("NtTib", "GdtBase", "TssBase", "Self", "CurrentPrcb", "LockArray", "Used_Self", "IdtBase", "Irql",
              "KdVersionBlock", "Prcb"),
    "_KPRCB": (
        "MxCsr", "InterruptRequest", "IdleHalt", "CurrentThread", "NextThread", "IdleThread", "NestingLevel",
        "Number", "RspBase", "PrcbLock", "MHz", "ProcessorState", "CpuType", "CpuID", "CpuStep", "CpuStepping",
        "CpuModel", "BuildType", "InitialApicId", "GroupSetMember", "Group", "GroupIndex", "DpcData", "DpcStack",
        "DpcRequestSummary", "DpcRoutineActive", "DpcTimeCount", "DpcTimeLimit", "DpcLastCount", "IdleState",
        "QuantumEnd", "NormalDpcState", "TimerTable", "WaitListHead", "ReadySummary", "DispatcherReadyListHead",
        "InterruptCount", "KernelTime", "UserTime", "DpcTime", "InterruptTime", "VendorString", "Context",
        "ContextFlagsInit", "IsrStack", "ClockInterrupts", "DpcWatchdogPeriod", "DpcWatchdogCount",
        "DpcWatchdogDpc", "DpcWatchdogTimer", "KeSystemCalls", "CachedStack",
        "SchedulerAssist",
        "DpcGate", "CurrentDpcRoutine", "DpcWatchdogSequenceNumber",
        "ThreadDpcEnable", "DpcWatchdogProfile",
        "DpcWatchdogProfileCurrentEmptyCapture", "DpcWatchdogProfileCumulativeDpcThreshold",
    ),
    "_KDPC_DATA": (), "_KPROCESSOR_STATE": (), "_KSPECIAL_REGISTERS": (), "_KTRAP_FRAME": (), "_KEXCEPTION_FRAME": (),
    "_MACHINE_FRAME": (), "_KSTACK_CONTROL": (), "_EXCEPTION_RECORD": (), "_EXCEPTION_POINTERS": (),
    "_CONTEXT": (
        "P1Home", "ContextFlags", "MxCsr", "SegCs", "SegDs", "SegEs", "SegFs", "SegGs", "SegSs", "EFlags", "Dr0", "Dr1",
        "Dr2", "Dr3", "Dr6", "Dr7", "Rax", "Rcx", "Rdx", "Rbx", "Rsp", "Rbp", "Rsi", "Rdi", "R8", "R9", "R10", "R11",
        "R12", "R13", "R14", "R15", "Rip", "FltSave", "Xmm0", "Xmm6", "Xmm15", "VectorControl", "LastBranchFromRip",
        "LastBranchToRip", "LastExceptionFromRip", "LastExceptionToRip",
    ),
    "_KTIMER_TABLE": (), "_KTIMER_TABLE_ENTRY": (),
    "_KUSER_SHARED_DATA": (
        "TickCountLowDeprecated", "TickCountMultiplier", "InterruptTime", "SystemTime", "TimeZoneBias", "NtSystemRoot",
        "NtBuildNumber", "NtProductType", "ProductTypeIsValid", "NtMajorVersion", "NtMinorVersion", "SuiteMask",
        "KdDebuggerEnabled", "SafeBootMode", "NumberOfPhysicalPages", "TickCount", "TickCountQuad", "Cookie",
        "ActiveProcessorCount", "BootId", "QpcFrequency",
    ),
    "_KSYSTEM_TIME": (),
    # Input and output.
    "_DEVICE_OBJECT": (), "_DEVOBJ_EXTENSION": (), "_DRIVER_OBJECT": (), "_DRIVER_EXTENSION": (), "_IRP": (),
    "_IO_STACK_LOCATION": (
        "MajorFunction", "MinorFunction", "Flags", "Control", "Parameters", "DeviceObject", "FileObject",
        "CompletionRoutine", "Context",
    ),
    "_FILE_OBJECT": (), "_VPB": (), "_IO_STATUS_BLOCK": ("Status", "Pointer", "Information"),
    "_WAIT_CONTEXT_BLOCK": (), "_KDEVICE_QUEUE": (), "_IO_TIMER": (), "_DEVICE_OBJECT_POWER_EXTENSION": (),
    # Plug and play, power.
    "_DEVICE_NODE": (), "_TRIAGE_9F_PNP": (), "_TRIAGE_9F_POWER": (), "_TRIAGE_PNP_DEVICE_COMPLETION_QUEUE": (),
    "_TRIAGE_PNP_DEVICE_COMPLETION_REQUEST": (), "_TRIAGE_DEVICE_NODE": (), "_TRIAGE_POP_FX_DEVICE": (),
    "_TRIAGE_POP_IRP_DATA": (), "_TRIAGE_EX_WORK_QUEUE": (), "_POP_IRP_DATA": (), "_PNP_DEVICE_COMPLETION_QUEUE": (),
    "_PNP_DEVICE_COMPLETION_REQUEST": (), "_PNP_DEVICE_EVENT_LIST": (), "_PNP_DEVICE_EVENT_ENTRY": (),
    "_PNP_DEVICE_ACTION_ENTRY": (), "_POP_FX_DEVICE": (
        "Link", "Irp", "IrpData", "Status", "PowerReqCall", "PowerNotReqCall", "DevNode", "DpmContext", "Plugin",
        "Name", "IrpList",
    ),
    "_PLUGPLAY_EVENT_BLOCK": ("EventGuid", "EventCategory", "Result", "Flags", "TotalSize", "DeviceObject"),
    "_POWER_STATE": (), "_SYSTEM_POWER_STATE_CONTEXT": (), "_POP_SHUTDOWN_BUG_CHECK": (),
    # Images, memory, hardware errors.
    "_KLDR_DATA_TABLE_ENTRY": (),
    "_LDR_DATA_TABLE_ENTRY": (
        "InLoadOrderLinks", "DllBase", "EntryPoint", "SizeOfImage", "FullDllName", "BaseDllName", "Flags", "LoadCount",
        "TimeDateStamp", "CheckSum",
    ),
    "_PEB": ("ImageBaseAddress", "Ldr", "ProcessParameters", "LoaderLock"),
    "_RTL_USER_PROCESS_PARAMETERS": ("ImagePathName", "CommandLine", "CurrentDirectory"),
    "_MMPTE_HARDWARE": (), "_MMPTE_TRANSITION": (), "_MMPTE_SOFTWARE": (), "_MMPTE_PROTOTYPE": (),
    "_PHYSICAL_MEMORY_DESCRIPTOR": (), "_PHYSICAL_MEMORY_RUN": (), "_SE_AUDIT_PROCESS_CREATION_INFO": (),
    "_OBJECT_NAME_INFORMATION": (),
    "_CM_KEY_CONTROL_BLOCK": ("NameBlock", "ParentKcb"), "_CM_NAME_CONTROL_BLOCK": ("NameLength", "Name"),
    "_WHEA_ERROR_RECORD": (), "_WHEA_ERROR_RECORD_HEADER": (), "_WHEA_ERROR_RECORD_SECTION_DESCRIPTOR": (),
}  # fmt: skip

# Structures that some builds' public symbols lack although the kernel has them; the loader entry's part used here is
# laid out alike in all eight builds (windbg lists the module lists of old kernels with the very same offsets).
BY_HAND: dict[str, tuple[int, dict[str, Field]]] = {
    "_KLDR_DATA_TABLE_ENTRY": (
        0xA0,
        {
            "InLoadOrderLinks": Field(0x0, 0x10, type_name="_LIST_ENTRY"),
            "ExceptionTable": Field(0x10, 8, type_name="*void"),
            "ExceptionTableSize": Field(0x18, 4),
            "DllBase": Field(0x30, 8, type_name="*void"),
            "EntryPoint": Field(0x38, 8, type_name="*void"),
            "SizeOfImage": Field(0x40, 4),
            "FullDllName": Field(0x48, 0x10, type_name="_UNICODE_STRING"),
            "BaseDllName": Field(0x58, 0x10, type_name="_UNICODE_STRING"),
            "Flags": Field(0x68, 4),
            "LoadCount": Field(0x6C, 2),
            "CheckSum": Field(0x78, 4),
        },
    ),
}
