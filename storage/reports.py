"""Reports in history: one row per dump. A dump analysed again replaces its document and keeps what it was called."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis.verdict.rebucket import naming_identity
from analysis.verdict.report import Report
from storage.clock import Clock, moment, stamp
from storage.columns import columns, drivers, storable, story_frames
from storage.database import Database, Row
from storage.grouping import Grouping
from storage.sight import EVERYTHING, Sight
from storage.words import report_words

UNNAMED = "a dump"  # one whose link or file is not for whoever asks
LISTED = (
    "id, identity, sha256, source, kind, live, code, name, module, function, confidence, signature, failure_bucket, "
    "failure_hash, host, build, lock, device, service, summary, crash_time, reported_at, seen_at, analyzed_at"
)


@dataclass(frozen=True, slots=True)
class StoredReport:
    """One line of history. ``seen_at`` is the crash time where the dump's clock can be right, else ``reported_at``."""

    id: int
    identity: str
    sha256: str | None
    source: str
    kind: str
    live: bool
    code: str | None
    name: str | None
    module: str | None
    function: str | None
    confidence: str
    signature: str
    failure_bucket: str
    failure_hash: str
    host: str | None
    build: str | None
    lock: str | None
    device: str | None
    service: str | None
    summary: str
    crash_time: datetime | None
    reported_at: datetime
    seen_at: datetime
    analyzed_at: datetime


class Reports:
    """The reports of one database."""

    def __init__(self, database: Database, clock: Clock, grouping: Grouping, sight: Sight = EVERYTHING) -> None:
        self._database = database
        self._clock = clock
        self._grouping = grouping
        self._sight = sight

    def add(self, report: Report, *, by_operator: bool = False) -> StoredReport:
        """Store a report; storing the same dump again replaces the document and keeps id, first time, old names and
        whether it is the operator's.

        Raises:
            fastjsonschema.JsonSchemaException: the report breaks its contract; nothing is stored.
        """
        document = json.dumps(report.to_json())
        with self._database.write():
            known = self._kept(report)
            row = columns(report, stamp(known.reported_at if known else self._clock()))
            if known is not None:
                row["sha256"] = row["sha256"] or known.sha256
            row["signature"], row["own_name"] = self._grouping.name_for(known.id if known else None, row["signature"])
            row["frames"] = json.dumps(story_frames(report))
            row["named_by"] = naming_identity()
            if known is None:
                row["by_operator"] = int(by_operator)
                row["team"] = self._sight.tenant or ""
                number = self._database.insert("reports", row)
            else:
                number = known.id
                self._database.update("reports", number, row)
            # Apart from the columns: a scan over these must not wade through documents.
            self._database.change(
                "INSERT INTO documents (report_id, document) VALUES (?, ?) "
                "ON CONFLICT (report_id) DO UPDATE SET document = excluded.document",
                [number, document],
            )
            self._name(number, report)
            self._database.change("DELETE FROM drivers WHERE report_id = ?", [number])
            for name, version, blamed in drivers(report):
                self._database.change("INSERT INTO drivers VALUES (?, ?, ?, ?)", [number, name, version, blamed])
            self._database.change("DELETE FROM words WHERE rowid = ?", [number])
            self._database.change(
                "INSERT INTO words (rowid, body) VALUES (?, ?)", [number, storable(report_words(report))]
            )
        return self._stored(number)

    def get(self, number: int) -> StoredReport | None:
        """One line of history by number."""
        sight, seen = self._sight.of_reports()
        sql = f"SELECT {LISTED} FROM reports WHERE id = ? AND {sight}"  # noqa: S608  # our columns
        row = self._database.row(sql, [number, *seen])
        return None if row is None else self._as_seen(row)

    def document(self, number: int) -> dict[str, Any] | None:
        """The whole JSON document of a report."""
        sight, seen = self._sight.of_reports()
        sql = f"SELECT document FROM documents JOIN reports ON id = report_id WHERE id = ? AND {sight}"  # noqa: S608
        row = self._database.row(sql, [number, *seen])
        if row is None:
            return None
        document: dict[str, Any] = json.loads(row["document"])
        if not self._sight.is_whole:
            document["dump"]["source"] = sources(self._database, self._sight, [number])[number]
        return document

    def report(self, number: int) -> Report | None:
        """The whole report.

        Raises:
            fastjsonschema.JsonSchemaException: the stored document breaks the contract of this version.
        """
        document = self.document(number)
        return None if document is None else Report.from_json(document)

    def of_dump(self, identity: str, sha256: str | None = None) -> StoredReport | None:
        """The report of this very dump: of the same bytes, or of the same identity where not all bytes are known.

        An identity looks at the size and the first bytes alone, so two known hashes that differ outweigh it.
        """
        row = _of_dump(self._database, self._sight, identity, sha256)
        return None if row is None else self._as_seen(row)

    def _kept(self, report: Report) -> StoredReport | None:
        # The same dump may lie there for another workspace: that report is another.
        found = _of_dump(self._database, self._sight, report.dump.identity, report.dump.sha256)
        team = None if found is None else self._database.value("SELECT team FROM reports WHERE id = ?", [found["id"]])
        return None if found is None or team != (self._sight.tenant or "") else self._as_seen(found)

    def number_of_dump(self, identity: str, sha256: str | None = None) -> int | None:
        """The number of this very dump's report, seen or not: it may not have been told yet."""
        row = _of_dump(self._database, Sight(tenant=self._sight.tenant), identity, sha256)
        return None if row is None else int(row["id"])

    def names(self, number: int) -> frozenset[str]:
        """Every signature this report has had, aliases included."""
        rows = self._database.rows("SELECT signature FROM signatures WHERE report_id = ?", [number])
        return frozenset(row["signature"] for row in rows)

    def aliases(self, signature: str) -> frozenset[str]:
        """Every signature that a report which is called so now has or had, its own included."""
        rows = self._database.rows(
            "SELECT DISTINCT signature FROM signatures WHERE report_id IN (SELECT id FROM reports WHERE signature = ?)",
            [storable(signature)],
        )
        return frozenset({signature, *(row["signature"] for row in rows)})

    def numbers(self) -> list[int]:
        """The number of every report, oldest first."""
        return [row["id"] for row in self._database.rows("SELECT id FROM reports ORDER BY id")]

    def count(self) -> int:
        """How many dumps history holds."""
        sight, seen = self._sight.of_reports()
        return int(self._database.value(f"SELECT count(*) FROM reports WHERE {sight}", seen))  # noqa: S608

    def forget(self, number: int) -> bool:
        """Delete a report with its names, words and threads; false when there was none."""
        with self._database.write():
            self._database.change("DELETE FROM words WHERE rowid = ?", [number])
            return self._database.change("DELETE FROM reports WHERE id = ?", [number]) == 1

    def _as_seen(self, row: Row) -> StoredReport:
        return seen_rows(self._database, self._sight, [row])[0]

    def _name(self, number: int, report: Report) -> None:
        names = self._grouping.names_of(report, number)
        aliases = () if names.own != storable(report.bucket.signature) else map(storable, report.bucket.aliases)
        for merged, some in ((0, (names.own, *aliases)), (1, sorted(names.merged))):
            for name in some:
                self._database.change(
                    "INSERT INTO signatures (signature, report_id, merged) VALUES (?, ?, ?) "
                    "ON CONFLICT (signature, report_id) DO NOTHING",
                    [name, number, merged],
                )

    def _stored(self, number: int) -> StoredReport:
        found = self.get(number)
        assert found is not None  # noqa: S101  # stored by the caller a moment ago
        return found


