"""What a word of a question names: a bugcheck, a driver, a machine, a lock; also when it is mistyped."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz, process

from analysis.bugchecks.tables import all_codes, name_of, normalise
from storage import Query
from storage.search import Column
from storage.words import pieces

CLOSE_ENOUGH = 80.0
SHORTEST_TYPO = 4
Kind = Literal["code", "module", "host", "words"]

_CODE = re.compile(r"(?:0x)?([0-9a-f]{1,8})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """What a question is about. ``spoken`` is how to say it; ``taken_for`` is the word whose typo was put right.

    ``is_known`` is false for a word that names nothing, and is only looked for.
    """

    kind: Kind
    value: str
    spoken: str
    taken_for: str | None = None
    is_known: bool = True


def name_words(
    words: Iterable[str], vocabulary: Mapping[Column, list[str]], is_mentioned: Callable[[str], bool]
) -> list[Named]:
    """What each word names. A word that stands in some report as it is (``is_mentioned``) is never put right."""
    rest, found = list(words), list[Named]()
    if len(rest) > 1:
        rest, found = _phrases(rest, vocabulary)
    return found + [_exact(word, vocabulary) or _unnamed(word, vocabulary, is_mentioned) for word in rest]


def _phrases(words: list[str], vocabulary: Mapping[Column, list[str]]) -> tuple[list[str], list[Named]]:
    # Names of several words, such as those of devices: "WAN Miniport (SSTP)". The other words, and what was found.
    found: list[Named] = []
    for column in ("device", "service"):
        for value in vocabulary[column]:
            for start, end in _runs(words, pieces(value)):
                found.append(Named("words", value, value))
                words = words[:start] + words[end:]
                break
    return words, found


def _runs(words: list[str], wanted: list[str]) -> Iterator[tuple[int, int]]:
    # Where two words or more in a row have just the wanted pieces.
    for start in range(len(words)):
        for end in range(start + 2, len(words) + 1):
            if [piece for word in words[start:end] for piece in pieces(word)] == wanted:
                yield start, end


def narrow(names: Iterable[Named], query: Query) -> Query:
    """The query, held to everything that was named."""
    fields: dict[str, str] = {}
    for named in names:
        # A second driver, code or host must be mentioned in the same crash.
        kind = "words" if named.kind in fields else named.kind
        fields[kind] = f"{fields[kind]} {named.value}" if kind in fields else named.value
    return dataclasses.replace(query, **fields)  # type: ignore[arg-type]  # the kinds are field names


def code_text(code: str) -> str:
    """A code as people write it, with its name: "0x9F DRIVER_POWER_STATE_FAILURE"."""
    number = int(code, 16)
    name = name_of(number)
    return f"0x{number:X}" if name.startswith("unknown") else f"0x{number:X} {name}"


def _exact(word: str, vocabulary: Mapping[Column, list[str]]) -> Named | None:
    lower = word.lower()
    if lower.startswith("0x") and (code := _code(lower)) is not None:
        return Named("code", code, code_text(code))
    for module in vocabulary["module"]:
        if lower in (module.lower(), _stem(module)):
            return Named("module", module, module)
    for host in vocabulary["host"]:
        if lower == host.lower():
            return Named("host", host, host)
    if (code := _code(lower)) is not None:
        return Named("code", code, code_text(code))
    for column in ("lock", "service", "device"):
        for value in vocabulary[column]:
            if lower in (value.lower(), value.lower().rpartition("!")[2]):
                return Named("words", value, value)
    return None


def _unnamed(word: str, vocabulary: Mapping[Column, list[str]], is_mentioned: Callable[[str], bool]) -> Named:
    mended = None if is_mentioned(word) else _typo(word, vocabulary)
    return mended or Named("words", word, word, is_known=False)


def _code(word: str) -> str | None:
    # "0x9f", "0x0000009F", "9f", "1000007e" or a bugcheck's name. A bare number needs to be a documented code.
    names = {name_of(code): code for code in all_codes()}
    if (named := names.get(word.upper())) is not None:
        return f"{named:#x}"
    match = _CODE.fullmatch(word)
    if match is None:
        return None
    code = normalise(int(match[1], 16))
    return f"{code:#x}" if word.startswith("0x") or code in names.values() else None


def _typo(word: str, vocabulary: Mapping[Column, list[str]]) -> Named | None:
    if len(word) < SHORTEST_TYPO:
        return None
    candidates: dict[str, Named] = {}
    for code in all_codes():
        candidates[name_of(code).lower()] = Named("code", f"{code:#x}", code_text(f"{code:#x}"), word)
    for host in vocabulary["host"]:
        candidates[host.lower()] = Named("host", host, host, word)
    for module in vocabulary["module"]:
        candidates[module.lower()] = candidates[_stem(module)] = Named("module", module, module, word)
    best = process.extractOne(word.lower(), list(candidates), scorer=fuzz.ratio, score_cutoff=CLOSE_ENOUGH)
    return None if best is None else candidates[best[0]]


def _stem(module: str) -> str:
    return module.lower().rpartition(".")[0] or module.lower()
