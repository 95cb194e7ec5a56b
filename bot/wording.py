"""Words for numbers and moments, as a person on call reads them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bot.mrkdwn import Mrkdwn, date

if TYPE_CHECKING:
    from analysis.verdict.report import StackGroup

_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def duration(seconds: float | None) -> str:
    """Seconds as words: "0.4 s", "45 s", "5 min", "5 min 12 s", "2 h 3 min", "3 d 4 h"; None is "an unknown time"."""
    if seconds is None:
        return "an unknown time"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, size, smaller, step in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // step
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def size(count: int) -> str:
    """Bytes as words: "262 kB", "75.5 MB", "8.6 GB" (powers of ten, as a browser shows a download)."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    digits = 0 if unit == "bytes" or amount >= 100 else 1
    return f"{amount:.{digits}f} {unit}"


def same_stack(group: "StackGroup") -> str:
    """Threads that stand at the same place, as one line: "37 threads (svchost.exe) stand at a ← b ← c"."""
    others = f" and {len(group.processes) - 2} more" if len(group.processes) > 2 else ""
    processes = f" ({', '.join(group.processes[:2])}{others})" if group.processes else ""
    sure = "; by scanning, not certain" if group.trust == "scan" else ""
    stuck = f", {group.blocked} of them blocked" if group.blocked else ""
    return f"{group.count} threads{processes} stand at {group.summary}{stuck}{sure}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in (11, 12, 13) else _ORDINALS.get(number % 10, "th")
    return f"{number}{suffix}"


def count(number: int, noun: str) -> str:
    """ "1 host", "4 hosts", "2 crashes"."""
    more = "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{more}"


def moment(iso: str) -> datetime:
    """An ISO 8601 time of a report as an aware datetime in UTC. Raises: ValueError."""
    return datetime.fromisoformat(iso).astimezone(UTC)


def when(iso: str | None) -> Mrkdwn | None:
    """A report's time in the reader's zone; None stays None."""
    return None if iso is None else date(moment(iso))


def day(moment_: datetime) -> Mrkdwn:
    """A day in the reader's zone: "3 May 2026"."""
    return date(moment_, "{date_short}")
