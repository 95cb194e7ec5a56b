"""Hours of the day in a time zone: when it is quiet, and when a digest is due. Days of 23 and 25 hours included.

A time that a day does not have (clocks go forward) counts as the same time after the change; one that it has twice
(clocks go back) counts the first time.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Every = Literal["day", "week"]
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EVERY_DAY = frozenset(range(7))
_CLOCK = re.compile(r"([01]?\d|2[0-3]):?([0-5]\d)|24:?00")
_ZONE = re.compile(r"[A-Za-z][\w+\-]*(?:/[\w+\-]+){0,2}")


class BadChoice(ValueError):
    """A choice that cannot be taken: ``problems`` says what is wrong with which field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours without mentions: from ``start`` to ``end``, minutes after midnight, past midnight where the end is not
    later; on the ``days`` on which they begin, Monday being 0."""

    start: int
    end: int
    zone: str
    days: frozenset[int] = EVERY_DAY

    def until(self, now: datetime) -> datetime | None:
        """When they end, in UTC, if they last now."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        for day in (today, today - timedelta(days=1)):
            ends = day if self.end > self.start else day + timedelta(days=1)
            if day.weekday() in self.days and moment_at(day, self.start, self.zone) <= now:
                end = moment_at(ends, self.end, self.zone)
                if now < end:
                    return end
        return None

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"from": clock(self.start), "to": clock(self.end), "zone": self.zone, "days": sorted(self.days)}

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From what was kept or typed: ``from``, ``to``, ``zone``, ``days``. Raises: BadChoice."""
        problems: dict[str, str] = {}
        start, end = (_minutes(given.get(name), name, problems) for name in ("from", "to"))
        found = cls(start, end, _zone(given.get("zone"), problems), _days(given.get("days"), problems))
        if problems:
            raise BadChoice(problems)
        return found


@dataclass(frozen=True, slots=True)
class Due:
    """A time at which a digest is due, in UTC, and the name of its period: a day or a week, whatever the hour."""

    period: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """Every day or week, ``minute`` minutes after midnight in a zone; a week's on a ``weekday``, Monday being 0."""

    every: Every
    minute: int
    zone: str
    weekday: int = 0

    def latest(self, now: datetime) -> Due:
        """The last time that it was due, now included."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        days = (today - timedelta(days=back) for back in range(9))
        return next(due for day in days if (due := self._on(day)) is not None and due.at <= now)

    def before(self, due: Due) -> Due:
        """The time before that one."""
        return self.latest(due.at - timedelta(hours=1))

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"every": self.every, "at": clock(self.minute), "zone": self.zone, "weekday": self.weekday}

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """From what was kept or typed: ``every``, ``at``, ``zone``, ``weekday``. Raises: BadChoice."""
        problems: dict[str, str] = {}
        every = given.get("every")
        if every not in ("day", "week"):
            problems["every"] = "This is day or week."
        minute = _minutes(given.get("at"), "at", problems)
        day = _weekday(given.get("weekday", 0))
        if day is None:
            problems["weekday"] = "This is a day of the week, such as Monday."
        found = cls("week" if every == "week" else "day", minute, _zone(given.get("zone"), problems), day or 0)
        if problems:
            raise BadChoice(problems)
        return found

    def _on(self, day: date) -> Due | None:
        if self.every == "day":
            return Due(day.isoformat(), moment_at(day, self.minute, self.zone))
        if day.weekday() != self.weekday:
            return None
        year, week, _ = day.isocalendar()
        return Due(f"{year}-W{week:02}", moment_at(day, self.minute, self.zone))


def moment_at(day: date, minutes: int, zone: str) -> datetime:
    """A time of a day in a zone, in UTC; ``minutes`` may be 1,440, the end of the day."""
    if minutes == 24 * 60:
        return moment_at(day + timedelta(days=1), 0, zone)
    return datetime.combine(day, time(minutes // 60, minutes % 60), ZoneInfo(zone)).astimezone(UTC)


def clock(minutes: int) -> str:
    """Minutes after midnight as "07:30"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _minutes(given: Any, field: str, problems: dict[str, str]) -> int:
    match = _CLOCK.fullmatch(str(given or "").strip())
    if match is None:
        problems[field] = "This is a time of the day, such as 07:30."
        return 0
    return 24 * 60 if match[1] is None else int(match[1]) * 60 + int(match[2])


def _zone(given: Any, problems: dict[str, str]) -> str:
    name = str(given or "").strip()
    if _ZONE.fullmatch(name):
        with suppress(ValueError, OSError, ZoneInfoNotFoundError):
            return ZoneInfo(name).key
    problems["zone"] = "There is no such time zone; one is called Europe/Berlin, or UTC."
    return "UTC"


def _days(given: Any, problems: dict[str, str]) -> frozenset[int]:
    if given is None or given == "":
        return EVERY_DAY
    words = given.replace(",", " ").split() if isinstance(given, str) else given
    found = [_weekday(word) for word in words] if isinstance(words, list | tuple) else [None]
    if not found or None in found:
        problems["days"] = "These are days of the week, such as Mon Tue Wed."
        return EVERY_DAY
    return frozenset(day for day in found if day is not None)


def _weekday(given: Any) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool):
        return given if 0 <= given < 7 else None
    word = str(given).strip().lower()
    if word.isdecimal():
        return int(word) if int(word) < 7 else None
    fits = [number for number, name in enumerate(WEEKDAYS) if len(word) >= 2 and name.lower().startswith(word)]
    return fits[0] if len(fits) == 1 else None
