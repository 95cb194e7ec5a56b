"""Structure layouts of invented 32-bit kernels: members in the order of the public symbols, their places drawn.

Between members lie gaps that a number decides, so that only a reader that asks the symbols finds anything. What wdm.h
or the processor fixes is as it is there.
"""

import random
import re

from tests.forge.layouts import Layouts, Member, Structure

# name[!]: members as name:kind; "!" for a structure without gaps, "name:bits3" for so many bits.
BUILDS = (7601, 9600, 19041)
_STRUCTURES = """
_LIST_ENTRY! Flink:* Blink:*
_UNICODE_STRING! Length:u16 MaximumLength:u16 Buffer:*
_CLIENT_ID! UniqueProcess:* UniqueThread:*
_DISPATCHER_HEADER! Type:u8 Abandoned:u8 Size:u8 DpcActive:u8 SignalState:u32 WaitListHead:_LIST_ENTRY
_KEVENT! Header:_DISPATCHER_HEADER
_KSEMAPHORE! Header:_DISPATCHER_HEADER Limit:u32
_KMUTANT Header:_DISPATCHER_HEADER MutantListEntry:_LIST_ENTRY OwnerThread:* Abandoned:u8 ApcDisable:u8
_FAST_MUTEX! Count:u32 Owner:* Contention:u32 Event:_KEVENT OldIrql:u32
_KSWITCHFRAME! ExceptionList:u32 ApcBypassDisable:u32 RetAddr:u32
_OWNER_ENTRY! OwnerThread:u32 IoPriorityBoosted:bits1 OwnerReferenced:bits1 OwnerCount:bits30
 TableSize=IoPriorityBoosted:u32
_ERESOURCE SystemResourcesList:_LIST_ENTRY OwnerTable:* ActiveCount:u16 Flag:u16 SharedWaiters:* ExclusiveWaiters:*
 OwnerEntry:_OWNER_ENTRY ActiveEntries:u32 ContentionCount:u32 NumberOfSharedWaiters:u32 NumberOfExclusiveWaiters:u32
_KWAIT_CHAIN_ENTRY ListEntry:_LIST_ENTRY Thread:* Event:_KEVENT
_KWAIT_BLOCK WaitListEntry:_LIST_ENTRY Thread:* Object:* NextWaitBlock:* WaitKey:u16 WaitType:u8
_KPROCESS Header:_DISPATCHER_HEADER DirectoryTableBase:u32 ThreadListHead:_LIST_ENTRY
_EPROCESS Pcb:_KPROCESS UniqueProcessId:* ActiveProcessLinks:_LIST_ENTRY InheritedFromUniqueProcessId:*
 ImageFileName:u8[15] ThreadListHead:_LIST_ENTRY ActiveThreads:u32
_KTHREAD Header:_DISPATCHER_HEADER InitialStack:* StackLimit:* KernelStack:* StackBase:* KernelStackResident:bits1
 SystemThread:bits1 State:u8 WaitReason:u8 Priority:u8 BasePriority:u8 WaitBlockCount:u8 WaitBlockList:* WaitTime:u32
 WaitBlock:_KWAIT_BLOCK[4] Process:* TrapFrame:* Teb:* Queue:* ThreadListEntry:_LIST_ENTRY
_ETHREAD Tcb:_KTHREAD StartAddress:* Cid:_CLIENT_ID IrpList:_LIST_ENTRY Win32StartAddress:* ThreadListEntry:_LIST_ENTRY
 CrossThreadFlags:u32 ActiveExWorker:bits1
_FILE_OBJECT Type:u16 Size:u16 DeviceObject:* Event:_KEVENT
_DEVICE_OBJECT Type:u16 Size:u16 DriverObject:* NextDevice:* AttachedDevice:* Flags:u32 DeviceExtension:* DeviceType:u32
 StackSize:u8 DeviceObjectExtension:*
_DEVOBJ_EXTENSION Type:u16 Size:u16 DeviceObject:* DeviceNode:* AttachedTo:*
_DRIVER_OBJECT Type:u16 Size:u16 DeviceObject:* Flags:u32 DriverStart:* DriverSize:u32 DriverExtension:*
 DriverName:_UNICODE_STRING
_DRIVER_EXTENSION DriverObject:* ServiceKeyName:_UNICODE_STRING
_IRP_OVERLAY Thread:* CurrentStackLocation:* OriginalFileObject:*
_IRP_TAIL! Overlay:_IRP_OVERLAY
_IRP Type:u16 Size:u16 ThreadListEntry:_LIST_ENTRY StackCount:u8 CurrentLocation:u8 UserEvent:* Tail:_IRP_TAIL
_IO_STACK_LOCATION MajorFunction:u8 MinorFunction:u8 Flags:u8 Control:u8 DeviceObject:* CompletionRoutine:* Context:*
_DEVICE_NODE Sibling:* Child:* Parent:* PhysicalDeviceObject:* InstancePath:_UNICODE_STRING ServiceName:_UNICODE_STRING
 PendingIrp:* State:u32
_KPROCESSOR_STATE! ContextFrame:u8[716]
_KPRCB MinorVersion:u32 CurrentThread:* NextThread:* IdleThread:* ProcessorState:_KPROCESSOR_STATE
"""
_SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "*": 4}
# Where older and newer kernels differ in kind: waits are chained up to Windows 7 and counted since; waiters of a
# resource are on one object up to 8.1, and on a chain of entries of their own later.
_LACKS = {
    7601: {"WaitBlockCount", "_KWAIT_CHAIN_ENTRY"},
    9600: {"NextWaitBlock", "_KWAIT_CHAIN_ENTRY"},
    19041: {"NextWaitBlock"},
}


def layouts32(build: int, rng: random.Random) -> Layouts:
    """The layouts of an invented 32-bit kernel of the kind of ``build``."""
    found: dict[str, Structure] = {}
    for text in re.split(r"\n(?! )", _STRUCTURES.strip()):
        head, *members = text.split()
        name = head.rstrip("!")
        if name not in _LACKS[build]:
            kept = [member for member in members if member.split(":")[0] not in _LACKS[build]]
            found[name] = _place(kept, found, None if head.endswith("!") else rng)
    return Layouts(build, found)


def _place(members: list[str], known: dict[str, Structure], rng: random.Random | None) -> Structure:
    placed: dict[str, Member] = {}
    at = bit = 0
    for number, text in enumerate(members):
        name, kind = text.split(":")
        name, _, beside = name.partition("=")
        if beside:
            placed[name] = Member(placed[beside].offset, kind)
            continue
        if kind.startswith("bits"):
            bits = int(kind[4:])
            at = (at + 3 & ~3) if not bit else at
            placed[name] = Member(at, "bits", bit, bits)
            bit += bits
            continue
        at, bit = (at + 4, 0) if bit else (at, 0)
        gap = 4 * rng.randrange(0, 5) if rng is not None and number else 0
        size, alignment = _size(kind, known)
        at = (at + gap + alignment - 1) & -alignment
        placed[name] = Member(at, kind)
        at += size
    return Structure((at + (4 if bit else 0) + 7 & ~7) if rng is not None else at + (4 if bit else 0), placed)


def _size(kind: str, known: dict[str, Structure]) -> tuple[int, int]:
    array = re.fullmatch(r"(.+)\[(\d+)\]", kind)
    if array:
        size, alignment = _size(array[1], known)
        return size * int(array[2]), alignment
    if kind in _SIZES:
        return _SIZES[kind], _SIZES[kind]
    return known[kind].size, 4
