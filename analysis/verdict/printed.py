"""A text of WinDbg, explained and told: the same rules as for a dump, and WinDbg's own conclusion beside ours."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from analysis.bugchecks import explain
from analysis.bugchecks.building import with_caps, with_hints
from analysis.bugchecks.explained import Blamed, Cap, Explained, Focus, FocusKind, Hint, ParameterFact, Stop
from analysis.bugchecks.faulting import KERNEL_NAMES_DRIVER
from analysis.bugchecks.status import describe_status
from analysis.formats.windbg.facts import PrintedLock
from analysis.formats.windbg.modules import faulting_module
from analysis.formats.windbg.patterns import spell
from analysis.kernel.printed import PrintedScene
from analysis.kernel.printed.scene import number_in
from analysis.kernel.symbolize import KERNEL_MODULE
from analysis.trust import Trust
from analysis.verdict.functions import is_fault_entry
from analysis.verdict.modules import USER_MODE, is_bus, is_kernel_name, stem
from analysis.verdict.scene_view import SceneView
from analysis.verdict.surroundings import Surroundings

POWER_STATE_FAILURE = 0x9F
NO_CODE = "Which bugcheck this was: the text does not hold the first lines of !analyze."
PROGRAM_HANG = "APPLICATION_HANG"  # how the bucket of a program begins that was captured without a failure
TAKEN_OVER = "taken over from WinDbg"
NOBODY = frozenset({"unknown_module", "unknown_image", "nt_wrong_symbols", "ntoskrnl.wrong.symbols.exe", "analysis"})
NO_MODULES = frozenset({"hardware", "genuineintel", "authenticamd", "memory_corruption", "ddk_memory_corruption"})
# "0x9F_3_RtsPer_IMAGE_pci.sys": who is in front of the bus that the device hangs on.
_CLIENT = re.compile(
    r"(?:X64_|LKD_)?0x9F_3_(?:POWER_DOWN_|POWER_UP_|WDF_\w+?TIMEOUT_|ACPI_)*([A-Za-z0-9-]+(?:_[a-z0-9]+)*)"
    r"(?:_(?:DEV|VEN|USB_VID|HID)_[A-Z0-9_&]+)?_IMAGE_(\S+)$"
)

_WRONG_IMAGE = re.compile(r"nt_wrong_symbols!([0-9A-F]{8})([0-9A-F]{1,8})$")  # time stamp and size of the image
_BUILD_LAB = re.compile(r"\d+\.\d+\.(\S{5,100})$")


def explain_printed(scene: PrintedScene) -> Explained:
    """What the stop means. A text without any code is judged by its stack alone."""
    text = scene.text
    if text.code is None:
        return _without_code(scene)
    one = explain(SceneView(scene.image, Surroundings(scene)))
    one = with_hints(one, [_faulting(scene, one), *(_client(scene) if one.stop is Stop.REQUEST else ())])
    one = _with_corruptor(scene, one)
    if _is_with_wrong_symbols(scene):
        one = with_caps(one, Cap("medium", "WinDbg had wrong symbols of the kernel: frames may be missing or wrong"))
    if text.fitted is not None and any(hint.address == text.fitted.address for hint in one.hints):
        why = f"only WinDbg's SYMBOL_NAME says that {text.fitted.address:#x} lies there: the text lists no modules"
        one = with_caps(one, Cap("medium", why))
    if one.focus.kind is FocusKind.THREAD and one.stop is not Stop.HANG and not _shows(scene, one.focus.address):
        # A thread that broke a rule is as a rule the one that ran: WinDbg does not switch to another.
        one = replace(one, focus=Focus(FocusKind.CRASH, why="the stack that the text shows"))
    if text.known_parameters < 4:
        told = f"Of the four parameters the text gives {text.known_parameters or 'none'}; the others are shown as 0x0."
        one = replace(one, cannot_tell=(*one.cannot_tell, told))
    return one


def _with_corruptor(scene: PrintedScene, one: Explained) -> Explained:
    # WinDbg compares code in memory with the files it came from; this field is what it found.
    found = scene.text.fields.get("MEMORY_CORRUPTOR")
    if "MISALIGNED_IP" in scene.text.fields and one.blamed is None and one.stop is not Stop.DELIBERATE:
        why = "WinDbg found the instruction pointer within an instruction (MISALIGNED_IP): no program jumps there"
        return replace(one, blamed=Blamed("hardware", "the processor or memory", None, "low", (why,)))
    if not found or one.blamed is not None or one.stop is Stop.DELIBERATE:
        return one
    why = f"WinDbg found code in memory that differs from its file (MEMORY_CORRUPTOR: {found})"
    level = "medium" if found == "ONE_BIT" else "low"
    return replace(one, blamed=Blamed("memory", "damaged memory", None, level, (why,)))


def take_over(scene: PrintedScene, one: Explained) -> Explained | None:
    """The explanation with WinDbg's own conclusion as the only evidence, for a text that shows nothing else; None where
    WinDbg blames nobody, or nobody is to blame."""
    theirs = theirs_of(scene)
    if theirs is None or one.stop in (Stop.DELIBERATE, Stop.HARDWARE) or one.blamed is not None:
        return None
    why = f"{TAKEN_OVER}, which blames {theirs}: the text itself shows nothing for or against it"
    if scene.text.user_mode:
        image = scene.text.fields.get("PROCESS_NAME") or scene.images.image(theirs)
        return replace(one, blamed=Blamed("process", f"{image} crashed", image, "low", (why,)))
    if theirs.lower() in NO_MODULES:
        kind = "memory" if "memory" in (theirs + scene.text.fields.get("IMAGE_NAME", "")).lower() else "hardware"
        return replace(one, blamed=Blamed(kind, "memory" if kind == "memory" else "the hardware", None, "low", (why,)))
    if is_kernel_name(theirs):
        return replace(one, blamed=Blamed("windows", "Windows' own kernel", KERNEL_MODULE, "low", (why,)))
    if stem(theirs) in USER_MODE:
        return None  # no program and none of its libraries stops the kernel
    symbol = scene.text.fields.get("SYMBOL_NAME")
    hint = Hint(scene.images.image(theirs), why, spell(symbol) if symbol else None, decisive=True, trust=Trust.SCAN)
    return with_caps(with_hints(one, [hint]), Cap("low", "nothing but WinDbg's own conclusion speaks for it"))


def _faulting(scene: PrintedScene, one: Explained) -> Hint | None:
    # What FAULTING_MODULE rests on differs by code: the driver's name that the kernel keeps for its stop screen, the
    # driver object that a block of a power failure leads to, or an address.
    told = scene.text.fields.get("FAULTING_MODULE", "")
    found = faulting_module(told)
    if found is None or is_kernel_name(found[1]):
        return None
    named, code = scene.images.image(found[1]), one.code
    because = f"WinDbg says FAULTING_MODULE: {told}"
    if code in KERNEL_NAMES_DRIVER:
        because += ", the driver that the kernel itself named when it stopped"
        return Hint(named, because, decisive=True)
    if code == POWER_STATE_FAILURE and (number_in(scene.text.fields.get("DRIVER_OBJECT", "")) or 0):
        # A request that the text shows is the better reason for the same driver.
        shown = any(scene.images.of_driver(irp.driver) == named for irp in scene.text.irps)
        because += f" and DRIVER_OBJECT: {scene.text.fields['DRIVER_OBJECT']}, to which the blocks of this stop led it"
        return Hint(named, because, decisive=not shown, trust=Trust.SCAN)
    return Hint(named, because, trust=Trust.SCAN) if not one.hints else None


def _is_with_wrong_symbols(scene: PrintedScene) -> bool:
    fields = scene.text.fields
    return fields.get("MODULE_NAME") == "nt_wrong_symbols" or fields.get("EXCEPTION_STR") == "WRONG_SYMBOLS"


def wrong_symbols_bucket(scene: PrintedScene) -> str | None:
    """The bucket that WinDbg gives where it had wrong symbols of the kernel: of build and image, not of what failed.

    "WRONG_SYMBOLS_X64_17763.1.amd64fre.rs5_release.180914-1434_TIMESTAMP_940930-002145_2E8B5A19_nt_wrong_symbols!…":
    the time is that of the kernel image's time stamp. None where the text does not say so, or not which image it was.
    """
    image = _WRONG_IMAGE.match(scene.text.fields.get("SYMBOL_NAME", ""))
    lab = _BUILD_LAB.match(scene.text.fields.get("BUILDOSVER_STR", ""))
    if not _is_with_wrong_symbols(scene) or image is None or lab is None:
        return None
    when = datetime.fromtimestamp(int(image[1], 16), UTC)
    machine = (scene.text.architecture or "x64").upper()
    head = f"WRONG_SYMBOLS_{machine}_{lab[1]}_TIMESTAMP_{when:%y%m%d-%H%M%S}"
    return f"{head}_{image[1]}_nt_wrong_symbols!{image[1]}{image[2]}"


def _shows(scene: PrintedScene, thread: int) -> bool:
    return bool(scene.stack(thread).frames)


def _client(scene: PrintedScene) -> tuple[Hint, ...]:
    bucket = scene.text.fields.get("FAILURE_BUCKET_ID", "")
    found = _CLIENT.match(bucket)
    if found is None or not is_bus(found[2]):
        return ()
    because = f"WinDbg's bucket {bucket} puts it in front of the bus driver {found[2]}"
    of_bus = f"WinDbg's bucket {bucket} names it as the bus driver of the device"
    return (
        Hint(scene.images.image(found[1]), because, trust=Trust.SCAN),
        Hint(scene.images.image(found[2]), of_bus, trust=Trust.SCAN),
    )


def _without_code(scene: PrintedScene) -> Explained:
    text = scene.text
    faulted = any(is_fault_entry(frame.symbol) for frame in scene.main.frames)
    faulted = faulted or text.fields.get("FAILURE_BUCKET_ID", "").startswith("AV")
    if text.user_mode:
        explanation = "This is WinDbg's analysis of a program, not of Windows' kernel: there is no bugcheck."
    else:
        explanation = "The text names no bugcheck code."
    code = text.exception.code if text.exception else None
    what = describe_status(code) if code is not None else None
    # Somebody who shows locks that are waited for, and no stop, looks into a machine that hangs.
    hangs = not faulted and text.stack is None and any(lock.owners and _is_waited(lock) for lock in text.locks)
    return Explained(
        code=0,
        raw_code=0,
        name="a program's crash" if text.user_mode else "a stop whose code the text does not name",
        stop=Stop.FAULT if faulted and not text.user_mode else Stop.HANG if hangs else Stop.OTHER,
        explanation=explanation + (f" The exception is {code:#x} ({what})." if code is not None and what else ""),
        deed="accessed memory that it may not" if faulted else "",
        parameters=tuple(ParameterFact(0, None, None) for _ in range(4)),
        focus=Focus(FocusKind.CRASH, why="the stack that the text shows"),
        locks_first=hangs,
        live=text.user_mode and text.fields.get("FAILURE_BUCKET_ID", "").startswith(PROGRAM_HANG),
        cannot_tell=() if text.user_mode else (NO_CODE,),
    )


def _is_waited(lock: PrintedLock) -> bool:
    return bool(lock.exclusive_waiters or lock.shared_waiters)


def theirs_of(scene: PrintedScene) -> str | None:
    """The module that WinDbg blames, as it spells it; None where it blames nobody."""
    fields = scene.text.fields
    name = fields.get("MODULE_NAME") or (scene.text.blamed_by_loader or "").rpartition(".")[0] or None
    return None if name is None or name.lower() in NOBODY else name
