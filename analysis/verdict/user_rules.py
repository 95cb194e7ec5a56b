"""Users' own rules on top of ours, from a TOML file: which modules are theirs, whom never to blame, known-bad versions.

::

    [[ours]]                      # a crash of these is for a team; the report names it
    module = "acme*.sys"          # a file name, or its beginning with * at the end
    team = "storage on-call"      # a name, or a Slack id of a person (U…) or a user group (S…)

    [[ignore]]                    # never blamed
    module = "corpfilter.sys"

    [[known_bad]]                 # said when this very version is loaded
    module = "zvnetflt.sys"
    from = "2.0"                  # the first bad version; left out: from the beginning
    below = "2.2"                 # the first good version again; left out: all later ones
    say = "Loses power requests; fixed in 2.2."

    [strength]                    # how willingly a module is blamed: candidate, named or weak
    "corpbus.sys" = "weak"
"""

import functools
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.errors import BadRules
from analysis.verdict.modules import KERNEL_NAMES, Strength, stem, strength

LARGEST = 1 << 20  # bytes
MAX_ENTRIES = 2000
LONGEST_TEXT = 300  # characters
STRENGTHS = {"candidate": Strength.CANDIDATE, "named": Strength.NAMED, "weak": Strength.WEAK}
_MODULE = re.compile(r"[\w.+\- ]+\*?")
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")


@dataclass(frozen=True, slots=True)
class Ours:
    """Modules that a team looks after."""

    module: str
    team: str


