"""The operator's file of routing rules, quiet hours and digests, in TOML.

::

    [[route]]
    name = "storage"              # said below the verdict
    module = "stor*.sys"          # conditions, all that are given must hold: module, host, code, team, channel
    host = "WS-*"
    severity = "high"             # high: at any hour; medium: not in quiet hours; low: mentions nobody
    mention = "S0STORAGE1"        # a person (U…), a user group (S…), @here or @channel

    [[quiet]]
    whom = "S0STORAGE1"           # a channel, a person or a user group
    from = "22:00"
    to = "07:00"
    zone = "Europe/Berlin"
    days = "Mon Tue Wed Thu Fri"  # on which they begin; left out: on every day

    [[digest]]
    channel = "C0CRASHES1"
    every = "week"                # or day
    at = "09:00"
    zone = "Europe/Berlin"
    weekday = "Monday"            # of a weekly one
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from storage.choices import Defaults
from storage.hours import BadChoice, Plan, Quiet
from storage.routes import Route

LARGEST = 1 << 20  # bytes
MAX_ENTRIES = 1000
SECTIONS = ("route", "quiet", "digest")
T = TypeVar("T")


def read_routes(path: Path) -> Defaults:
    """What a file says.

    Raises:
        ValueError: it cannot be read or used; the text has every mistake.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        document = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path.name} is no TOML: {error}") from None
    problems = [f"{name}: no such section" for name in sorted(document.keys() - set(SECTIONS))]
    if len(raw) > LARGEST:
        problems.append("it is larger than 1 MiB")
    routes = _entries(document, "route", Route.read, problems)
    quiet = _entries(document, "quiet", lambda one: (_id(one, "whom"), Quiet.read(one)), problems)
    plans = _entries(document, "digest", lambda one: (_id(one, "channel"), Plan.read(one)), problems)
    if problems:
        raise ValueError(f"{path.name} cannot be used: {'; '.join(problems)}")
    by_channel: dict[str, tuple[Plan, ...]] = {}
    for channel, plan in plans:
        by_channel[channel] = (*by_channel.get(channel, ()), plan)
    return Defaults(routes=tuple(routes), quiet=dict(quiet), plans=by_channel)


def _entries(
    document: Mapping[str, Any], section: str, read: Callable[[dict[str, Any]], T], problems: list[str]
) -> list[T]:
    entries = document.get(section, [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES or not all(isinstance(one, dict) for one in entries):
        problems.append(f"{section}: must be a list of tables, [[{section}]], of at most {MAX_ENTRIES}")
        return []
    found = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(read(entry))
        except BadChoice as bad:
            problems += [f"{section}, entry {number}: {field}: {text}" for field, text in bad.problems.items()]
    return found


def _id(entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value.isalnum() or not value.isupper():
        raise BadChoice({field: "This is an id of Slack's, such as C0CRASHES1."})
    return value
