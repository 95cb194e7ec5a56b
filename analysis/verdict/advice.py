"""What to do next, for this very case, and what this dump cannot tell."""

from analysis.bugchecks.explained import Stop
from analysis.kernel.facts import Module
from analysis.kernel.modules import is_unnamed
from analysis.kernel.printed import PrintedScene
from analysis.kernel.scene import Scene
from analysis.trust import Trust
from analysis.verdict.modules import is_kernel_name, stem
from analysis.verdict.story import Story, lock_text
from analysis.verdict.text_limits import text_limits
from analysis.waits.processors import STUCK_PROCESSOR

KERNEL_ONLY = ("kernel-bitmap", "kernel-summary")  # kinds of dumps without the pages of programs
COMPLETE_DUMP = (
    "If it hangs again, a complete or active memory dump (CrashDumpEnabled=1, FilterPages=1 for active) also tells "
    "what programs waited for."
)
VERIFY = "To catch it in the act, on a test machine: verifier /standard /driver {driver} (undo: verifier /reset)."
MAX_KNOWN_BAD = 5
CUT_SHORT = (
    "The file is cut short (truncated): what lay behind its end is missing; a complete copy of it may tell more."
)
FULLER_DUMP = (
    "Let Windows write more next time: System > Advanced > Startup and Recovery > Kernel memory dump (registry "
    "CrashDumpEnabled=2). Such a dump holds the locks, all threads and their stacks."
)


def next_steps(scene: Scene, story: Story) -> tuple[str, ...]:
    """Concrete steps, the most useful first."""
    steps = [f"{one.name} {one.version} is known to be bad: {text}" for one, text in known_bad(scene, story)]
    steps += _by_blame(scene, story)
    if story.cycle is not None:
        steps += _deadlock_steps(story)
    steps += story.explained.next_steps
    if scene.image.triage is not None:
        steps.append(FULLER_DUMP)
    return tuple(dict.fromkeys(steps))


DEBUGGER_KERNEL = 8  # the dump type of a debugger's dump without user pages
SMALL_KERNEL = (
    "Threads and locks of this 32-bit kernel: neither a PDB with its types nor a symbol table of its own is at hand, "
    "so only its modules and the crashing stack are read."
)

# Readers that know 64-bit layouts only.
UNREAD_32 = (
    "Of a 32-bit kernel, the blocks of Plug and Play and of the power manager that a stop hands out, deferred "
    "procedure calls, spin locks and the critical sections of programs are not read."
)


def known_bad(scene: Scene, story: Story, *, alone: bool = False) -> list[tuple[Module, str]]:
    """Loaded modules in versions that the user's rules call bad, with what they say; the culprit's first.

    ``alone``: the culprit's only.
    """
    blamed = stem(story.blame.module) if story.blame.module else None
    found = [(one, text) for one in scene.facts.modules for text in story.rules.bad(one.name, one.version)]
    found.sort(key=lambda pair: stem(pair[0].name) != blamed)
    return [pair for pair in found if stem(pair[0].name) == blamed] if alone else found[:MAX_KNOWN_BAD]


def cannot_tell(scene: Scene, story: Story) -> tuple[str, ...]:
    """What is missing, why, and which setting or symbols would help."""
    if isinstance(scene, PrintedScene):
        return tuple(dict.fromkeys((*text_limits(scene), *story.explained.cannot_tell)))
    told = [CUT_SHORT] if scene.image.truncated else []
    told += _of_names(scene)
    if scene.memory.pointer_size == 4:
        told.append(SMALL_KERNEL if scene.symbols.layout_source == "none" else UNREAD_32)
    told += [*_of_kind(scene), *_of_symbols(scene), *_of_stacks(scene, story), *story.explained.cannot_tell]
    for link in story.waits.chains:
        expected, found = link.lock.waiters_expected, len(link.lock.waiters)
        if expected is not None and found < expected:
            told.append(f"{found} of {expected} threads that wait for {lock_text(link.lock)} were found.")
    unread = "name and model" if scene.image.header.memory_bytes else "name, model and the size of its memory"
    told.append(f"Of the machine, {unread} are not read from this dump.")
    return tuple(dict.fromkeys(told))


def _by_blame(scene: Scene, story: Story) -> tuple[str, ...]:
    kind, module = story.blame.kind, story.blame.module
    if kind == "memory":
        return (
            "Test the memory: Windows Memory Diagnostic (mdsched.exe) or MemTest86 overnight, one module at a time.",
            "Take back any overclocking or XMP profile and see whether the crashes stop.",
        )
    if kind == "hardware" and story.stop is Stop.STORAGE:
        return (
            "Look at the disk's SMART values and at disk and controller errors in the System event log.",
            "Check cables, controller firmware and the storage driver; then run chkdsk on the volume.",
        )
    if kind == "hardware":
        return (
            "Look for WHEA-Logger events in the System event log: they name processor, memory or the PCIe device.",
            "Update firmware (BIOS/UEFI) and check cooling, power supply and overclocking.",
        )
    if kind == "process" and module:
        return (f"Look in the Application and System event logs for why {module} ended.",)
    if kind == "windows":
        return (
            "Install pending Windows updates and run sfc /scannow.",
            "Test the memory (mdsched.exe): a fault in Windows' own code is often damage done elsewhere.",
            "If it happens again at other places, enable Driver Verifier for the drivers that are not Microsoft's.",
        )
    if module is None:
        return _nobody(scene, story)
    return _driver_steps(scene, story, module)


