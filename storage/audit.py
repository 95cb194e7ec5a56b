"""Who asked and did what, where and when, and whether they might: kept for whoever has to answer for the bot.

An entry names people, channels and deeds. What was asked is kept without the rest of any link, which may carry a
signature, and cut; passwords and tokens never come here.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row

MAX_DETAIL = 300
_LINK = re.compile(r"\b([a-z][a-z0-9+.-]*://)([^\s<>|]*)", re.IGNORECASE)
_SECRET = re.compile(
    r"\bxox[a-z]-\S+|\bxapp-\S+|\bpass(?:word|wort|phrase)?\s*[:=]\s*\S+|\b(?:bearer|token)\s*[:=]?\s*[\w.~+/-]{12,}=*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that somebody did, or was refused. ``by`` is a person of Slack, or "operator" or a name of the web;
    ``detail`` says to what or with which words."""

    at: datetime
    team: str
    channel: str
    by: str
    deed: str
    detail: str
    allowed: bool


class Audit:
    """The entries of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(
        self, deed: str, by: str, *, team: str = "", channel: str = "", detail: str = "", allowed: bool = True
    ) -> None:
        """Keep that somebody did something, or wanted to."""
        self._database.change(
            "INSERT INTO audit (at, team, channel, person, deed, detail, allowed) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [stamp(self._clock()), team, channel, by, deed, harmless(detail), int(allowed)],
        )

    def entries(
        self,
        *,
        since: datetime | None = None,
        by: str | None = None,
        team: str | None = None,
        limit: int = 1000,
    ) -> list[Entry]:
        """What was kept, the latest first."""
        asked = [("at >= ?", None if since is None else stamp(since)), ("person = ?", by), ("team = ?", team)]
        clauses = [(clause, value) for clause, value in asked if value is not None]
        where = " AND ".join(clause for clause, _ in clauses) or "1 = 1"
        rows = self._database.rows(
            f"SELECT * FROM audit WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608  # the clauses above
            [*(value for _, value in clauses), limit],
        )
        return [_entry(row) for row in rows]

    def prune(self, older_than: timedelta) -> int:
        """Delete entries of that age; how many."""
        return self._database.change("DELETE FROM audit WHERE at < ?", [stamp(self._clock() - older_than)])


def harmless(text: str) -> str:
    """Words as they may be kept: of a link its host and file name alone, nothing that looks like a secret, cut."""
    bare = _SECRET.sub("…", _LINK.sub(lambda match: match[1] + _short(match[2]), text))
    said = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(bare.split()))
    return said if len(said) <= MAX_DETAIL else said[: MAX_DETAIL - 1] + "…"


def _short(rest: str) -> str:
    place = rest.partition("?")[0].partition("#")[0]
    host, _, path = place.rpartition("@")[2].partition("/")
    name = path.rpartition("/")[2]
    return host if not path else f"{host}/{name}" if name == path else f"{host}/…/{name}"


def _entry(row: Row) -> Entry:
    return Entry(
        moment(row["at"]),
        row["team"],
        row["channel"],
        row["person"],
        row["deed"],
        row["detail"],
        bool(row["allowed"]),
    )
