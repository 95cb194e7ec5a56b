"""What each check of Driver Verifier (0xC4) is about: parameter 1 → what the driver did, and what names it.

After the public page "Bug Check 0xC4: DRIVER_VERIFIER_DETECTED_VIOLATION"; in our own words. Parameters that are not
listed hold details of the check (a size, an IRQL, an MDL) and point at nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analysis.bugchecks.explained import Stop


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``deed`` completes a sentence that begins with the driver. The numbers of parameters that lie in the
    driver's ``code``, are its name (``text``), its ``driver`` or ``device`` object, an ``irp`` of it, or the ``thread``
    that is the story. ``area`` is what is to be looked at next."""

    deed: str
    area: str = "call"
    code: tuple[int, ...] = ()
    text: int | None = None
    driver: int | None = None
    device: int | None = None
    irp: int | None = None
    thread: int | None = None
    stop: Stop = Stop.FAULT


_HIGH = "at too high an IRQL"
_OVERRUN = "wrote past the end of a block of pool, which was noticed when it was freed"
_TRACKING = "freed a block of pool of which the verifier's own records are damaged"
_APC = "changed the thread's count of disabled APCs"
_CRC = "data read back from disk differs from what was written"

CHECKS: Mapping[int, Check] = MappingProxyType(
    {
        0x00: Check("asked for zero bytes of pool", "pool"),
        0x01: Check(f"asked for paged pool {_HIGH}", "irql"),
        0x02: Check(f"asked for nonpaged pool {_HIGH}", "irql"),
        0x10: Check("freed an address that no allocation returned", "pool"),
        0x11: Check(f"freed paged pool {_HIGH}", "irql"),
        0x12: Check(f"freed nonpaged pool {_HIGH}", "irql"),
        **dict.fromkeys((0x13, 0x14), Check("freed a block of pool twice", "pool")),
        0x16: Check("freed pool at a bad address, or passed wrong values to a memory routine", "pool"),
        0x17: Check("freed pool in which a lock is still in use", "pool"),
        0x30: Check("raised the IRQL to a level that is lower than the present one, or does not exist", "irql"),
        0x31: Check("lowered the IRQL to a level that is higher than the present one, or does not exist", "irql"),
        0x32: Check("released a spin lock at another IRQL than DISPATCH_LEVEL", "irql"),
        0x33: Check(f"acquired a fast mutex {_HIGH}", "irql"),
        0x34: Check("released a fast mutex at another IRQL than APC_LEVEL", "irql"),
        0x35: Check("left the kernel to release a spin lock at another IRQL than DISPATCH_LEVEL", "irql"),
        0x36: Check("left the kernel to release a queued spin lock at another IRQL than DISPATCH_LEVEL", "irql"),
        0x37: Check("acquired a resource without disabling APCs", "lock"),
        0x38: Check("released a resource without APCs being disabled", "lock"),
        0x39: Check("acquired a mutex the unsafe way at another IRQL than APC_LEVEL", "irql"),
        0x3A: Check("released a mutex the unsafe way at another IRQL than APC_LEVEL", "irql"),
        0x3B: Check("waited where it must not, at raised IRQL", "irql"),
        0x3C: Check("looked up an object by a bad handle"),
        0x3D: Check("acquired a resource that is not aligned", "lock"),
        0x3E: Check("left a critical region that the thread was not in", "lock"),
        0x3F: Check("referenced or released an object whose count was already zero"),
        0x40: Check("acquired a spin lock as if at DISPATCH_LEVEL, below it", "irql"),
        0x41: Check("released a spin lock as if at DISPATCH_LEVEL, below it", "irql"),
        0x42: Check(f"acquired a spin lock {_HIGH}", "irql"),
        **dict.fromkeys((0x51, 0x52, 0x53, 0x54, 0x59), Check(_OVERRUN, "pool")),
        0x60: Check("was unloaded without freeing its pool", "pool"),
        0x61: Check("asked for pool while it was being unloaded", "pool"),
        0x62: Check("was unloaded without freeing its pool", "pool", text=2),
        **dict.fromkeys((0x70, 0x71, 0x72), Check(f"locked the pages of an MDL {_HIGH}", "irql")),
        0x73: Check(f"mapped I/O space {_HIGH}", "irql"),
        **dict.fromkeys((0x74, 0x75, 0x76, 0x77), Check(f"mapped locked pages {_HIGH}", "irql")),
        0x78: Check(f"unlocked the pages of an MDL {_HIGH}", "irql"),
        **dict.fromkeys((0x79, 0x7A), Check(f"unmapped locked pages {_HIGH}", "irql")),
        0x7B: Check(f"unmapped I/O space {_HIGH}", "irql"),
        0x7C: Check("unlocked an MDL whose pages were never locked"),
        0x7D: Check("unlocked an MDL of nonpaged pool, which is never locked"),
        0x7E: Check(f"allocated or freed pages of an MDL {_HIGH}", "irql"),
        0x7F: Check("described paged pool as an MDL of nonpaged pool"),
        0x80: Check(f"set an event {_HIGH}", "irql"),
        0x81: Check("mapped locked pages by a call that cannot report a failure"),
        0x82: Check("mapped locked pages so that a failure stops the machine"),
        0x83: Check("mapped physical memory as I/O space that is not locked down"),
        0x85: Check("mapped an MDL whose pages are not locked down"),
        0x89: Check("passed an MDL with pages that are no memory, not marked as I/O"),
        0x91: Check("switched stacks in a way that Windows does not support"),
        **dict.fromkeys((0xA0, 0xA1, 0xA2), Check(_CRC, "disk", stop=Stop.STORAGE)),
        **dict.fromkeys((0xB0, 0xB1), Check("locked the pages of an MDL whose flags forbid it")),
        **dict.fromkeys((0xB2, 0xB3), Check("mapped the pages of an MDL whose flags forbid it")),
        0xB4: Check("unlocked a partial MDL"),
        0xB8: Check("freed an MDL whose pages are still mapped"),
        0xC0: Check("sent a request on with interrupts disabled", irp=2),
        0xC1: Check("returned from a dispatch routine with interrupts disabled", code=(2,)),
        0xC2: Check("called a fast I/O routine with interrupts disabled"),
        0xC3: Check("returned from a fast I/O routine with interrupts disabled", code=(2,)),
        **dict.fromkeys((0xC5, 0xC6), Check(_APC, "lock", code=(2,))),
        0xCA: Check("initialized a lookaside list twice"),
        0xCB: Check("deleted a lookaside list that was not initialized"),
        0xCC: Check("freed pool that holds a lookaside list in use", "pool"),
        0xCD: Check("made a lookaside list with blocks that are too small"),
        0xD0: Check("initialized a resource twice", "lock"),
        0xD1: Check("deleted a resource that was not initialized", "lock"),
        0xD2: Check("freed pool that holds a resource in use", "lock"),
        **dict.fromkeys(
            (0xD5, 0xD6), Check("released a remove lock with another tag than it was acquired with", "lock")
        ),
        0xD7: Check("initialized a remove lock again", "lock"),
        0xDA: Check("was unloaded with its WMI callback still registered", code=(3, 2)),
        0xDB: Check("deleted a device that is still registered with WMI", device=2),
        0xDC: Check("unregistered from event tracing with a bad handle"),
        0xDD: Check("was unloaded without unregistering from event tracing", code=(2, 3)),
        0xDF: Check("keeps a synchronization object in session memory", "lock"),
        0xE0: Check("passed an address of a program to a kernel function"),
        0xE1: Check("used a synchronization object at a bad or pageable address", "lock"),
        0xE2: Check("sent a request of the kernel with an address of a program in it", irp=2),
        0xE3: Check("called a system service with an address of a program", code=(2,)),
        0xE4: Check("called a system service with a malformed string", code=(2,)),
        0xE5: Check("called a kernel function at the wrong IRQL", "irql"),
        0xE6: Check("called a system service at raised IRQL or with special APCs disabled", "irql", code=(2,)),
        0xEA: Check("acquired a push lock without disabling APCs", "lock"),
        0xEB: Check("released a push lock without APCs being disabled", "lock"),
        0xF0: Check("copied memory between areas that overlap"),
        0xF5: Check("looked up an object by a null handle"),
        0xF6: Check("used a program's handle as one of the kernel", code=(4,)),
        0xF7: Check("used a kernel handle as one of a program, in the system process"),
        0xFA: Check("returned from a completion routine at another IRQL", "irql", code=(2,)),
        0xFB: Check(f"{_APC} in a completion routine", "lock", code=(2,)),
        0x105: Check("freed a request as if it were plain pool", irp=2),
        0x10A: Check("charged pool to the idle process"),
        0x10B: Check("charged pool to a process from a deferred call"),
        0x110: Check("damaged the saved registers of the thread in its interrupt routine", code=(2,)),
        0x111: Check("returned from its interrupt routine at another IRQL", "irql", code=(2,)),
        0x115: Check("kept the shutdown from ending for 20 minutes", "lock", thread=2, stop=Stop.HANG),
        0x11A: Check(f"entered a critical region {_HIGH}", "irql"),
        0x11B: Check(f"left a critical region {_HIGH}", "irql"),
        **dict.fromkeys((0x120, 0x121, 0x122), Check(f"waited {_HIGH}", "irql")),
        0x123: Check("waited as a program does for an object on a kernel stack"),
        0x130: Check("queued a work item that lies in session memory"),
        0x131: Check("queued a work item that lies in pageable memory"),
        0x135: Check("did not complete a cancelled request in time", irp=2, stop=Stop.REQUEST),
        **dict.fromkeys((0x13A, 0x13B, 0x13C, 0x13D, 0x13E, 0x13F), Check(_TRACKING, "pool")),
        0x140: Check("described pageable memory by an MDL that is not locked"),
        0x1000: Check("acquired a lock that it already holds", "lock"),
        0x1001: Check("takes locks in an order that can deadlock", "lock"),
        0x1002: Check("acquired a lock that was never initialized", "lock"),
        0x1003: Check("released locks in the wrong order", "lock"),
        0x1004: Check("released a lock that another thread acquired", "lock"),
        0x1005: Check("initialized a lock twice", "lock"),
        0x1007: Check("released a lock that it does not hold", "lock"),
        0x1008: Check("acquired a lock by the function for another kind of lock", "lock"),
        0x1009: Check("released a lock by the function for another kind of lock", "lock"),
        0x100A: Check("let a thread end that still holds a lock", "lock"),
        0x100B: Check("deleted a lock that a thread still holds", "lock"),
        0x2000: Check("passed a null pointer to StorPortInitialize", driver=2),
    }
)
SWITCH = range(0xA001, 0xA00E)
SWITCH_CHECK = Check("broke a rule of the Hyper-V extensible switch")

