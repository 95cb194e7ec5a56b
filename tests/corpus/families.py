"""Causes of crashes: one family is one bug, with the stack and the lock it shows when nothing is missing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

FAMILIES = 60
SYLLABLES = ("ac", "ba", "cor", "den", "el", "fo", "gri", "ha", "im", "jo", "kel", "lum", "mor", "nex", "pra", "qui")
ENDINGS = ("vpn", "flt", "net", "dsk", "usb", "av", "bus", "snd", "gpu", "sec")
VERBS = ("Flush", "Close", "Halt", "Reset", "Unbind", "Complete", "Drain", "Stop", "Submit", "Cancel", "Sync", "Detach")
THINGS = ("Queue", "Adapter", "Channel", "Request", "Session", "Cache", "Pipe", "Rule", "Timer", "Buffer", "Device")
TAILS = ("", "Ex", "Internal", "Worker", "Locked")
LOCKS = ("nt!PiEngineLock", "nt!CmpRegistryLock", "nt!IopDatabaseResource", "nt!PopPolicyLock", "nt!MmSystemLoadLock")
WAIT = ("nt!KiSwapContext", "nt!KiSwapThread", "nt!KiCommitThreadWait", "nt!KeWaitForSingleObject")
FAULT = ("nt!KeBugCheckEx", "nt!KiBugCheckDispatch", "nt!KiPageFault")
RAISED = ("nt!KeBugCheckEx", "nt!PspSystemThreadStartup$filt$0", "nt!_C_specific_handler", "nt!RtlDispatchException")
TICKS = ("nt!KeBugCheckEx", "nt!KeAccumulateTicks", "nt!KeClockInterruptNotify", "nt!KiInterruptDispatch")
REMOVAL = ("nt!PnpProcessQueryRemoveAndEject", "nt!PnpDeviceEventWorker", "nt!ExpWorkerThread")
REQUEST = ("nt!IofCallDriver", "nt!IopSynchronousServiceTail", "nt!NtDeviceIoControlFile", "nt!KiSystemServiceCopyEnd")
WORKER = ("nt!IopProcessWorkItem", "nt!ExpWorkerThread", "nt!PspSystemThreadStartup")
ACCESS_VIOLATION = 0xC0000005


@dataclass(frozen=True, slots=True)
class Family:
    """One bug. Families of the same ``kin`` are those a person would want to see side by side: the same driver holding
    the same lock, stopped under another code.

    ``path`` are the guilty driver's functions, innermost first, ``top`` what it called and ``above`` what called it.
    ``driver`` is None where damage was found whose maker is not on the stack. ``symbols`` is the share of machines
    where the driver's functions have names.
    """

    number: int
    kin: int
    code: int
    parameters: tuple[int, int, int, int]
    driver: str | None
    path: tuple[str, ...]
    top: tuple[str, ...]
    above: tuple[str, ...]
    lock: str | None = None
    service: str | None = None
    symbols: float = 0.3


def draw_families(random: Random) -> tuple[Family, ...]:
    """Sixty families. Among them: two bugs of one driver, two drivers that hold the same lock, and two holders that
    stop machines under two codes each."""
    names = _names(random)
    made = [_SHAPES[number % len(_SHAPES)](random, number, next(names)) for number in range(FAMILIES)]
    made[1] = replace(made[0], number=1, kin=1, path=_path(random), symbols=0.9)
    made[0] = replace(made[0], symbols=0.9)
    made[8] = replace(made[8], code=0x9F, parameters=(4, 300, 0, 0), lock=made[0].lock)
    made[15] = replace(made[8], number=15, code=0x15C, parameters=(2, 0, 0, 0))
    made[22] = replace(made[29], number=22, kin=made[29].kin, code=0x1CA, parameters=(2, 60, 0, 0))
    return tuple(made)


def _names(random: Random) -> Iterator[str]:
    known: set[str] = set()
    while True:
        name = "".join(random.sample(SYLLABLES, 2)) + random.choice(ENDINGS)
        if name not in known:
            known.add(name)
            yield name


def _path(random: Random) -> tuple[str, ...]:
    names = [random.choice(VERBS) + random.choice(THINGS) + random.choice(TAILS) for _ in range(random.randint(2, 4))]
    return tuple(dict.fromkeys(names))


def _lock_held(random: Random, number: int, name: str) -> Family:
    lock, service = random.choice(LOCKS), name.capitalize()
    path = _path(random)
    return Family(number, number, 0x9F, (4, 300, 0, 0), f"{name}.sys", path, WAIT, REMOVAL, lock, service)


def _request_held(random: Random, number: int, name: str) -> Family:
    path = _path(random)
    return Family(number, number, 0x9F, (3, 0, 0, 0), f"{name}.sys", path, WAIT, WORKER, None, name.capitalize())


def _fault(random: Random, number: int, name: str) -> Family:
    above = random.choice((WORKER, REQUEST, ("ndis!ndisMIndicate", "ndis!ndisInterruptDpc", "nt!KiRetireDpcList")))
    return Family(number, number, 0xD1, (0x28, 2, 0, 0), f"{name}.sys", _path(random), FAULT, above)


def _exception(random: Random, number: int, name: str) -> Family:
    values = (random.choice((ACCESS_VIOLATION, 0x80000003)), 0, 0, 0)
    return Family(number, number, 0x7E, values, f"{name}.sys", _path(random), RAISED, WORKER)


def _watchdog(random: Random, number: int, name: str) -> Family:
    above = ("nt!KiExecuteAllDpcs", "nt!KiRetireDpcList", "nt!KiIdleLoop")
    return Family(
        number, number, 0x133, (random.choice((0, 1)), 0x501, 0x500, 0), f"{name}.sys", _path(random), TICKS, above
    )


def _page_fault(random: Random, number: int, name: str) -> Family:
    values = (0xFFFF_8000_0000_0000 + random.getrandbits(40), random.choice((0, 2)), 0, 0)
    return Family(number, number, 0x50, values, f"{name}.sys", _path(random), FAULT, REQUEST)


def _damage(random: Random, number: int, name: str) -> Family:  # a shape like the others
    code, first = _DAMAGE[number // len(_SHAPES) % len(_DAMAGE)]
    return Family(number, number, code, (first, 0, 0, 0), None, (), ("nt!KeBugCheckEx", "nt!MiFreePage"), REQUEST)


_DAMAGE = (
    (0x1A, 0x41792),
    (0x19, 0x20),
    (0x4E, 0x99),
    (0xC2, 0x7),
    (0x1A, 0x403),
    (0x19, 0x3),
    (0xC5, 0),
    (0x124, 0),
    (0x139, 3),
)
_SHAPES: tuple[Callable[[Random, int, str], Family], ...] = (
    *(_lock_held, _request_held, _fault, _exception, _watchdog, _page_fault, _damage),
)
