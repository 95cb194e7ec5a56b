"""A program's crash or hang as WinDbg printed it, judged by the rules of minidumps from frames and names alone."""

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from analysis.formats.minidump import Platform, UserDump, UserException, UserModule, UserSystem, UserThread
from analysis.kernel.facts import Module, Stack
from analysis.kernel.printed import PrintedScene
from analysis.usermode.blame import blame
from analysis.usermode.blocking import Blocked
from analysis.usermode.exceptions import ON_REQUEST
from analysis.usermode.names import name_failure
from analysis.usermode.process import Process
from analysis.usermode.wording import Told, verdict_of
from analysis.verdict import report
from analysis.verdict.printed import PROGRAM_HANG
from analysis.verdict.user_rules import NO_RULES, UserRules

_CODE_FIELDS = ("EXCEPTION_CODE_STR", "EXCEPTION_CODE", "ERROR_CODE")
_CODE = re.compile(r"\b(?:0x)?([0-9a-fA-F]{8})\b")


@dataclass(frozen=True, slots=True)
class PrintedProgram:
    """What a text tells of a program: the verdict, and the names of its failure."""

    verdict: report.Verdict
    bucket: report.Bucket


class PrintedProcess(Process):
    """A process of which there is only text: no memory; images by name, addresses by what was printed beside them."""

    def __init__(self, scene: PrintedScene, dump: UserDump) -> None:
        super().__init__(dump)
        self._scene = scene

    def holds_code(self, address: int) -> bool:
        """Whether the text puts an address into an image; what it failed in stands first on the stack."""
        frames = self._scene.main.frames
        return self._scene.module_at(address) is not None or bool(frames and frames[0].module)

    def symbol(self, address: int) -> str:
        """How the text prints an address."""
        return self._scene.symbol(address)


def tell_printed_program(scene: PrintedScene, rules: UserRules = NO_RULES) -> PrintedProgram | None:
    """The story of a program's crash or hang; None for a text that shows no stack of it, or not what it was about."""
    stack = scene.main
    thread = scene.faulting_thread or 0
    exception = _exception(scene, thread)
    hung = scene.text.fields.get("FAILURE_BUCKET_ID", "").startswith(PROGRAM_HANG)
    if not any(frame.module for frame in stack.frames) or (exception is None and not hung):
        return None
    hung = hung or (exception is not None and exception.code in ON_REQUEST)
    failed = None if hung else exception
    process = PrintedProcess(scene, _dump(scene, stack, thread, exception))
    found = blame(process, stack, hung=hung, rules=rules)
    told = Told(process, failed, hung, stack, found, Blocked(), thread, rules)
    verdict = verdict_of(told)
    return PrintedProgram(
        replace(verdict, reasons=tuple(_as_printed(one) for one in verdict.reasons)),
        name_failure(process, stack, found, failed),
    )


def _as_printed(reason: str) -> str:
    return reason.replace("found by unwind data", "as WinDbg unwound the stack")


def _dump(scene: PrintedScene, stack: Stack, thread: int, exception: UserException | None) -> UserDump:
    # What a minidump would say of it, as far as the text does: the program first, then what is on its stack.
    fields = scene.text.fields
    printed = scene.text.stack.frames if scene.text.stack else ()
    spelled = {scene.images.image(one.module): one.module for one in printed if one.module}
    spelled = {image: name + PurePosixPath(image).suffix for image, name in spelled.items()}
    spelled |= {fields[name].lower(): fields[name] for name in ("PROCESS_NAME", "IMAGE_NAME") if fields.get(name)}
    program = fields.get("PROCESS_NAME", "").lower()
    names = dict.fromkeys([program, *(frame.module for frame in stack.frames if frame.module)])
    known = {one.name: one for one in scene.facts.modules}
    return UserDump(
        raw=scene.image.raw,
        system=UserSystem(platform=Platform.WINDOWS, architecture=scene.text.architecture),
        exception=exception,
        threads=(UserThread(thread, 0, 0, None, b""),),
        modules=tuple(_module(spelled.get(name, name), known.get(name)) for name in names if name),
    )


def _module(path: str, known: Module | None) -> UserModule:
    if known is None:
        return UserModule(path, 0, 0, None)
    return UserModule(path, known.base, known.size, known.timestamp, known.version)


def _exception(scene: PrintedScene, thread: int) -> UserException | None:
    found = scene.text.exception
    if found is not None:
        return UserException(thread, found.code, 0, found.address, found.parameters)
    told = (_CODE.search(scene.text.fields.get(name, "")) for name in _CODE_FIELDS)
    code = next((int(one[1], 16) for one in told if one), None)
    return UserException(thread, code, 0, 0, ()) if code is not None else None
