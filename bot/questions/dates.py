"""Date phrases as periods of time: "May", "Q2", "last week", "the 3rd", "3 days ago", "2026-05".

A phrase without a year means the latest such time that has begun. The rules below cover what dateparser reads
wrongly or not at all (a month as a whole, a quarter, "this week"); it gets the rest, and only ever a phrase that the
grammar has cut out: on a whole sentence it takes "we" for Wednesday.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MONTH = re.compile(r"([a-z]{3})[a-z]*(?: of)?(?: (\d{4}))?")
_DAY_MONTH = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]{3})[a-z]*(?: (\d{4}))?")
_MONTH_DAY = re.compile(r"([a-z]{3})[a-z]* (\d{1,2})(?:st|nd|rd|th)?(?: (\d{4}))?")
_QUARTER = re.compile(r"q([1-4])(?: (\d{4}))?")
_ISO = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")
_AGO = re.compile(r"(\d+|a|an) (minute|hour|day|week|month|quarter|year)s? ago")
_LAST = re.compile(r"(?:last|past|previous) (\d+) (minute|hour|day|week|month|quarter|year)s?")
_NAMED = re.compile(r"(this|current|last|past|previous) (day|week|month|quarter|year)")
_SHORT = re.compile(r"(?:last|past|previous) (minute|hour)s?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` up to, not including, ``end``, both in UTC."""

    start: datetime
    end: datetime


def period(phrase: str, now: datetime) -> Period | None:
    """What a phrase means at this moment; None when it is no date."""
    text = re.sub(r"\b(the|on|in)\b", " ", phrase.lower())
    text = " ".join(text.replace(",", " ").split())
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for pattern, meaning in _RULES:
        match = pattern.fullmatch(text)
        if match is not None:
            try:
                found = meaning(match, today, now)
            except (ValueError, OverflowError):  # "31 February", "last 9999 years"
                return None
            if found is not None:
                return found
    return _parsed(text, now)


def add_months(day: datetime, months: int) -> datetime:
    """The same day some months later or earlier, or the month's last day where there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, monthrange(year, month + 1)[1]))


def back(moment: datetime, count: int, unit: str) -> datetime:
    """The moment so many units earlier."""
    months = {"month": 1, "quarter": 3, "year": 12}
    if unit in months:
        return add_months(moment, -count * months[unit])
    return (
        moment
        - count
        * {
            "minute": timedelta(minutes=1),
            "hour": timedelta(hours=1),
            "day": timedelta(days=1),
            "week": timedelta(weeks=1),
        }[unit]
    )


def unit_start(day: datetime, unit: str) -> datetime:
    """The first day of the week (Monday), month, quarter or year that holds this day."""
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def _unit(start: datetime, unit: str) -> Period:
    return Period(start, back(start, -1, unit))


def _today(_match: re.Match[str], today: datetime, _now: datetime) -> Period:
    return _unit(today, "day")


def _yesterday(_match: re.Match[str], today: datetime, _now: datetime) -> Period:
    return _unit(today - timedelta(days=1), "day")


def _month(match: re.Match[str], today: datetime, _now: datetime) -> Period | None:
    if match[1] not in MONTHS:
        return None
    month = MONTHS.index(match[1]) + 1
    year = int(match[2]) if match[2] else today.year - (month > today.month)
    return _unit(today.replace(year=year, month=month, day=1), "month")


def _day_month(match: re.Match[str], today: datetime, _now: datetime) -> Period | None:
    return _date(match[2], match[1], match[3], today)


def _month_day(match: re.Match[str], today: datetime, _now: datetime) -> Period | None:
    return _date(match[1], match[2], match[3], today)


def _date(month: str, day: str, year: str | None, today: datetime) -> Period | None:
    if month not in MONTHS:
        return None
    found = today.replace(year=int(year or today.year), month=MONTHS.index(month) + 1, day=int(day))
    if year is None and found > today:
        found = found.replace(year=found.year - 1)
    return _unit(found, "day")


def _quarter(match: re.Match[str], today: datetime, _now: datetime) -> Period:
    month = int(match[1]) * 3 - 2
    year = int(match[2]) if match[2] else today.year - (month > today.month)
    return _unit(today.replace(year=year, month=month, day=1), "quarter")


def _iso(match: re.Match[str], today: datetime, _now: datetime) -> Period:
    start = today.replace(year=int(match[1]), month=int(match[2]), day=int(match[3] or 1))
    return _unit(start, "day" if match[3] else "month")


def _year(match: re.Match[str], today: datetime, _now: datetime) -> Period:
    return _unit(today.replace(year=int(match[0]), month=1, day=1), "year")


def _day(match: re.Match[str], today: datetime, _now: datetime) -> Period:
    wanted = int(match[1])
    month = today if wanted <= today.day else add_months(today.replace(day=1), -1)
    return _unit(month.replace(day=wanted), "day")


def _weekday(match: re.Match[str], today: datetime, _now: datetime) -> Period | None:
    if match[2] not in DAYS:
        return None
    days = (today.weekday() - DAYS.index(match[2])) % 7
    return _unit(today - timedelta(days=days or (7 if match[1] else 0)), "day")


def _ago(match: re.Match[str], today: datetime, now: datetime) -> Period:
    count, unit = 1 if match[1] in ("a", "an") else int(match[1]), match[2]
    if unit in ("minute", "hour"):
        return _unit(back(now, count, unit), unit)
    return _unit(back(today, count, unit), "day")


def _last(match: re.Match[str], today: datetime, now: datetime) -> Period:
    count, unit = int(match[1]), match[2]
    return Period(back(now if unit in ("minute", "hour") else today, count, unit), now + timedelta(seconds=1))


def _short(match: re.Match[str], _today: datetime, now: datetime) -> Period:
    return Period(back(now, 1, match[1]), now + timedelta(seconds=1))


def _named(match: re.Match[str], today: datetime, _now: datetime) -> Period:
    start = unit_start(today, match[2])
    return _unit(start if match[1] in ("this", "current") else back(start, 1, match[2]), match[2])


Meaning = Callable[[re.Match[str], datetime, datetime], Period | None]
_RULES: tuple[tuple[re.Pattern[str], Meaning], ...] = (
    (re.compile("today|now"), _today),
    (re.compile("yesterday"), _yesterday),
    (re.compile(r"(last )?([a-z]{3})(?:s|nes|rs|ur)?day"), _weekday),
    (_MONTH, _month),
    (_DAY_MONTH, _day_month),
    (_MONTH_DAY, _month_day),
    (_QUARTER, _quarter),
    (_ISO, _iso),
    (_YEAR, _year),
    (_DAY, _day),
    (_AGO, _ago),
    (_LAST, _last),
    (_SHORT, _short),
    (_NAMED, _named),
)


def _parsed(text: str, now: datetime) -> Period | None:
    import dateparser  # a tenth of a second, and rarely needed

    base = now.astimezone(UTC).replace(tzinfo=None)
    settings = {
        "PREFER_DAY_OF_MONTH": "first",
        "PREFER_DATES_FROM": "past",
        "RELATIVE_BASE": base,
        "TIMEZONE": "UTC",
        "RETURN_AS_TIMEZONE_AWARE": True,
    }
    found = dateparser.parse(text, languages=["en"], settings=settings)
    if found is None:
        return None
    start: datetime = found.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return _unit(start, "day")
