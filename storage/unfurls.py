"""Which messages of people show a crash, having a link to its page: they change when what is said of it does."""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.clock import Clock, stamp
from storage.columns import storable
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Unfurled:
    """A link in somebody's message, and the crash that it leads to. The link bears no signature."""

    report_id: int
    team: str
    channel: str
    ts: str
    link: str


class Unfurls:
    """Those of one database. They go with their reports."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def note(self, shown: Unfurled) -> None:
        """Keep that a message shows a crash."""
        self._database.change(
            "INSERT INTO unfurls (report_id, team, channel, ts, link, created_at) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (team, channel, ts, link) DO NOTHING",
            [shown.report_id, shown.team, shown.channel, shown.ts, storable(shown.link), stamp(self._clock())],
        )

    def of_reports(self, numbers: Iterable[int], limit: int = 50) -> list[Unfurled]:
        """The messages that show one of these crashes, the latest first."""
        wanted, listed = self._database.listed(sorted(numbers))
        rows = self._database.rows(
            f"SELECT unfurls.* FROM unfurls JOIN {wanted} AS wanted ON report_id = wanted.value "  # noqa: S608
            "ORDER BY created_at DESC, ts DESC LIMIT ?",
            [*listed, limit],
        )
        return [Unfurled(row["report_id"], row["team"], row["channel"], row["ts"], row["link"]) for row in rows]
