"""A text of WinDbg, whole: bugcheck, stacks, locks, threads, requests, modules. Every part may be missing."""

import re
from collections.abc import Mapping, Sequence

from analysis.errors import NotADump
from analysis.formats.raw import RawFile
from analysis.formats.windbg.analyze import Analysis, read_analysis
from analysis.formats.windbg.banner import read_banner
from analysis.formats.windbg.facts import Point, PrintedException, PrintedStack, PrintedThread, WindbgText
from analysis.formats.windbg.locks import read_locks
from analysis.formats.windbg.modules import fitting, read_images, read_modules, read_points
from analysis.formats.windbg.patterns import HEX, PROMPT, number
from analysis.formats.windbg.requests import read_devices, read_irps
from analysis.formats.windbg.stack import HEADER, STACK_TEXT, read_reflowed, read_stack, returns_first
from analysis.formats.windbg.text import MAX_BYTES, MAX_LINES, lines_of, read_text
from analysis.formats.windbg.threads import read_threads

_EXCEPTION_CODE = re.compile(rf"\s*ExceptionCode:\s+({HEX})\b")
_EXCEPTION_PARAMETER = re.compile(rf"\s*Parameter\[(\d{{1,2}})\]:\s+({HEX})\b")
_EXCEPTION_ADDRESS = re.compile(rf"\s*ExceptionAddress:\s+({HEX})\b")
REFLOWED = 2  # fewer frames than this: perhaps the lines were filled like prose
_BUGCHECKS = ("KeBugCheckEx", "KeBugCheck2", "KeBugCheck")


def read_windbg(raw: RawFile) -> WindbgText:
    """Everything found in a text of WinDbg.

    Raises:
        NotADump: the file is no text.
    """
    text = read_text(raw)
    if text is None:
        raise NotADump("not a text")
    notes = [] if raw.size <= MAX_BYTES else [f"only the first {MAX_BYTES >> 20} MiB of this text were read"]
    if text.count("\n") > MAX_LINES:
        notes.append(f"only the first {MAX_LINES} lines of this text were read")
    return parse_windbg(lines_of(text), notes)


def parse_windbg(lines: Sequence[str], notes: Sequence[str] = ()) -> WindbgText:
    """The same of lines that ``lines_of`` made clean."""
    analysis = read_analysis(lines)
    told = list(notes)
    if analysis.other is not None:
        told.append(f"this text goes on with another crash, {analysis.other}: only the first one is analysed")
    lines = lines[: analysis.until]
    threads = read_threads(lines)
    main = _main_stack(lines, threads)
    _from_stack(analysis, main)
    banner = read_banner(lines)
    stacks = [stack for stack in (main, *(thread.stack for thread in threads)) if stack is not None]
    _narrow(analysis.arguments, analysis.fields, main)
    values = (*(analysis.arguments.get(which, 0) for which in range(1, 5)),)
    parameters = (values[0], values[1], values[2], values[3])
    points = list(read_points(lines, stacks))
    point = fitting(analysis.fields.get("SYMBOL_NAME", ""), parameters)
    if point is not None and any(one.address == point.address for one in points):
        point = None
    points += [point] if point is not None else []
    return WindbgText(
        code=analysis.code,
        title=analysis.title,
        parameters=parameters,
        known_parameters=len(analysis.arguments),
        parameter_texts=tuple(analysis.argument_texts.get(which, "") for which in range(1, 5)),
        fields=analysis.fields,
        keys=analysis.keys,
        blamed_by_loader=analysis.cause,
        stack=main,
        points=tuple(points),
        fitted=point,
        modules=read_modules(lines),
        images=read_images(lines),
        threads=threads,
        locks=read_locks(lines),
        irps=read_irps(lines),
        devices=read_devices(lines),
        exception=_exception(lines),
        banner=banner,
        architecture=banner.architecture
        or _architecture(analysis.fields, main, points, [*values, *(one.address for one in threads)]),
        user_mode=_is_user_mode(analysis, main),
        notes=tuple(told),
    )