# Checks of DDI compliance: parameter 1 → the rule's name, under which its own public page is found.
RULES: Mapping[int, str] = MappingProxyType(
    {
        0x20002: "IrqlApcLte", 0x20003: "IrqlDispatch", 0x20004: "IrqlExAllocatePool", 0x20005: "IrqlExApcLte1",
        0x20006: "IrqlExApcLte2", 0x20007: "IrqlExApcLte3", 0x20008: "IrqlExPassive", 0x20009: "IrqlIoApcLte",
        0x2000A: "IrqlIoPassive1", 0x2000B: "IrqlIoPassive2", 0x2000C: "IrqlIoPassive3", 0x2000D: "IrqlIoPassive4",
        0x2000E: "IrqlIoPassive5", 0x2000F: "IrqlKeApcLte1", 0x20010: "IrqlKeApcLte2", 0x20011: "IrqlKeDispatchLte",
        0x20015: "IrqlKeReleaseSpinLock", 0x20016: "IrqlKeSetEvent", 0x20019: "IrqlMmApcLte",
        0x2001A: "IrqlMmDispatch", 0x2001B: "IrqlObPassive", 0x2001C: "IrqlPsPassive", 0x2001D: "IrqlReturn",
        0x2001E: "IrqlRtlPassive", 0x2001F: "IrqlZwPassive", 0x20022: "IrqlIoDispatch", 0x40003: "CriticalRegions",
        0x40006: "QueuedSpinLock", 0x40007: "QueuedSpinLockRelease", 0x40009: "SpinLock", 0x4000B: "SpinlockRelease",
        0x4000E: "GuardedRegions", 0x4100B: "RequestedPowerIrp", 0x4100F: "IoSetCompletionExCompleteIrp",
        0x43006: "PnpRemove", 0x91001: "NdisOidComplete", 0x91002: "NdisOidDoubleComplete",
        0x9100E: "NdisOidDoubleRequest", 0x92003: "NdisTimedOidComplete", 0x9200D: "NdisTimedDataSend",
        0x9200F: "NdisTimedDataHang", 0x93004: "WlanAssociation", 0x93005: "WlanConnectionRoaming",
        0x93006: "WlanDisassociation", 0x94007: "WlanTimedAssociation", 0x94008: "WlanTimedConnectionRoaming",
        0x94009: "WlanTimedConnectRequest", 0x9400B: "WlanTimedLinkQuality", 0x9400C: "WlanTimedScan",
    }
)  # fmt: skip


def find_check(number: int) -> Check | None:
    """The check that parameter 1 names; None for one that the page does not list."""
    if number in RULES:
        return Check(f"broke Driver Verifier's rule {RULES[number]}", "irql" if number < 0x4_0000 else "call")
    return SWITCH_CHECK if number in SWITCH else CHECKS.get(number)
