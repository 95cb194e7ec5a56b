"""The names of all bugchecks, the meanings of the parameters of many, and the spelling of codes.

The tables are data files beside this module: ``names.tsv``, ``parameters.json`` and
``more_parameters.json``.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

NAMES_FILE = Path(__file__).with_name("names.tsv")
PARAMETERS_FILE = Path(__file__).with_name("parameters.json")
MORE_PARAMETERS_FILE = Path(__file__).with_name("more_parameters.json")  # each code with the page it is from

# Small dumps spell exactly these four codes with a high bit. Every other code with high bits, such as a display
# driver's 0xA0000001, is a code of its own.
SMALL_DUMP_SPELLINGS: Mapping[int, int] = MappingProxyType(
    {0x1000007E: 0x7E, 0x1000007F: 0x7F, 0x1000008E: 0x8E, 0x100000EA: 0xEA}
)

Parameters = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one parameter means. ``kind`` says how to look at the value, ``values`` names particular values."""

    index: int
    kind: str
    text: str
    when: Mapping[str, Any]
    values: Mapping[int, str]
    values_arm64: Mapping[int, str]

    def applies(self, parameters: Parameters) -> bool:
        """Whether every condition on the parameters holds."""
        return all(_holds(key, wanted, parameters) for key, wanted in self.when.items())


@dataclass(frozen=True, slots=True)
class Code:
    """What is known of one bugcheck: its family, its subcases and the meanings of its parameters."""

    code: int
    family: str
    subcases: Mapping[int, str]
    subcase_parameter: int
    meanings: tuple[Meaning, ...]


def normalise(raw: int) -> int:
    """The code as documented: the four small-dump spellings lose their high bit, all others stay."""
    return SMALL_DUMP_SPELLINGS.get(raw, raw)


def name_of(code: int) -> str:
    """The name of a normalised code; for an unknown one a text that says so."""
    known = _names().get(code)
    return known[0] if known else f"unknown bugcheck {code:#x}"


def is_named(code: int) -> bool:
    """Whether the code is a documented one."""
    return code in _names()


def is_live_only(code: int) -> bool:
    """Whether the code is only ever written into live dumps, taken from a machine that went on running."""
    known = _names().get(code)
    return known is not None and known[1]


def all_codes() -> tuple[int, ...]:
    """Every documented code, ascending."""
    return tuple(sorted(_names()))


def find_code(code: int) -> Code | None:
    """What the parameter table knows of a normalised code."""
    return _codes().get(code)


def described_codes() -> tuple[int, ...]:
    """The codes whose parameters have meanings here, ascending."""
    return tuple(sorted(_codes()))


def meanings(code: int, parameters: Parameters) -> tuple[Meaning | None, ...]:
    """The meaning of each of the four parameters in this very case; a conditional one beats an unconditional one."""
    known = find_code(code)
    found: list[Meaning | None] = [None] * 4
    for meaning in sorted(known.meanings if known else (), key=lambda one: len(one.when)):
        if meaning.applies(parameters):
            found[meaning.index - 1] = meaning
    return tuple(found)


def subcase(code: int, parameters: Parameters) -> tuple[int, str] | None:
    """The number and the text of the subcase that the parameters select, where the code has subcases."""
    known = find_code(code)
    if known is None or not known.subcases:
        return None
    value = parameters[known.subcase_parameter - 1]
    text = known.subcases.get(value)
    return None if text is None else (value, text)


def capture_letters(raw_code: int) -> str | None:
    """The letters a memory-capture tool wrote where the code belongs, or None.

    DumpIt writes "MATT" there and "MOONSOLS" into the parameters: such a file is a capture of a running machine.
    """
    letters = raw_code.to_bytes(8, "big").lstrip(b"\0")
    if raw_code in _names() or len(letters) != 4 or not letters.isalpha() or not letters.isupper():
        return None
    # A writer may have meant the letters as a number or as text: the one name known is recognised either way round.
    return "MATT" if letters == b"TTAM" else letters.decode("ascii")


def parameter_letters(raw_code: int, parameter: int) -> str | None:
    """The letters that a capture tool wrote into the first parameter beside a code of 0, or None."""
    letters = parameter.to_bytes(8, "little").rstrip(b"\0")
    if raw_code or len(letters) not in (4, 8) or not letters.isalpha():
        return None
    return letters.decode("ascii", "replace")


def _holds(key: str, wanted: Any, parameters: Parameters) -> bool:
    match = re.fullmatch(r"p([1-4])(_not|_min)?", key)
    if match is None:
        return False
    value = parameters[int(match[1]) - 1]
    if match[2] == "_min":
        return bool(value >= wanted)
    return (value in wanted) != (match[2] == "_not")


@functools.cache
def _names() -> Mapping[int, tuple[str, bool]]:
    rows = {}
    for line in NAMES_FILE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            code, name, *live = line.split("\t")
            rows[int(code, 16)] = (name, bool(live))
    return MappingProxyType(rows)


@functools.cache
def _codes() -> Mapping[int, Code]:
    files = (MORE_PARAMETERS_FILE, PARAMETERS_FILE)
    codes = [_code(entry) for file in files for entry in json.loads(file.read_text("utf-8"))["bugchecks"]]
    return MappingProxyType({code.code: code for code in codes})


def _code(entry: dict[str, Any]) -> Code:
    return Code(
        code=int(entry["code"], 16),
        family=entry["family"],
        subcases=_numbers(entry.get("subcases", {})),
        subcase_parameter=entry.get("subcase_parameter", 1),
        meanings=tuple(
            Meaning(
                index=one["index"],
                kind=one["kind"],
                text=one["meaning"],
                when=one["when"] or {},
                values=_numbers(one.get("values", {})),
                values_arm64=_numbers(one.get("values_arm64", {})),
            )
            for one in entry["parameters"]
        ),
    )


def _numbers(table: dict[str, str]) -> Mapping[int, str]:
    return MappingProxyType({int(key, 16): text for key, text in table.items()})