def _main_stack(lines: Sequence[str], threads: Sequence[PrintedThread]) -> PrintedStack | None:
    # The analysis' own stack; else the first one that somebody asked for with k and that belongs to no thread block.
    for index, line in enumerate(lines):
        start = STACK_TEXT.search(line)
        if start:
            stack, _ = read_stack(lines, index + 1)
            if len(stack.frames) < REFLOWED:
                filled = read_reflowed(" ".join(" ".join((start[1], *lines[index + 1 : index + 60])).split()))
                stack = filled if len(filled.frames) > len(stack.frames) else stack
            if stack.frames:
                return stack
    taken = {thread.stack for thread in threads}
    for index, line in enumerate(lines):
        if HEADER.match(line):
            stack, _ = read_stack(lines, index + 1, return_first=returns_first(line))
            if stack.frames and stack not in taken:
                return stack
    return None


def _from_stack(analysis: Analysis, stack: PrintedStack | None) -> None:
    # KeBugCheckEx keeps its arguments where the debugger prints them: the code, then the parameters. Of these only as
    # many as there are columns. KiBugCheckDispatch and the trap handlers below pass them on in registers.
    for frame in stack.frames if stack else ():
        function = frame.symbol.partition("!")[2].partition("+")[0]
        if function in _BUGCHECKS and frame.arguments and analysis.code in (None, frame.arguments[0]):
            analysis.code = frame.arguments[0] if 0 < frame.arguments[0] < 1 << 32 else analysis.code
            for which, value in enumerate(frame.arguments[1:5], 1):
                analysis.arguments.setdefault(which, value)
            return


def _narrow(arguments: dict[int, int], fields: Mapping[str, str], stack: PrintedStack | None) -> None:
    # Of a 32-bit machine WinDbg prints some addresses sign-extended: BUGCHECK_P1 ffffffff8ba10000 is Arg1 8ba10000.
    pointers = [frame.stack_pointer for frame in stack.frames if frame.stack_pointer] if stack else []
    if fields.get("OSPLATFORM_TYPE", "").lower() != "x86" and (not pointers or max(pointers) >= 1 << 32):
        return
    for which, value in arguments.items():
        if value >= 0xFFFF_FFFF_8000_0000:
            arguments[which] = value & 0xFFFF_FFFF


def _exception(lines: Sequence[str]) -> PrintedException | None:
    for index, line in enumerate(lines):
        code = _EXCEPTION_CODE.match(line)
        if not code:
            continue
        parameters: dict[int, int] = {}
        for near in lines[index + 1 : index + 20]:
            if PROMPT.match(near):
                break
            if told := _EXCEPTION_PARAMETER.match(near):
                parameters.setdefault(int(told[1]), number(told[2]))
        before = [one for near in lines[max(index - 2, 0) : index] if (one := _EXCEPTION_ADDRESS.match(near))]
        known = tuple(parameters[which] for which in range(len(parameters)) if which in parameters)
        return PrintedException(number(code[1]) & 0xFFFF_FFFF, number(before[-1][1]) if before else 0, known)
    return None


def _architecture(
    fields: Mapping[str, str], stack: PrintedStack | None, points: Sequence[Point], others: Sequence[int]
) -> str | None:
    named = {"x64": "x64", "x86": "x86", "arm64": "arm64"}.get(fields.get("OSPLATFORM_TYPE", "").lower())
    if named:
        return named
    pointers = [frame.stack_pointer for frame in stack.frames if frame.stack_pointer] if stack else []
    addresses = pointers or [point.address for point in points] or [*others]
    if not addresses or max(addresses) < 1 << 16:
        return None
    return "x64" if max(addresses) >= 1 << 32 else "x86"


def _is_user_mode(analysis: Analysis, stack: PrintedStack | None) -> bool:
    if analysis.code is not None:
        return False
    if "UM" in analysis.fields.get("ANALYSIS_SOURCE", "") or analysis.fields.get(
        "FAILURE_ID_HASH_STRING", ""
    ).lower().startswith("um:"):
        return True
    modules = [frame.module for frame in stack.frames if frame.module] if stack else []
    return bool(modules) and not any(module.lower() == "nt" for module in modules)