@dataclass(frozen=True, slots=True)
class KnownBad:
    """Versions of a module that are known to be bad: from ``first`` on, below ``good``; None is open."""

    module: str
    say: str
    first: tuple[int, ...] | None = None
    good: tuple[int, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no version can be in the range."""
        return self.first is not None and self.good is not None and _padded(self.first) >= _padded(self.good)

    def holds(self, module: str, version: str | None) -> bool:
        """Whether a module in a version (as files carry it, "2.1.0.77") is one of these."""
        found = re.match(r"\d+(?:\.\d+)*", version or "")
        if not _fits(self.module, module) or found is None:
            return False
        number = tuple(int(part) for part in found[0].split("."))
        return (self.first is None or _padded(number) >= _padded(self.first)) and (
            self.good is None or _padded(number) < _padded(self.good)
        )


@dataclass(frozen=True, slots=True)
class UserRules:
    """All rules of one file; ``identity`` is a hash of its text, empty where there is none."""

    ours: tuple[Ours, ...] = ()
    ignored: tuple[str, ...] = ()
    known_bad: tuple[KnownBad, ...] = ()
    strengths: Mapping[str, Strength] = field(default_factory=dict)
    identity: str = ""

    def strength(self, module: str) -> Strength:
        """How willingly a module is blamed, with these rules before ours."""
        if any(_fits(pattern, module) for pattern in self.ignored):
            return Strength.NEVER
        own = self.own_strength(module)
        return own if own is not None else strength(module)

    def own_strength(self, module: str) -> Strength | None:
        """How willingly these rules alone say that a module is blamed; None where they say nothing."""
        return next((level for pattern, level in self.strengths.items() if _fits(pattern, module)), None)

    def is_ignored(self, module: str) -> bool:
        """Whether these rules say that a module is never blamed."""
        return any(_fits(pattern, module) for pattern in self.ignored)

    def team(self, module: str | None) -> str | None:
        """Who looks after a module; the first entry that fits."""
        return next((one.team for one in self.ours if module and _fits(one.module, module)), None)

    def bad(self, module: str, version: str | None) -> tuple[str, ...]:
        """What is known to be wrong with this version of a module."""
        return tuple(one.say for one in self.known_bad if one.holds(module, version))


NO_RULES = UserRules()


def read_rules(path: Path) -> UserRules:
    """The rules of a file.

    Raises:
        BadRules: the file cannot be read or used; its ``problems`` has a line for each mistake.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise BadRules(path.name, ("it is larger than 1 MiB",))
        document = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise BadRules(path.name, (error.strerror or "it cannot be read",)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadRules(path.name, (f"it is no TOML: {error}",)) from None
    problems: list[str] = []
    rules = _rules(document, problems, hashlib.sha256(raw).hexdigest()[:16])
    if problems:
        raise BadRules(path.name, tuple(problems))
    return rules


def _rules(document: dict[str, Any], problems: list[str], identity: str) -> UserRules:
    unknown = document.keys() - {"ours", "ignore", "known_bad", "strength"}
    problems += [f"{name}: no such section; there are ours, ignore, known_bad and strength" for name in sorted(unknown)]
    ours = [
        Ours(entry["module"], entry["team"]) for entry in _entries(document, "ours", ("module", "team"), (), problems)
    ]
    ignored = [entry["module"] for entry in _entries(document, "ignore", ("module",), ("why",), problems)]
    bad = [
        KnownBad(entry["module"], entry["say"], _version(entry.get("from")), _version(entry.get("below")))
        for entry in _entries(document, "known_bad", ("module", "say"), ("from", "below"), problems)
    ]
    problems += [f"known_bad of {one.module}: from is not before below" for one in bad if one.is_empty]
    return UserRules(tuple(ours), tuple(ignored), tuple(bad), _strengths(document, problems), identity)


def _entries(
    document: dict[str, Any], section: str, needed: tuple[str, ...], allowed: tuple[str, ...], problems: list[str]
) -> list[dict[str, str]]:
    entries = document.get(section, [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        problems.append(f"{section}: must be a list of tables, [[{section}]], of at most {MAX_ENTRIES}")
        return []
    good = []
    for number, entry in enumerate(entries, 1):
        found = list(_mistakes(entry, needed, allowed))
        problems += [f"{section}, entry {number}: {text}" for text in found]
        if not found:
            good.append(entry)
    return good


def _mistakes(entry: Any, needed: tuple[str, ...], allowed: tuple[str, ...]) -> list[str]:
    if not isinstance(entry, dict):
        return ["must be a table"]
    told = [f"{key} is missing" for key in needed if key not in entry]
    told += [f"{key} is not known here" for key in entry if key not in (*needed, *allowed)]
    for key, value in entry.items():
        if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT or not value.isprintable():
            told.append(f"{key} must be a text of one line, of at most {LONGEST_TEXT} characters")
        elif key == "module":
            told += _module_mistakes(value)
        elif key in ("from", "below") and not _VERSION.fullmatch(value):
            told.append(f"{key} must look like 2.1.0.77, not {value!r}")
    return told


def _module_mistakes(value: str) -> list[str]:
    if not _MODULE.fullmatch(value):
        return [f"module must be a file name, with * only at its end, not {value!r}"]
    if stem(value.rstrip("*")) in KERNEL_NAMES and not value.endswith("*"):
        return [f"{value} is Windows' kernel, which is never blamed for others anyway"]
    return []


def _strengths(document: dict[str, Any], problems: list[str]) -> Mapping[str, Strength]:
    table = document.get("strength", {})
    if not isinstance(table, dict) or len(table) > MAX_ENTRIES:
        problems.append(f"strength: must be a table, [strength], of at most {MAX_ENTRIES} modules")
        return {}
    found = {}
    for module, level in table.items():
        problems += [f"strength: {text}" for text in _module_mistakes(module)]
        if level not in STRENGTHS:
            problems.append(f"strength of {module}: must be candidate, named or weak, not {level!r}")
            continue
        found[module] = STRENGTHS[level]
    return found


def _version(text: str | None) -> tuple[int, ...] | None:
    return tuple(int(part) for part in text.split(".")) if text is not None else None


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, 0, 0, 0, 0)[:4]


@functools.lru_cache(maxsize=4096)
def _fits(pattern: str, module: str) -> bool:
    if pattern.endswith("*"):
        return module.lower().startswith(pattern[:-1].lower())
    return stem(pattern) == stem(module)
