"""Twenty ways to be wrong: machines on which the obvious answer is not the right one.

Each says in ``Expected`` whom an analysis may blame at all; ``Way`` adds how sure it may be.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import add_irp, add_node
from tests.forge.kernel.modules import add_driver_object
from tests.forge.kernel.objects import event
from tests.forge.kernel.pnp import write_completion_queue, write_event_list
from tests.forge.kernel.resources import add_resource, own, wait_for
from tests.forge.kernel.state import EXECUTIVE, Frame, Kernel
from tests.forge.kernel.threads import add_thread, terminate, wait
from tests.forge.scenarios import manual
from tests.forge.scenarios.seed import REMOVAL, STOP, lock_tree_waiters, stop_9f_4
from tests.forge.scenarios.stops import DEVICE_CALL, bytes_at, extra, return_into, signed, stop_in
from tests.forge.scenarios.story import Cast, Culprit, Outcome, device_stack, driver_image, named, stop_in_idle, waiter

FREED = 0x8000_0018  # added to the pool's base: nothing is mapped there
POWER, SET_POWER = 0x16, 0x02


@dataclass(frozen=True, slots=True)
class Way:
    """One way to be wrong: what tempts, the machine, the right kind of culprit (None: nobody), the most confidence."""

    temptation: str
    build: Callable[[Kernel, Cast], Outcome]
    kind: str | None
    most: str


def stale_return(kernel: Kernel, cast: Cast) -> Outcome:
    """Another driver's return address lies in the locals of the driver that failed."""
    guilty, innocent = cast.third_party(2)
    image, other = driver_image(kernel, guilty), driver_image(kernel, innocent)
    left = {0x28: return_into(other, "sub_1"), 0x30: return_into(other, "sub_2")}
    frames = [Frame(image, "Complete"), Frame(image, "Dispatch", left), *kernel.frames(*DEVICE_CALL)]
    return _d1(kernel, frames, guilty.driver)


def unwaited_lock(kernel: Kernel, cast: Cast) -> Outcome:
    """A driver's thread holds PiEngineLock and waits, but nobody waits for the lock."""
    return manual.decoys(kernel, cast)


