"""Layouts that no public PDB holds: the dump header, the debugger's data block and a few private structures.

Byte offsets. Sources: real dumps (the 10.0.19041.804 triage dump for header and debugger data), the public readers of
dump files, and volatility3 for the unloaded driver array.
"""

HEADER_SIZE = 0x2000
DUMP_HEADER64 = {
    "Signature": 0x00,  # 'PAGEDU64'
    "MajorVersion": 0x08,
    "MinorVersion": 0x0C,
    "DirectoryTableBase": 0x10,
    "PfnDataBase": 0x18,
    "PsLoadedModuleList": 0x20,
    "PsActiveProcessHead": 0x28,
    "MachineImageType": 0x30,
    "NumberProcessors": 0x34,
    "BugCheckCode": 0x38,
    "BugCheckParameters": 0x40,
    "VersionUser": 0x60,
    "KdDebuggerDataBlock": 0x80,
    "PhysicalMemoryBlock": 0x88,  # u32 runs, u32 pad, u64 pages, then {u64 base, u64 count}
    "ContextRecord": 0x348,
    "Exception": 0xF00,
    "DumpType": 0xF98,
    "RequiredDumpSpace": 0xFA0,
    "SystemTime": 0xFA8,
    "Comment": 0xFB0,
    "SystemUpTime": 0x1030,
    "MiniDumpFields": 0x1038,
    "SecondaryDataState": 0x103C,
    "ProductType": 0x1040,
    "SuiteMask": 0x1044,
    "WriterStatus": 0x1048,
}
# The run list ends before the context record: 0x348 - 0x98 bytes, 16 a run.
MAX_RUNS = (0x348 - 0x98) // 16

BITMAP_HEADER = {
    "Signature": 0x00,  # 'SDMP' or 'FDMP'
    "ValidDump": 0x04,  # 'DUMP'
    "FirstPage": 0x20,
    "TotalPresentPages": 0x28,
    "Pages": 0x30,
    "Bitmap": 0x38,
}

KDBG_SIZE = 0x380
KDBG = {
    "List": 0x00,
    "OwnerTag": 0x10,
    "Size": 0x14,
    "KernBase": 0x18,
    "PsLoadedModuleList": 0x48,
    "PsActiveProcessHead": 0x50,
    "PspCidTable": 0x58,
    "ExpSystemResourcesList": 0x60,
    "KeTimeIncrement": 0x78,
    "KiBugCheckData": 0x88,
    "MmPfnDatabase": 0xC0,
    "NtBuildLab": 0x208,
    "KiProcessorBlock": 0x218,
    "MmUnloadedDrivers": 0x220,
    "MmLastUnloadedDriver": 0x228,
    "MmPhysicalMemoryBlock": 0x270,
    "PteBase": 0x360,
}
KDBG_OFFSETS = {  # u16 each: name -> (place in the block, structure, member; member "" is the structure's size)
    0x298: ("_KTHREAD", "NextProcessor"),
    0x29A: ("_KTHREAD", "Teb"),
    0x29C: ("_KTHREAD", "KernelStack"),
    0x29E: ("_KTHREAD", "InitialStack"),
    0x2A0: ("_KTHREAD", "ApcState.Process"),
    0x2A2: ("_KTHREAD", "State"),
    0x2A8: ("_EPROCESS", ""),
    0x2AA: ("_EPROCESS", "Peb"),
    0x2AC: ("_EPROCESS", "InheritedFromUniqueProcessId"),
    0x2AE: ("_KPROCESS", "DirectoryTableBase"),
    0x2B0: ("_KPRCB", ""),
    0x2B2: ("_KPRCB", "DpcRoutineActive"),
    0x2B4: ("_KPRCB", "CurrentThread"),
    0x2B6: ("_KPRCB", "MHz"),
    0x2BA: ("_KPRCB", "VendorString"),
    0x2BC: ("_KPRCB", "ProcessorState.ContextFrame"),
    0x2BE: ("_KPRCB", "Number"),
    0x2C0: ("_ETHREAD", ""),
    0x2E0: ("_KPCR", ""),
    0x2E2: ("_KPCR", "Self"),
    0x2E4: ("_KPCR", "CurrentPrcb"),
    0x2E6: ("_KPCR", "Prcb"),
    0x338: ("_KPRCB", "Context"),
    0x350: ("_KPRCB", "IdleThread"),
    0x352: ("_KPRCB", "NormalDpcState"),
    0x354: ("_KPRCB", "DpcStack"),
    0x356: ("_KPRCB", "IsrStack"),
    0x35C: ("_KTHREAD", "WaitReason"),
}
KDBG_OFFSETS32 = {
    0x340: ("_KTHREAD", "StackLimit"),
    0x344: ("_KTHREAD", "StackBase"),
    0x348: ("_KTHREAD", "QueueListEntry"),
    0x34C: ("_ETHREAD", "IrpList"),
}

UNLOADED_DRIVER = {"Name": 0x00, "Start": 0x10, "End": 0x18, "Time": 0x20}
UNLOADED_DRIVER_SIZE = 0x28
UNLOADED_DRIVER_COUNT = 50

SWITCH_FRAME = {"ApcBypass": 0x28, "Rbp": 0x30, "Return": 0x38}
SWITCH_FRAME_SIZE = 0x40
INITIAL_STACK_BELOW_BASE = 0x370

LDR_ENTRY_SIZE = 0xA0
LDR_ENTRY = {  # the kernel's own entry; 14393 and later publish it, older kernels have the same
    "InLoadOrderLinks": 0x00,
    "ExceptionTable": 0x10,
    "ExceptionTableSize": 0x18,
    "DllBase": 0x30,
    "EntryPoint": 0x38,
    "SizeOfImage": 0x40,
    "FullDllName": 0x48,
    "BaseDllName": 0x58,
    "Flags": 0x68,
    "LoadCount": 0x6C,
    "CheckSum": 0x78,
    "TimeDateStampOld": 0x80,  # up to 9600 this is where LDR_DATA_TABLE_ENTRY has it
    "TimeDateStamp": 0x9C,
}