def _of_dump(database: Database, sight: Sight, identity: str, sha256: str | None) -> Row | None:
    where, seen = sight.of_reports()
    return database.row(
        f"SELECT {LISTED} FROM reports WHERE (sha256 = ? OR "  # noqa: S608  # our columns
        "(identity = ? AND (sha256 IS NULL OR ? IS NULL))) "
        f"AND {where} ORDER BY CASE WHEN team = ? THEN 0 ELSE 1 END, "
        "CASE WHEN sha256 = ? THEN 0 ELSE 1 END, id LIMIT 1",
        [sha256, identity, sha256, *seen, sight.tenant or "", sha256],
    )


def seen_rows(database: Database, sight: Sight, rows: list[Row]) -> list[StoredReport]:
    """Rows of LISTED columns as lines of history, each under the name that its dump has where it is seen."""
    if sight.is_whole:
        return [stored(row) for row in rows]
    names = sources(database, sight, [row["id"] for row in rows])
    return [stored({**row, "source": names[row["id"]]}) for row in rows]


def sources(database: Database, sight: Sight, numbers: list[int]) -> dict[int, str]:
    """Under which name the dump of each report was first posted where it is seen.

    One dump may have been posted as two links, and one of them in a channel that is not seen: a link tells much.
    """
    marks = ", ".join("?" for _ in numbers) or "NULL"
    place, seen = sight.of_threads()
    rows = database.rows(
        f"SELECT report_id, source FROM threads WHERE report_id IN ({marks}) AND source <> '' "  # noqa: S608
        f"AND {place} ORDER BY id DESC",
        [*numbers, *seen],
    )
    posted = {row["report_id"]: row["source"] for row in rows}
    shown = sorted(sight.channels or ())
    if shown and len(posted) < len(numbers):
        own = ", ".join("?" for _ in shown)
        rows = database.rows(
            f"SELECT report_id, source FROM sightings WHERE report_id IN ({marks}) AND source <> '' "  # noqa: S608
            f"AND channel IN ({own})",
            [*numbers, *shown],
        )
        posted = {row["report_id"]: row["source"] for row in rows} | posted
    return dict.fromkeys(numbers, UNNAMED) | posted


def stored(row: Row) -> StoredReport:
    times = {name: moment(row[name]) for name in ("reported_at", "seen_at", "analyzed_at")}
    crashed = None if row["crash_time"] is None else moment(row["crash_time"])
    return StoredReport(**{**row, **times, "live": bool(row["live"]), "crash_time": crashed})