def bus_of_the_device(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/3: the request went down to the bus and never came back up through the function driver."""
    (guilty,) = cast.third_party(1)
    root = add_node(kernel, "HTREE\\ROOT\\0", "", 0)
    drivers = [
        add_driver_object(kernel, kernel.image("pci.sys"), "pci"),
        add_driver_object(kernel, driver_image(kernel, guilty), guilty.service),
    ]
    _, devices = device_stack(kernel, root, guilty, drivers)
    irp = add_irp(kernel, list(reversed(devices)), POWER, SET_POWER, current=1)
    stop_in_idle(kernel, kernel.frames("PopIrpWatchdogBugcheck", "PopIrpWatchdog", *STOP[1:]))
    return Outcome(0x9F, (3, devices[0], 0, irp), Expected(culprit=guilty.driver))


def framework_above(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/4: the holder waits in the framework, which waits for its client."""
    (guilty,) = cast.third_party(1)
    image, framework = driver_image(kernel, guilty), kernel.image("Wdf01000.sys")
    inner = [Frame(framework, "FxWait"), Frame(image, "EvtDeviceReleaseHardware"), Frame(framework, "FxPnpCall")]
    return _removal(kernel, cast, inner, guilty.driver)


def verifier_on_the_stack(kernel: Kernel, cast: Cast) -> Outcome:
    """0xC4: Driver Verifier stopped the machine; its client made the mistake."""
    (guilty,) = cast.third_party(1)
    verifier, image = extra(kernel, "VerifierExt.sys"), driver_image(kernel, guilty)
    frames = [Frame(verifier, "Report"), Frame(verifier, "CheckFree"), Frame(image, "Cleanup"), Frame(image, "Close")]
    stop_in(kernel, named(kernel, "chrome.exe"), [*frames, *kernel.frames(*DEVICE_CALL)])
    return Outcome(0xC4, (0x10, kernel.machine.pool(0x40, "Acme"), 0, 0), Expected(culprit=guilty.driver))


def corrupted_list(kernel: Kernel, cast: Cast) -> Outcome:
    """0x139/3: whoever removes an entry finds the list damaged."""
    (finder,) = cast.third_party(1)
    frames = [Frame(driver_image(kernel, finder), "RemoveEntry"), *kernel.frames(*DEVICE_CALL)]
    found = stop_in(kernel, named(kernel, "chrome.exe"), frames, fault=True, through=("KiBugCheckDispatch",))
    return Outcome(0x139, (3, found.trap, 0, 0), Expected(culprit=finder.driver))


def unloaded_driver(kernel: Kernel, cast: Cast) -> Outcome:
    """0xCE: a timer runs code of a driver that was unloaded."""
    name, start, *_ = kernel.unloaded[0]
    image = driver_image(kernel, cast.third_party(1)[0])
    frames = [Frame(image, "TimerCaller"), *kernel.frames("KiTimerExpiration", "KiRetireDpcList")]
    stop_in(kernel, named(kernel, "System"), frames, fault=True, through=("KiBugCheckDispatch",), rip=start + 0x1140)
    return Outcome(0xCE, (start + 0x1140, 0x10, start + 0x1140, 0), Expected(culprit=name.lower()))


def jump_to_nowhere(kernel: Kernel, cast: Cast) -> Outcome:
    """0xD1: the instruction pointer is in no module; who called it is the one."""
    (guilty,) = cast.third_party(1)
    wild = kernel.machine.region("pool").base + FREED
    frames = [Frame(driver_image(kernel, guilty), "CallBack"), *kernel.frames(*DEVICE_CALL)]
    stop_in(kernel, named(kernel, "chrome.exe"), frames, fault=True, through=("KiBugCheckDispatch",), rip=wild)
    return Outcome(0xD1, (wild, 2, 8, wild), Expected(culprit=guilty.driver))


def damaged_page_tables(kernel: Kernel, cast: Cast) -> Outcome:
    """0x1A/0x41790: a driver was running when a page table was found damaged."""
    return _innocent(kernel, cast, 0x1A, (0x41790, kernel.machine.region("pool").base, 1, 0), None)


def damaged_pool(kernel: Kernel, cast: Cast) -> Outcome:
    """0x19/0x20: whoever frees the next block meets the damage."""
    block = kernel.machine.pool(0x40, "Ntfr")
    (finder,) = cast.third_party(1)
    return _innocent(kernel, cast, 0x19, (0x20, block, block + 0x50, 0x405_0005), finder.driver, finder)


def kernel_only(kernel: Kernel, cast: Cast) -> Outcome:
    """0xA: no driver is on the stack at all."""
    _ = cast
    frames = kernel.frames("MiMappedPageWriter", "MiModifiedPageWriter")
    found = stop_in(kernel, named(kernel, "System"), frames, fault=True, through=("KiBugCheckDispatch",))
    wild = kernel.machine.region("pool").base + FREED
    return Outcome(0xA, (wild, 2, 0, found.address), Expected(culprit="ntoskrnl.exe"))


def program_on_the_stack(kernel: Kernel, cast: Cast) -> Outcome:
    """0x3B: a program's system call failed inside the kernel; the program is below on the stack."""
    _ = cast
    frames = kernel.frames("ObWaitForSingleObject", "NtWaitForSingleObject")
    found = stop_in(kernel, named(kernel, "chrome.exe"), frames, fault=True, through=("KiExceptionDispatch",))
    return Outcome(0x3B, (0xC000_0005, found.address, 0, 0), Expected(culprit="ntoskrnl.exe"))


def watchdogs_stack(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/4: another driver's code is on the crashing stack, above which the watchdog's timer fired."""
    guilty, innocent = cast.third_party(2)
    return _removal(
        kernel, cast, [Frame(driver_image(kernel, guilty), "WaitForDevice")], guilty.driver,
        decoy=Frame(driver_image(kernel, innocent), "DpcRoutine"),
    )  # fmt: skip


def forced_by_keyboard(kernel: Kernel, cast: Cast) -> Outcome:
    """0xE2: a keyboard filter is on the stack that raised the stop."""
    frame = Frame(driver_image(kernel, cast.third_party(1)[0]), "KeyboardCallback")
    stop_in_idle(kernel, [frame, *kernel.frames("KiRetireDpcList")])
    return Outcome(0xE2, (0, 0, 0, 0), Expected(culprit=None))


def hardware_error(kernel: Kernel, cast: Cast) -> Outcome:
    """0x124: a driver was running when a processor reported an error."""
    return _innocent(kernel, cast, 0x124, (0, bytes_at(kernel, _record()), 0xBE00_0000, 0x135), None)


def one_bit(kernel: Kernel, cast: Cast) -> Outcome:
    """0x1A/0x41792: exactly one bit is set in an entry that should be empty."""
    return _innocent(kernel, cast, 0x1A, (0x41792, kernel.machine.region("pool").base, 1 << 37, 0), None)


def lost_disk(kernel: Kernel, cast: Cast) -> Outcome:
    """0x7A: a driver touched a page that the disk could not give back."""
    address = kernel.machine.region("paged").base
    return _innocent(kernel, cast, 0x7A, (0x20, signed(0xC000_000E), 0x1234, address), None)


def integrity_check(kernel: Kernel, cast: Cast) -> Outcome:
    """0x109: the check ran, by chance, below a driver."""
    return _innocent(kernel, cast, 0x109, (0xA3A0_0000, 0xB3B7_0000, kernel.nt.base + 0x1000, 1), None)


def file_system_nearer(kernel: Kernel, cast: Cast) -> Outcome:
    """0x50 in the file system, called by a filter: the filter is likelier, and not certain."""
    (guilty,) = cast.third_party(1)
    frames = [
        Frame(kernel.image("Ntfs.sys"), "CommonWrite"),
        Frame(kernel.image("fltmgr.sys"), "PassOn"),
        Frame(driver_image(kernel, guilty), "PreWrite"),
        *kernel.frames("IofCallDriver", "NtReadFile"),
    ]
    found = stop_in(kernel, named(kernel, "chrome.exe"), frames, fault=True, through=("KiBugCheckDispatch",))
    wild = kernel.machine.region("pool").base + FREED
    return Outcome(0x50, (wild, 0, found.address, 2), Expected(culprit=guilty.driver))


def dead_owner(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/4: the lock's owner has ended; the driver on its old stack cannot be asked any more."""
    image = driver_image(kernel, cast.third_party(1)[0])
    lock = add_resource(kernel, "PiEngineLock")
    frames = [*kernel.frames(*WAIT), Frame(image, "Worker")]
    gone = add_thread(kernel, named(kernel, "System"), frames)
    own(kernel, lock, gone)
    parameters = stop_9f_4(kernel, gone)
    first = waiter(kernel, named(kernel, "wininit.exe"), lock, kernel.frames("NtShutdownSystem"))
    wait_for(kernel, lock, [(first, 300.0)])
    terminate(kernel, gone)
    return Outcome(0x9F, parameters, Expected(culprit=None))


def display_watchdog(kernel: Kernel, cast: Cast) -> Outcome:
    """0x116: parameter 2 lies in the display driver; another one is on the stack."""
    display, innocent = cast.third_party(2)
    inside = driver_image(kernel, display).base + 0x1234
    return _innocent(kernel, cast, 0x116, (0, inside, signed(0xC000_009A), 4), display.driver, innocent)


def summed_dpcs(kernel: Kernel, cast: Cast) -> Outcome:
    """0x133/1: the time went to many DPCs; the stack shows one of them."""
    (caught,) = cast.third_party(1)
    frame = Frame(driver_image(kernel, caught), "Dpc")
    stop_in_idle(kernel, [frame, *kernel.frames("KiExecuteAllDpcs", "KiRetireDpcList")])
    return Outcome(0x133, (1, 0x1E00, 0, 0), Expected(culprit=caught.driver))


def damaged_thread(kernel: Kernel, cast: Cast) -> Outcome:
    """0x9F/4 whose thread parameter is no thread: the locks still tell."""
    (guilty,) = cast.third_party(1)
    told = _removal(kernel, cast, [Frame(driver_image(kernel, guilty), "WaitForDevice")], guilty.driver)
    code, timeout, _, block = told.parameters
    return Outcome(0x9F, (code, timeout, kernel.machine.pool(0x40, "Junk"), block), told.expected)


def critical_process(kernel: Kernel, cast: Cast) -> Outcome:
    """0xEF: a filter driver is on the stack on which the process ended."""
    process = named(kernel, "csrss.exe")
    return _innocent(kernel, cast, 0xEF, (process.address, 0, 0, 0), "csrss.exe")


def live_dump(kernel: Kernel, cast: Cast) -> Outcome:
    """0x161: the machine went on running; nobody crashed."""
    letters = int.from_bytes(b"Taskmgr", "little")
    return _innocent(kernel, cast, 0x161, (letters, 0, 0, 0), None)


def _d1(kernel: Kernel, frames: list[Frame], culprit: str) -> Outcome:
    found = stop_in(kernel, named(kernel, "chrome.exe"), frames, fault=True, through=("KiBugCheckDispatch",))
    wild = kernel.machine.region("pool").base + FREED
    return Outcome(0xD1, (wild, 2, 0, found.address), Expected(culprit=culprit, culprit_address=found.address))


def _innocent(
    kernel: Kernel,
    cast: Cast,
    code: int,
    parameters: tuple[int, int, int, int],
    culprit: str | None,
    on_stack: Culprit | None = None,
) -> Outcome:
    """A driver that happens to be on the stack of the stop."""
    driver = on_stack or cast.third_party(1)[0]
    frames = [Frame(driver_image(kernel, driver), "PreClose"), *kernel.frames("IofCallDriver", "NtReadFile")]
    stop_in(kernel, named(kernel, "chrome.exe"), frames)
    return Outcome(code, parameters, Expected(culprit=culprit))


def _removal(kernel: Kernel, cast: Cast, inner: list[Frame], culprit: str, decoy: Frame | None = None) -> Outcome:
    """A removal that does not come back, with the lock of the device tree held and waited for."""
    lock = add_resource(kernel, "PiEngineLock")
    frames = [*kernel.frames(*WAIT), *inner, *kernel.frames("IofCallDriver", *REMOVAL)]
    holder = add_thread(kernel, named(kernel, "System"), frames, start=kernel.symbol("ExpWorkerThread"), priority=13)
    wait(kernel, holder, [event(kernel)], EXECUTIVE, 301.5)
    own(kernel, lock, holder)
    write_event_list(kernel, holder)
    write_completion_queue(kernel, [])
    lock_tree_waiters(kernel, cast, lock)
    if decoy is None:
        return Outcome(0x9F, stop_9f_4(kernel, holder), Expected(culprit=culprit))
    stop_in_idle(kernel, [*kernel.frames(*STOP[:-1]), decoy, *kernel.frames(STOP[-1])])
    return Outcome(0x9F, (4, 300, holder.address, 0), Expected(culprit=culprit))


def _record() -> bytes:
    from tests.kernel import error_records as made

    status = 1 << 63 | 1 << 61 | 1 << 60 | 0x135
    return made.record((made.PROCESSOR, made.processor(6)), (made.MACHINE_CHECK, made.machine_check(3, 5, status, 6)))


WAYS: dict[str, Way] = {
    "stale-return": Way("an innocent driver's stale return address is on the stack", stale_return, "driver", "high"),
    "unwaited-lock": Way("a lock is held, and nobody waits for it", unwaited_lock, None, "none"),
    "bus-driver": Way("the request is at the bus driver of the stuck device", bus_of_the_device, "driver", "high"),
    "framework-above": Way("a framework waits above its client", framework_above, "driver", "high"),
    "verifier": Way("Driver Verifier is the first on the stack", verifier_on_the_stack, "driver", "high"),
    "corrupted-list": Way("who found the list corrupt is on the stack", corrupted_list, "driver", "medium"),
    "unloaded": Way("the caller of an unloaded driver is on the stack", unloaded_driver, "driver", "high"),
    "jump-to-nowhere": Way("the instruction pointer is in no module", jump_to_nowhere, "driver", "high"),
    "damaged-page-table": Way("a driver ran when a page table was found bad", damaged_page_tables, "memory", "low"),
    "damaged-pool": Way("a driver met damaged pool", damaged_pool, "driver", "low"),
    "kernel-only": Way("only Windows itself is on the stack", kernel_only, "windows", "low"),
    "program": Way("a program made the system call that failed", program_on_the_stack, "windows", "low"),
    "watchdogs-stack": Way("the watchdog's timer fired above another driver", watchdogs_stack, "driver", "high"),
    "keyboard": Way("a keyboard filter raised the manual stop", forced_by_keyboard, None, "none"),
    "hardware": Way("a driver ran when the processor failed", hardware_error, "hardware", "high"),
    "one-bit": Way("a driver ran when one bit was found flipped", one_bit, "memory", "low"),
    "lost-disk": Way("a driver touched a page that the disk lost", lost_disk, "hardware", "medium"),
    "integrity": Way("a driver ran when the integrity check came by", integrity_check, None, "none"),
    "file-system": Way("the file system failed, called by a filter", file_system_nearer, "driver", "medium"),
    "dead-owner": Way("the lock's owner has ended", dead_owner, None, "none"),
    "display": Way("another driver is on the stack of the display watchdog", display_watchdog, "driver", "high"),
    "summed-dpcs": Way("one DPC was caught, the time went to many", summed_dpcs, "driver", "medium"),
    "damaged-thread": Way("the thread in the parameter is none", damaged_thread, "driver", "medium"),
    "process": Way("a filter is on the stack on which a process ended", critical_process, "process", "medium"),
    "live": Way("a live dump of a machine that went on", live_dump, None, "none"),
}