def _driver_steps(scene: Scene, story: Story, module: str) -> tuple[str, ...]:
    known = find_module(scene, module)
    version = f" (here {known.version})" if known and known.version else ""
    vendor = f" from {known.vendor}" if known and known.vendor else ""
    steps = [f"Update {module}{version}{vendor}, or roll it back if it was updated shortly before."]
    device = story.device
    if device is not None and (device.name or device.instance_path) and story.stop in (Stop.HANG, Stop.REQUEST):
        what = device.name or device.instance_path
        steps.append(f"If {what} is not needed, disable it in Device Manager: that keeps the machine out of this wait.")
    steps += [step.replace("{driver}", module) for step in story.explained.driver_steps or (VERIFY,)]
    if story.stop is Stop.HANG:
        waits = "of the waiting thread shows where it waits"
        shows = "shows what kept the processor" if story.explained.code in STUCK_PROCESSOR else waits
        steps.append(f"Give the maker of {module} this report: the stack {shows}.")
    return tuple(steps)


def _nobody(scene: Scene, story: Story) -> tuple[str, ...]:
    if story.cycle is not None:
        return ()
    if story.stop is Stop.DELIBERATE:
        ask = "Ask who stopped the machine and what it looked like then: the dump shows that moment, not a crash."
        return (ask, COMPLETE_DUMP) if scene.image.header.kind in KERNEL_ONLY else (ask,)
    if story.root is not None:
        return ("Look at the root's stack below: what it waits for is the question, and symbols may name it.",)
    return (
        "Compare with other dumps of this machine: the same place again is a driver, changing places are hardware.",
    )


def _deadlock_steps(story: Story) -> list[str]:
    drivers = dict.fromkeys(walk.chosen.module for walk in story.cycle_drivers.values() if walk.chosen)
    return [
        f"Look for an update of {driver}; its maker needs the two stacks and the order in which the locks were taken."
        for driver in drivers
    ]


def find_module(scene: Scene, name: str) -> Module | None:
    """The loaded image of a name; the kernel under any of its names."""
    for module in scene.facts.modules:
        if stem(module.name) == stem(name) or (is_kernel_name(name) and is_kernel_name(module.name)):
            return module
    return None


def _of_kind(scene: Scene) -> list[str]:
    told = []
    if scene.image.triage is not None:
        told.append(
            "This is a small dump: it holds one stack, the list of drivers and a few blocks. Locks, other threads and "
            "who waited for whom are not in it; a kernel memory dump (CrashDumpEnabled=2) would hold them."
        )
    elif scene.image.header.kind in KERNEL_ONLY or scene.image.header.type_code == DEBUGGER_KERNEL:
        told.append(
            "This is a kernel dump: pages of programs are not in it, so what a program was doing in user mode cannot "
            "be told; a complete memory dump (CrashDumpEnabled=1) would hold them."
        )
    return told


def _of_names(scene: Scene) -> list[str]:
    count = sum(is_unnamed(module.name) for module in scene.facts.modules)
    if not count:
        return []
    told = (
        f"The names of {count} of the drivers: the pages that hold them are not in this dump. unnamed-… stands for "
        "each, with the time stamp and size by which symbol servers keep it."
    )
    return [told]


def _of_symbols(scene: Scene) -> list[str]:
    symbols, told = scene.symbols, []
    if not symbols.exact:
        told.append(
            f"No symbol table of this very kernel was at hand ({symbols.how.rstrip('.')}): functions and locks of "
            "Windows have no names beyond what the dump itself publishes; --symbols DIRECTORY adds them."
        )
    if symbols.build is None or symbols.build.count(".") < 3:
        told.append("The update number of the Windows build is not known: nothing in the dump names it.")
    if symbols.layout_source == "neighbour":
        told.append("Structures were read with the layout of a neighbouring build, after checks; details may be wrong.")
    if symbols.layout_source == "none":
        told.append("No layout of this kernel's structures is known: threads, locks and waits could not be read.")
    return told


def _of_stacks(scene: Scene, story: Story) -> list[str]:
    told = []
    if any(frame.trust <= Trust.SCAN for frame in story.stack.frames):
        told.append(
            "Part of the stack was found by scanning, because the images' unwind data are not in the dump: frames may "
            "be missing or stale."
        )
    elif story.root is not None and not story.stack.frames:
        told.append(f"What the thread at the front was doing is not in this dump: {story.stack.end}.")
    swapped = [
        one.thread
        for one in story.waits.blocked
        if (thread := scene.thread(one.thread)) is not None and not thread.stack_resident
    ]
    if swapped:
        told.append(f"The kernel stacks of {len(swapped)} waiting threads were paged out: what they did is not told.")
    if not any(module.version for module in scene.facts.modules):
        told.append("File versions of the drivers could not be read: the pages that hold them are not in this dump.")
    return told
