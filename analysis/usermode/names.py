"""Bucket and signature of a process' failure."""

from collections.abc import Sequence

from analysis.formats.minidump import UserException
from analysis.kernel.facts import Frame, Stack
from analysis.trust import Trust
from analysis.usermode.blame import UserBlame
from analysis.usermode.exceptions import HEAP_CORRUPTION, bucket_head
from analysis.usermode.libraries import is_core, is_system
from analysis.usermode.process import Process
from analysis.verdict.bucket import failure_id_hash
from analysis.verdict.functions import split_symbol
from analysis.verdict.modules import stem
from analysis.verdict.report import Bucket
from analysis.verdict.signature import LONGEST, MAX_FRAMES


def name_failure(process: Process, stack: Stack, found: UserBlame, exception: UserException | None) -> Bucket:
    """WinDbg's user-mode bucket as far as it can be told, its hash, and our signature."""
    text = f"{bucket_head(exception, process.dump)}_{_place(process, stack, found, exception)}"[:LONGEST]
    signature, plain = (_signature(process, stack, found, exception, functions=named) for named in (True, False))
    aliases = (plain,) if plain != signature else ()
    return Bucket(text, failure_id_hash(text, "um"), signature, aliases)


def _place(process: Process, stack: Stack, found: UserBlame, exception: UserException | None) -> str:
    program = process.application
    if exception is not None and exception.code == HEAP_CORRUPTION and program is not None:
        return f"heap_corruption!{process.spelled(program.name)}"
    first = stack.frames[0] if stack.frames else None
    # A fault inside a library counts as its place; inside the innermost of Windows its caller's does.
    frame = first if first is not None and first.module and not is_core(first.module) else found.frame
    if frame is None or frame.module is None:
        name = process.spelled(found.module.name) if found.module else "unknown_module"
        return f"{name}!unknown_error_in_process"
    return f"{process.spelled(frame.module)}!{_function(frame) or 'Unknown'}"


def _signature(
    process: Process, stack: Stack, found: UserBlame, exception: UserException | None, *, functions: bool
) -> str:
    parts = ["um", bucket_head(exception, process.dump), found.module.name if found.module else "nobody"]
    frames = "|".join(_counting(process, stack.frames, functions=functions))
    return " ".join([*parts, frames] if frames else parts)[:LONGEST]


def _counting(process: Process, frames: Sequence[Frame], *, functions: bool) -> list[str]:
    found: list[str] = []
    for frame in frames:
        module = process.image(frame.module)
        if module is None or frame.trust is Trust.SCAN or is_system(module, process.dump):
            continue
        name = _function(frame) if functions else None
        text = stem(module.name) + (f"!{name}" if name else "")
        if not found or found[-1] != text:
            found.append(text)
    return found[:MAX_FRAMES]


def _function(frame: Frame) -> str | None:
    return split_symbol(frame.symbol).function
