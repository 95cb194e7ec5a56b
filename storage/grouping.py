"""What people decided about which crashes are one failure: merged failures, crashes that do not belong, both undoable.

A failure is known by its name, the signature that the rules give. Merged, its crashes are kept under the name of the
failure that they were merged into, and every name of either leads to all of them. A crash that was split off gets a
name of its own. ``reports.own_name`` is what a crash would be called without the merges, where that differs. Nothing
is deleted: a decision that was taken back stays, with who and when.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from analysis.verdict.report import Report
from analysis.verdict.signature import LONGEST, Signature
from storage.clock import Clock, moment, stamp
from storage.columns import storable
from storage.database import Database

RULES = "the rules"  # who decides where the rules renamed a failure that people had merged


@dataclass(frozen=True, slots=True)
class Decision:
    """A merge of the failure ``name`` into another, or a crash, ``name`` being its own from then on, split off it."""

    id: int
    deed: Literal["merge", "split"]
    name: str
    into: str
    report_id: int | None
    by: str
    at: datetime
    undone_by: str | None = None
    undone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """The name of one crash by itself, those that it shares with crashes merged with it, and all it is found by."""

    own: str
    merged: frozenset[str]
    every: frozenset[str]


class Grouping:
    """The decisions of one database, or of one workspace of several, and their effect on its reports."""

    def __init__(self, database: Database, clock: Clock, team: str = "") -> None:
        self._database = database
        self._clock = clock
        self._team = team

    def merge(self, name: str, into: str, by: str, report: int | None = None) -> Decision | None:
        """Let the crashes of one failure count as crashes of another; None where they do already."""
        with self._database.write():
            edges = self._edges()
            first, second = _root(edges, storable(name)), _root(edges, storable(into))
            if first == second:
                return None
            made = self._note("merge", first, second, report, by)
            self._rename(first)
            self._name_all(second)
            return made

    def split(self, number: int, by: str) -> Decision | None:
        """Take one crash out of its failure; None where there is no such crash, or it was taken out already."""
        with self._database.write():
            row = self._database.row(
                "SELECT signature, own_name FROM reports WHERE id = ? AND team = ?", [number, self._team]
            )
            if row is None or self._split_of(number) is not None:
                return None
            own = row["own_name"] or row["signature"]
            made = self._note("split", f"crash {number}: {own}"[:LONGEST], row["signature"], number, by)
            self._database.change(
                "UPDATE reports SET signature = ?, own_name = ? WHERE id = ?", [made.name, made.name, number]
            )
            self._database.change("DELETE FROM signatures WHERE report_id = ?", [number])
            self._database.change(
                "INSERT INTO signatures (signature, report_id, merged) VALUES (?, ?, 0)", [made.name, number]
            )
            return made

    def undo(self, decision: int, by: str) -> Decision | None:
        """Take a decision back; None where there is no such one in force. A crash that had been split off is to be
        stored again, to get its names back."""
        with self._database.write():
            now = self.get(decision)
            if now is None or now.undone_by is not None:
                return None
            before = _root(self._edges(), now.name)
            self._database.change(
                "UPDATE groupings SET undone_by = ?, undone_at = ? WHERE id = ?",
                [storable(by), stamp(self._clock()), decision],
            )
            if now.deed == "merge":
                self._rename(before)
            else:
                self._database.change("DELETE FROM signatures WHERE report_id = ?", [now.report_id])
            return self.get(decision)

    def get(self, decision: int) -> Decision | None:
        """One decision by number."""
        row = self._database.row("SELECT * FROM groupings WHERE id = ? AND team = ?", [decision, self._team])
        return None if row is None else _decision(row)

    def decisions(self, signature: str | None = None) -> list[Decision]:
        """What was decided, of all failures or of the one that has this name, the latest first; also what was taken
        back."""
        rows = self._database.rows("SELECT * FROM groupings WHERE team = ? ORDER BY id DESC", [self._team])
        every = [_decision(row) for row in rows]
        if signature is None:
            return every
        root = self.root(signature)
        mine = self.merged(root) | {root, signature}
        return [one for one in every if one.name in mine or one.into in mine]

    def root(self, signature: str) -> str:
        """The name under which crashes of a failure are kept."""
        return _root(self._edges(), storable(signature))

    def merged(self, signature: str) -> frozenset[str]:
        """Every failure's name that counts as this one; nothing where it was never merged."""
        edges = self._edges()
        root = _root(edges, storable(signature))
        names = {name for edge in edges.items() for name in edge if _root(edges, name) == root}
        return frozenset(names)

    def name_for(self, number: int | None, signature: str) -> tuple[str, str | None]:
        """What a crash is kept under, and its own name where that is another; ``number`` is None for a new one."""
        split = None if number is None else self._split_of(number)
        own = storable(signature) if split is None else split.name
        root = self.root(own)
        return root, own if root != own or split is not None else None

    def names_of(self, report: Report, number: int | None) -> Names:
        """What a crash is called, by the rules and by what people decided; ``number`` is its own, if it has one."""
        split = None if number is None else self._split_of(number)
        own = storable(report.bucket.signature) if split is None else split.name
        aliases = {storable(alias) for alias in report.bucket.aliases} if split is None else set[str]()
        merged = self.merged(own) - {own}
        parsed = [Signature.parse(name) for name in merged]
        less_known = {text for one in parsed if one is not None for text in one.less_known()}
        return Names(own, merged, frozenset({own} | aliases | merged | less_known))

    def renamed(self, before: str, after: str) -> None:
        """The rules call a failure by another name now: what was merged stays merged."""
        old, new = storable(before), storable(after)
        if old != new and self.merged(old):
            self.merge(new, old, RULES)

    def _edges(self) -> dict[str, str]:
        rows = self._database.rows(
            "SELECT name, into_name FROM groupings WHERE deed = 'merge' AND undone_at IS NULL AND team = ?",
            [self._team],
        )
        return {row["name"]: row["into_name"] for row in rows}

    def _split_of(self, number: int) -> Decision | None:
        row = self._database.row(
            "SELECT * FROM groupings WHERE deed = 'split' AND report_id = ? AND undone_at IS NULL", [number]
        )
        return None if row is None else _decision(row)

    def _note(self, deed: str, name: str, into: str, report: int | None, by: str) -> Decision:
        row = self._database.row(
            "INSERT INTO groupings (deed, name, into_name, report_id, by, at, team) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "RETURNING *",
            [deed, name, into, report, storable(by), stamp(self._clock()), self._team],
        )
        assert row is not None  # noqa: S101  # it was just made
        return _decision(row)

    def _rename(self, kept_under: str) -> None:
        # Crashes that are kept under a name go to where their own names lead now.
        rows = self._database.rows(
            "SELECT DISTINCT coalesce(own_name, signature) AS own FROM reports WHERE signature = ? AND team = ?",
            [kept_under, self._team],
        )
        edges = self._edges()
        roots = {row["own"]: _root(edges, row["own"]) for row in rows}
        for own, root in roots.items():
            self._database.change(
                "UPDATE reports SET signature = ?, own_name = ? "
                "WHERE signature = ? AND coalesce(own_name, signature) = ? AND team = ?",
                [root, own, kept_under, own, self._team],
            )
        for root in {kept_under, *roots.values()}:
            self._name_all(root)

    def _name_all(self, root: str) -> None:
        # Each name of merged failures leads to the crashes of all of them.
        self._database.change(
            "DELETE FROM signatures WHERE merged = 1 AND report_id IN "
            "(SELECT id FROM reports WHERE signature = ? AND team = ?)",
            [root, self._team],
        )
        for name in sorted(self.merged(root)):
            self._database.change(
                "INSERT INTO signatures (signature, report_id, merged) SELECT ?, id, 1 FROM reports "
                "WHERE signature = ? AND team = ? ON CONFLICT (signature, report_id) DO NOTHING",
                [name, root, self._team],
            )


def _root(edges: Mapping[str, str], name: str) -> str:
    # Only names that lead nowhere get an edge, so no path comes back to where it was.
    while name in edges:
        name = edges[name]
    return name


def _decision(row: Mapping[str, Any]) -> Decision:
    undone = row["undone_at"]
    return Decision(
        row["id"],
        row["deed"],
        row["name"],
        row["into_name"],
        row["report_id"],
        row["by"],
        moment(row["at"]),
        row["undone_by"],
        None if undone is None else moment(undone),
    )
