"""What Slack last said of the channels where something was told: public or not, open or not, whose direct message.

That a channel is public is believed only when the Web API says so, or of a channel of which nothing is known: events
come late and twice, and an old one must not open a channel that was made private since.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row
from storage.sight import Sight

Kind = Literal["public", "private", "im", "mpim"]
State = Literal["open", "archived", "deleted", "left"]
KINDS = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class Room:
    """A channel. ``shared``: people of other workspaces are in it. ``person`` is who a direct message is with."""

    team: str
    channel: str
    kind: Kind
    state: State
    shared: bool
    person: str | None
    checked_at: datetime


class Channels:
    """The channels of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, team: str, channel: str) -> Room | None:
        """What is known of a channel."""
        row = self._database.row("SELECT * FROM channels WHERE team = ? AND channel = ?", [team, channel])
        return None if row is None else _room(row)

    def team_of(self, channel: str) -> str | None:
        """The workspace of a channel; None where nothing is known of it, or several share it."""
        rows = self._database.rows("SELECT team FROM channels WHERE channel = ?", [channel])
        return rows[0]["team"] if len(rows) == 1 else None

    def note(
        self,
        team: str,
        channel: str,
        kind: Kind,
        *,
        state: State = "open",
        shared: bool = False,
        person: str | None = None,
    ) -> None:
        """Keep what the Web API says of a channel."""
        self._database.change(
            "INSERT INTO channels (team, channel, kind, state, shared, person, checked_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (team, channel) DO UPDATE SET kind = excluded.kind, "
            "state = excluded.state, shared = excluded.shared, "
            "person = coalesce(excluded.person, channels.person), checked_at = excluded.checked_at",
            [team, channel, kind, state, int(shared), person, stamp(self._clock())],
        )

    def hear(self, team: str, channel: str, kind: Kind, person: str | None = None) -> None:
        """Keep what an event says of a channel: all of one that is unknown, else only that it is not public."""
        self._database.change(
            "INSERT INTO channels (team, channel, kind, state, shared, person, checked_at) "
            "VALUES (?, ?, ?, 'open', 0, ?, ?) ON CONFLICT (team, channel) DO UPDATE SET "
            "kind = CASE WHEN channels.kind = 'public' THEN excluded.kind ELSE channels.kind END, "
            "person = coalesce(channels.person, excluded.person)",
            [team, channel, kind, person, stamp(self._clock())],
        )

    def mark(self, team: str, channel: str, state: State) -> None:
        """Keep that a channel was archived, opened again, deleted, or that the bot left it."""
        self._database.change("UPDATE channels SET state = ? WHERE team = ? AND channel = ?", [state, team, channel])

    def direct(self, team: str, person: str) -> frozenset[str]:
        """A person's direct messages with the bot."""
        rows = self._database.rows(
            "SELECT channel FROM channels WHERE team = ? AND person = ? AND kind = 'im'", [team, person]
        )
        return frozenset(row["channel"] for row in rows)

    def unchecked(self, older_than: timedelta, limit: int = 200) -> list[tuple[str, str]]:
        """Team and channel of channels where something was told, that were not looked up or not for so long; those
        of which nothing is known first. Direct messages stay what they are and are left out."""
        before = stamp(self._clock() - older_than)
        rows = self._database.rows(
            "SELECT DISTINCT threads.team AS team, threads.channel AS channel, coalesce(channels.checked_at, '') AS at "
            "FROM threads LEFT JOIN channels ON channels.team = threads.team AND channels.channel = threads.channel "
            "WHERE threads.channel NOT LIKE 'D%' AND (channels.checked_at IS NULL OR channels.checked_at < ?) "
            "ORDER BY at, channel LIMIT ?",
            [before, limit],
        )
        return [(row["team"], row["channel"]) for row in rows]

    def seen_at(self, team: str, channel: str) -> Sight:
        """What every member of a channel may see: what was told there, and the public channels of the workspace;
        those not where people of other workspaces are in it."""
        room = self.get(team, channel)
        is_shared = room is not None and room.shared
        return Sight(frozenset({channel}), None if is_shared else team)

    def is_seen(self, sight: Sight, team: str, channel: str) -> bool:
        """Whether whoever has that sight sees what is told in a channel."""
        if sight.channels is None or channel in sight.channels:
            return True
        room = self.get(team, channel) if sight.public_of == team else None
        return room is not None and room.kind == "public"

    def forget(self, team: str, channels: Iterable[str]) -> None:
        """Drop what is known of channels."""
        for channel in channels:
            self._database.change("DELETE FROM channels WHERE team = ? AND channel = ?", [team, channel])


def _room(row: Row) -> Room:
    return Room(
        row["team"],
        row["channel"],
        row["kind"],
        row["state"],
        bool(row["shared"]),
        row["person"],
        moment(row["checked_at"]),
    )
