"""Sessions of people who signed in: a random secret of which only the SHA-256 is kept; a row that goes ends it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock, moment, stamp
from storage.columns import storable
from storage.database import Database

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Session:
    """Who signed in, by Slack's ids of workspace and person, and until when that holds."""

    team: str
    person: str
    name: str
    expires_at: datetime


class Sessions:
    """The sessions of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, team: str, person: str, name: str, lasts: timedelta) -> str:
        """A new session; its secret. Sessions that are over are thrown away."""
        now, secret = self._clock(), secrets.token_urlsafe(32)
        with self._database.write():
            self._database.change("DELETE FROM sessions WHERE expires_at <= ?", [stamp(now)])
            self._database.change(
                "INSERT INTO sessions (digest, team, person, name, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                [_digest(secret), team, person, storable(name)[:MAX_NAME], stamp(now), stamp(now + lasts)],
            )
        return secret

    def of(self, secret: str) -> Session | None:
        """The session of a secret, as long as it lasts."""
        row = self._database.row(
            "SELECT team, person, name, expires_at FROM sessions WHERE digest = ? AND expires_at > ?",
            [_digest(secret), stamp(self._clock())],
        )
        return None if row is None else Session(row["team"], row["person"], row["name"], moment(row["expires_at"]))

    def end(self, secret: str) -> bool:
        """End a session at once; false when there was none."""
        return self._database.change("DELETE FROM sessions WHERE digest = ?", [_digest(secret)]) == 1

    def end_all(self, team: str) -> int:
        """End every session of a workspace; how many there were."""
        return self._database.change("DELETE FROM sessions WHERE team = ?", [team])


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
