"""What was read into history in bulk, file by file, so that a run that was cut short goes on where it stood.

A file is known by the hash of its place, which may be a link with a signature, and by its version: size and time, or
what a store says of its content. A file that changed is read again.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file, or a dump in it, gave no report: a word for programs and a line for people."""

    kind: str
    line: str


@dataclass(frozen=True, slots=True)
class Ingest:
    """What a file came to: the failures in it, and how many reports it has in history."""

    failures: tuple[Failure, ...]
    reports: int


@dataclass(frozen=True, slots=True)
class Found:
    """One failure that crashes of a set of files share: how many of them, on how many named hosts, from when to when;
    the number of the latest."""

    signature: str
    module: str | None
    code: str | None
    count: int
    hosts: int
    first_seen: datetime
    last_seen: datetime
    latest: int


class Ingests:
    """The bulk readings of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(self, place: str, version: str, reports: Sequence[int], failures: Sequence[Failure]) -> None:
        """Keep what a file came to, instead of what it came to before."""
        key = key_of(place)
        told = json.dumps([[one.kind, one.line] for one in failures])
        with self._database.write():
            self._database.change("DELETE FROM ingested WHERE place = ?", [key])
            self._database.change(
                "INSERT INTO ingests (place, version, failures, at) VALUES (?, ?, ?, ?) ON CONFLICT (place) "
                "DO UPDATE SET version = excluded.version, failures = excluded.failures, at = excluded.at",
                [key, version, told, stamp(self._clock())],
            )
            for number in sorted(set(reports)):
                self._database.change("INSERT INTO ingested (place, report_id) VALUES (?, ?)", [key, number])

    def known(self, files: Iterable[tuple[str, str]]) -> dict[str, Ingest]:
        """What files, as place and version, came to; those that were not read in that version are left out."""
        wanted = {key_of(place): (place, version) for place, version in files}
        found: dict[str, Ingest] = {}
        for some in _batches(wanted):
            rows = self._database.rows(
                "SELECT place, version, failures, (SELECT count(*) FROM ingested WHERE ingested.place = ingests.place) "  # noqa: S608
                f"AS reports FROM ingests WHERE place IN ({_marks(some)})",
                some,
            )
            for row in rows:
                place, version = wanted[row["place"]]
                if row["version"] == version:
                    failures = tuple(Failure(kind, line) for kind, line in json.loads(row["failures"]))
                    found[place] = Ingest(failures, int(row["reports"]))
        return found

    def problems(self, places: Iterable[str]) -> list[Found]:
        """The failures of the crashes in these files, most frequent first. Captures of running machines are none."""
        crashes: dict[int, Row] = {}
        for some in _batches({key_of(place) for place in places}):
            rows = self._database.rows(
                "SELECT reports.id AS id, signature, module, code, host, seen_at FROM ingested "  # noqa: S608
                f"JOIN reports ON reports.id = report_id WHERE live = 0 AND place IN ({_marks(some)})",
                some,
            )
            crashes |= {row["id"]: row for row in rows}
        groups: dict[str, list[Row]] = {}
        for row in sorted(crashes.values(), key=lambda row: (row["seen_at"], row["id"])):
            groups.setdefault(str(row["signature"]), []).append(row)
        return sorted(
            (_found(name, rows) for name, rows in groups.items()), key=lambda one: (-one.count, one.signature)
        )


def key_of(place: str) -> str:
    """A place as the database keeps it."""
    return hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()


def _found(signature: str, rows: list[Row]) -> Found:
    last = rows[-1]
    return Found(
        signature,
        last["module"],
        last["code"],
        len(rows),
        len({row["host"] for row in rows if row["host"]}),
        moment(rows[0]["seen_at"]),
        moment(last["seen_at"]),
        last["id"],
    )


def _batches(values: Iterable[str]) -> Iterator[list[str]]:
    every = sorted(values)
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" for _ in values)
