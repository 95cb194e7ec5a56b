"""The part that !analyze prints: the bugcheck and its arguments, "NAME:  value" lines, Key/Value pairs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.formats.windbg.patterns import HEX, number

Values = tuple[int, int, int, int]

TITLE = re.compile(r"\s*([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*) \((?:0x)?([0-9a-fA-F]{1,8})\)$")
_ARGUMENT = re.compile(rf"\s*Arg([1-4]):\s*({HEX})\b,?\s*(.*)$")
_FIELD = re.compile(r"\s*([A-Z][A-Z0-9_]{2,48}):(?:\s+(.*))?$")
_KEY = re.compile(r"\s*Key\s+: ([\w.]{1,80})$")
_VALUE = re.compile(r"\s*Value: (.{0,300})$")
_LOADED = re.compile(rf"\s*BugCheck ({HEX}), \{{({HEX}), ({HEX}), ({HEX}), ({HEX})\}}")
_COMMAND = re.compile(r"\s*Bugcheck code ([0-9A-Fa-f]{8})$")
_COMMAND_ARGUMENTS = re.compile(rf"\s*Arguments ({HEX}) ({HEX}) ({HEX}) ({HEX})$")
_SCREEN = re.compile(rf"\s*\*{{3}} STOP: ({HEX}) \(({HEX}), ?({HEX}), ?({HEX}), ?({HEX})\)")
_FATAL = re.compile(rf"\s*\*{{3}} Fatal System Error: ({HEX})")
_FATAL_ARGUMENTS = re.compile(rf"\s*\(({HEX}),({HEX}),({HEX}),({HEX})\)$")
_CAUSE = re.compile(r"\s*Probably caused by : (\S{1,100})")
MAX_FIELDS = 400
# Small dumps of Windows XP and 2003 mark every code so: "BugCheck 100000D1", while !analyze's title says "(d1)".
_SMALL_DUMP = 0x1000_0000
MAX_VALUE = 500


@dataclass(slots=True)
class Analysis:
    """What the analysis part says; the first mention of everything wins. ``until`` is the line where it ends: the
    text's end, or the title of another crash (``other`` names it)."""

    code: int | None = None
    title: str | None = None
    arguments: dict[int, int] = field(default_factory=dict)
    argument_texts: dict[int, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    cause: str | None = None
    until: int = 0
    other: str | None = None


def read_analysis(lines: Sequence[str]) -> Analysis:
    """Everything that !analyze, .bugcheck and the banner of a loaded dump tell."""
    found = Analysis(until=len(lines))
    key: str | None = None
    for index, line in enumerate(lines):
        title = TITLE.match(line)
        if title and _is_another(found, lines, index, title):
            found.until, found.other = index, f"{title[1]} ({title[2]})"
            break
        if title:
            found.title = found.title or title[1]
            found.code = number(title[2]) if found.code is None or _is_same(found, title) else found.code
        elif value := _VALUE.match(line):
            if key is not None:
                found.keys.setdefault(key, value[1].strip())
        else:
            _line(found, line)
        pair = _KEY.match(line)
        key = pair[1] if pair else key if not line.strip() else None
    _from_fields(found)
    return found


def _is_another(found: Analysis, lines: Sequence[str], index: int, title: re.Match[str]) -> bool:
    # !analyze is often run twice, short and then -v, on the same dump: that is no second crash.
    if found.title is None:
        return found.code is not None and not _is_same(found, title) and len(found.arguments) == 4
    if found.code != number(title[2]):
        return True
    second: dict[int, int] = {}
    for line in lines[index + 1 : index + 40]:
        if argument := _ARGUMENT.match(line):
            second.setdefault(int(argument[1]), number(argument[2]))
    return any(found.arguments.get(which, value) != value for which, value in second.items())


def _is_same(found: Analysis, title: re.Match[str]) -> bool:
    return found.code is not None and _unmarked(found.code) == _unmarked(number(title[2]))


def _unmarked(code: int) -> int:
    return code ^ _SMALL_DUMP if code & ~0xFFF == _SMALL_DUMP else code


def _line(found: Analysis, line: str) -> None:
    if argument := _ARGUMENT.match(line):
        found.arguments.setdefault(int(argument[1]), number(argument[2]))
        found.argument_texts.setdefault(int(argument[1]), argument[3].strip()[:MAX_VALUE])
    elif told := _LOADED.match(line) or _SCREEN.match(line):
        _code(found, number(told[1]), [number(told[which]) for which in range(2, 6)])
    elif told := _COMMAND.match(line) or _FATAL.match(line):
        _code(found, number(told[1]), [])
    elif (told := _COMMAND_ARGUMENTS.match(line) or _FATAL_ARGUMENTS.match(line)) and found.code is not None:
        _code(found, found.code, [number(told[which]) for which in range(1, 5)])
    elif told := _CAUSE.match(line):
        found.cause = found.cause or told[1]
    elif (told := _FIELD.match(line)) and len(found.fields) < MAX_FIELDS:
        found.fields.setdefault(told[1], (told[2] or "").strip()[:MAX_VALUE])


def _code(found: Analysis, code: int | None, arguments: list[int]) -> None:
    found.code = code if found.code is None else found.code
    for which, value in enumerate(arguments, 1):
        found.arguments.setdefault(which, value)


def _from_fields(found: Analysis) -> None:
    for name in ("BUGCHECK_CODE",):
        if found.code is None and (value := _hex(found.fields.get(name))) is not None:
            found.code = value
    for name in ("Bugcheck.Code.TargetModel", "Bugcheck.Code.KiBugCheckData", "Bugcheck.Code.LegacyAPI"):
        if found.code is None and (value := _hex(found.keys.get(name))) is not None:
            found.code = value
    for which in range(1, 5):
        value = _hex(found.fields.get(f"BUGCHECK_P{which}"))
        if value is not None:
            found.arguments.setdefault(which, value)
    # "0x50", "0x1E_c0000005_R": the code is the head of it. "AV" and numbers of wrong symbols are no code.
    head = re.match(r"0x([0-9A-Fa-f]{1,8})(?:_|$)", found.fields.get("BUGCHECK_STR", ""))
    if found.code is None and head:
        found.code = int(head[1], 16)
    if found.code is not None and found.title is None:
        found.code = _unmarked(found.code)


def _hex(text: str | None) -> int | None:
    found = re.match(rf"({HEX})\b", text or "")
    return number(found[1]) if found else None
