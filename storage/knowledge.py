"""What people know about a failure: who looks after it, what is known of it, in which version it was mended.

Every act is kept, with who and when; the present state is what the acts come to. They hang on signatures, so that what
was said of one crash holds for the next one of the same bucket, on whatever machine.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from storage.clock import Clock, moment, stamp
from storage.columns import storable
from storage.database import Database
from storage.sight import EVERYTHING, Sight

Deed = Literal["acknowledge", "assign", "known", "forget", "wrong", "mute", "unmute"]
DEEDS = frozenset(get_args(Deed))
MAX_TEXT = 2000
MAX_REASONS = 3


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody did about a failure. ``detail`` depends on the deed.

    acknowledge: nothing; assign: ``to``; known: ``note``, ``ticket``, ``fixed_in``; forget: nothing, it takes a known
    issue back; wrong: ``reason``, for a verdict that was wrong, and ``what`` is (no-driver, other-driver, other);
    mute and unmute: ``channel``.
    """

    signature: str
    deed: Deed
    by: str
    at: datetime
    detail: Mapping[str, str]
    report_id: int | None = None


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """What is known: a note, where it is tracked, with its address, and the first version of the culprit without it."""

    note: str
    ticket: str | None
    fixed_in: str | None
    by: str
    at: datetime
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the acts about a failure come to."""

    acknowledged_by: str | None = None
    assigned_to: str | None = None
    issue: KnownIssue | None = None
    muted_in: frozenset[str] = frozenset()
    doubts: tuple[Act, ...] = ()

    def is_regression(self, version: str | None) -> bool:
        """Whether a culprit in this version should not crash this way any more."""
        fixed = None if self.issue is None else numbers(self.issue.fixed_in)
        found = numbers(version)
        return bool(fixed and found) and _padded(found or ()) >= _padded(fixed or ())


@dataclass(frozen=True, slots=True)
class Doubted:
    """A rule, as stop code and culprit, whose verdict was called wrong: how often, of how many crashes among all that
    it gave this verdict to, and the latest reasons."""

    rule: str
    doubts: int
    crashes: int
    told: int
    latest: tuple[Act, ...]


NOTHING = Known()


TicketLink = Callable[[str], str | None]


def no_link(_: str) -> str | None:
    """Where no tracker is known, no ticket has an address."""
    return None


class Knowledge:
    """The acts of one database."""

    def __init__(
        self, database: Database, clock: Clock, sight: Sight = EVERYTHING, ticket_link: TicketLink = no_link
    ) -> None:
        self._database = database
        self._ticket_link = ticket_link
        self._clock = clock
        self._sight = sight

    def note(
        self,
        signature: str,
        deed: Deed,
        by: str,
        detail: Mapping[str, str | None] | None = None,
        report: int | None = None,
        *,
        at: tuple[str, str] = ("", ""),
    ) -> Act:
        """Keep an act. Texts are cut at ``MAX_TEXT`` characters; empty ones are left out. ``at`` is the team and the
        channel in which it was done, both empty for the operator's.

        Raises:
            ValueError: there is no such deed.
        """
        if deed not in DEEDS:
            raise ValueError(f"nobody can {deed} a failure")
        told = {name: storable(text[:MAX_TEXT]) for name, text in (detail or {}).items() if text}
        act = Act(storable(signature), deed, by, moment(stamp(self._clock())), told, report)
        self._database.change(
            "INSERT INTO acts (signature, deed, by, at, detail, report_id, team, channel) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [act.signature, deed, by, stamp(act.at), json.dumps(told), report, *at],
        )
        return act

    def acts(self, signatures: Iterable[str]) -> tuple[Act, ...]:
        """Everything done about any of these names, oldest first."""
        names = sorted({storable(name) for name in signatures})
        marks = ", ".join("?" for _ in names)
        sight, seen = self._sight.of_acts()
        sql = f"SELECT * FROM acts WHERE signature IN ({marks}) AND {sight} ORDER BY id"  # noqa: S608  # only marks
        rows = self._database.rows(sql, [*names, *seen])
        return tuple(_act(row) for row in rows)

    def of(self, signatures: Iterable[str]) -> Known:
        """What is known of a failure that has any of these names."""
        known = NOTHING
        for act in self.acts(signatures):
            known = _after(known, act)
        issue = known.issue
        if issue is None or not issue.ticket:
            return known
        return replace(known, issue=replace(issue, link=self._ticket_link(issue.ticket)))

    def assigned(self, person: str, limit: int = 200) -> list[str]:
        """The signatures of failures that were ever given to a person, the latest first; somebody else may have them
        by now."""
        sight, seen = self._sight.of_acts()
        rows = self._database.rows(
            f"SELECT signature, max(id) AS last FROM acts WHERE deed = 'assign' AND detail = ? AND {sight} "  # noqa: S608
            "GROUP BY signature ORDER BY last DESC LIMIT ?",
            [json.dumps({"to": person}), *seen, limit],
        )
        return [row["signature"] for row in rows]

    def doubts(self) -> list[tuple[str, int]]:
        """How often verdicts were called wrong, by rule: bugcheck code and culprit, most doubted first."""
        return [(one.rule, one.doubts) for one in self.doubted()]

    def doubted(self) -> list[Doubted]:
        """The rules, as code and culprit, whose verdicts were called wrong, the most doubted first."""
        rows = self._database.rows(
            "SELECT reports.code AS code, module, count(*) AS doubts, count(DISTINCT report_id) AS crashes, "
            "max(at) AS latest FROM acts JOIN reports ON reports.id = report_id WHERE deed = 'wrong' "
            "GROUP BY reports.code, module ORDER BY count(*) DESC, reports.code, module"
        )
        return [self._doubted(row) for row in rows]

    def _doubted(self, row: Mapping[str, Any]) -> Doubted:
        # "IS NOT DISTINCT FROM" would say it in one; not every database knows it.
        names = [(name, row[name]) for name in ("code", "module")]
        same = " AND ".join(f"{name} IS NULL" if value is None else f"{name} = ?" for name, value in names)
        given = [value for _, value in names if value is not None]
        told = self._database.value(f"SELECT count(*) FROM reports WHERE {same}", given)  # noqa: S608  # our columns
        acts = self._database.rows(
            "SELECT acts.* FROM acts JOIN reports ON reports.id = report_id "  # noqa: S608  # our columns
            f"WHERE deed = 'wrong' AND {same} ORDER BY acts.id DESC LIMIT {MAX_REASONS}",
            given,
        )
        rule = f"{row['code'] or '?'} {row['module'] or 'nobody'}"
        return Doubted(rule, row["doubts"], row["crashes"], int(told), tuple(map(_act, acts)))


def numbers(version: str | None) -> tuple[int, ...] | None:
    """The numbers of a version such as "4.2.1" or "v4.2.1 (beta)"; None where it has none."""
    match = re.search(r"\d{1,9}(?:\.\d{1,9}){0,3}", version or "")
    return tuple(map(int, match[0].split("."))) if match else None


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return (*version, 0, 0, 0, 0)[:4]


def _after(known: Known, act: Act) -> Known:
    detail = act.detail
    match act.deed:
        case "acknowledge":
            return replace(known, acknowledged_by=act.by)
        case "assign":
            return replace(known, assigned_to=detail.get("to"))
        case "known":
            issue = KnownIssue(detail.get("note", ""), detail.get("ticket"), detail.get("fixed_in"), act.by, act.at)
            return replace(known, issue=issue)
        case "forget":
            return replace(known, issue=None)
        case "wrong":
            return replace(known, doubts=(*known.doubts, act))
        case "mute":
            return replace(known, muted_in=known.muted_in | {detail.get("channel", "")})
        case "unmute":
            return replace(known, muted_in=known.muted_in - {detail.get("channel", "")})


def _act(row: Mapping[str, Any]) -> Act:
    return Act(row["signature"], row["deed"], row["by"], moment(row["at"]), json.loads(row["detail"]), row["report_id"])
