"""The workspaces that installed the bot, where one bot serves several: their tokens, and who may renew them now.

Tokens come and go sealed: nothing here can read them. ``version`` grows with each change, so that of several processes
that want to renew a token one does.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row


@dataclass(frozen=True, slots=True)
class Installation:
    """One workspace. ``token`` and ``refresh`` are sealed; ``expires_at`` is None for a token without an end."""

    team: str
    name: str
    url: str
    app: str
    bot_user: str
    bot: str
    scopes: str
    token: str
    refresh: str | None
    expires_at: datetime | None
    by: str
    installed_at: datetime
    version: int = 0


class Installations:
    """The installations of one database, and those on their way."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def save(self, new: Installation) -> None:
        """Keep an installation, in the place of an older one of the same workspace."""
        expires = None if new.expires_at is None else stamp(new.expires_at)
        self._database.change(
            "INSERT INTO installations (team, name, url, app, bot_user, bot, scopes, token, refresh, expires_at, "
            "installed_by, installed_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1) "
            "ON CONFLICT (team) DO UPDATE SET name = excluded.name, url = excluded.url, app = excluded.app, "
            "bot_user = excluded.bot_user, bot = excluded.bot, scopes = excluded.scopes, token = excluded.token, "
            "refresh = excluded.refresh, expires_at = excluded.expires_at, installed_by = excluded.installed_by, "
            "installed_at = excluded.installed_at, version = installations.version + 1, renewing_until = NULL",
            [
                *(new.team, new.name, new.url, new.app, new.bot_user, new.bot, new.scopes, new.token, new.refresh),
                *(expires, new.by, stamp(new.installed_at)),
            ],
        )

    def get(self, team: str) -> Installation | None:
        """The installation of a workspace."""
        row = self._database.row("SELECT * FROM installations WHERE team = ?", [team])
        return None if row is None else _installation(row)

    def all(self) -> list[Installation]:
        """Every installation, the oldest first."""
        rows = self._database.rows("SELECT * FROM installations ORDER BY installed_at, team")
        return [_installation(row) for row in rows]

    def delete(self, team: str) -> bool:
        """Forget a workspace's tokens; false where there were none."""
        return self._database.change("DELETE FROM installations WHERE team = ?", [team]) == 1

    def claim(self, one: Installation, seconds: float) -> bool:
        """Whether the caller may renew this token, for so long; nobody else may meanwhile."""
        now = self._clock()
        return (
            self._database.change(
                "UPDATE installations SET renewing_until = ? WHERE team = ? AND version = ? "
                "AND (renewing_until IS NULL OR renewing_until < ?)",
                [stamp(now + timedelta(seconds=seconds)), one.team, one.version, stamp(now)],
            )
            == 1
        )

    def renew(self, one: Installation, token: str, refresh: str, expires_at: datetime) -> bool:
        """Keep a renewed token. False: it was installed again or deleted meanwhile, and that counts."""
        return (
            self._database.change(
                "UPDATE installations SET token = ?, refresh = ?, expires_at = ?, renewing_until = NULL, "
                "version = version + 1 WHERE team = ? AND version = ?",
                [token, refresh, stamp(expires_at), one.team, one.version],
            )
            == 1
        )

    def give_up(self, one: Installation) -> None:
        """The claim came to nothing: whoever wants may try."""
        self._database.change(
            "UPDATE installations SET renewing_until = NULL WHERE team = ? AND version = ?", [one.team, one.version]
        )

    def begin(self, state: str, seconds: float) -> None:
        """An installation begins: keep the word that must come back with it, for so long. Old ones go."""
        now = self._clock()
        self._database.change("DELETE FROM install_states WHERE expires_at < ?", [stamp(now)])
        self._database.change(
            "INSERT INTO install_states (digest, expires_at) VALUES (?, ?)",
            [_digest(state), stamp(now + timedelta(seconds=seconds))],
        )

    def end(self, state: str) -> bool:
        """Whether such a word is waited for; it works once."""
        return (
            self._database.change(
                "DELETE FROM install_states WHERE digest = ? AND expires_at >= ?",
                [_digest(state), stamp(self._clock())],
            )
            == 1
        )


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _installation(row: Row) -> Installation:
    return Installation(
        team=row["team"],
        name=row["name"],
        url=row["url"],
        app=row["app"],
        bot_user=row["bot_user"],
        bot=row["bot"],
        scopes=row["scopes"],
        token=row["token"],
        refresh=row["refresh"],
        expires_at=None if row["expires_at"] is None else moment(row["expires_at"]),
        by=row["installed_by"],
        installed_at=moment(row["installed_at"]),
        version=row["version"],
    )
