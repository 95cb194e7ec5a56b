"""Tokens of machines that use the API: what each may do, whose history it sees, until when.

Only a token's SHA-256 is kept: 32 random bytes need no salt, and who reads the database can sign in as nobody.
"""

import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from storage.clock import Clock, moment, stamp
from storage.database import Database, Row

Scope = Literal["read", "analyze"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PREFIX = "pileup_"  # so that a token in a log or a repository can be found
USED_EVERY = timedelta(minutes=1)  # how exact "last used" is: a write for each request would be a waste


@dataclass(frozen=True, slots=True)
class Token:
    """One token without its secret. ``channels`` are those whose history it sees, None for all of history."""

    id: int
    name: str
    scopes: frozenset[Scope]
    channels: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Neither revoked nor ended by then."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class NameTaken(Exception):
    """There is a valid token of that name."""


class Tokens:
    """The tokens of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        name: str,
        scopes: Collection[Scope],
        channels: Collection[str] | None = None,
        days: int | None = None,
    ) -> tuple[Token, str]:
        """A new token, and its secret, which nobody can ask for again.

        Raises:
            NameTaken.
        """
        now = self._clock()
        secret = PREFIX + secrets.token_urlsafe(32)
        until = None if days is None else stamp(now + timedelta(days=days))
        seen = None if channels is None else json.dumps(sorted(channels))
        with self._database.write():
            # One that has ended by itself gives its name back.
            self._database.change(
                "UPDATE tokens SET revoked_at = expires_at WHERE name = ? AND revoked_at IS NULL AND expires_at <= ?",
                [name, stamp(now)],
            )
            if self._database.row("SELECT id FROM tokens WHERE name = ? AND revoked_at IS NULL", [name]) is not None:
                raise NameTaken(name)
            row = self._database.row(
                "INSERT INTO tokens (name, digest, scopes, channels, created_at, expires_at) "
                "VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
                [name, _digest(secret), " ".join(sorted(scopes)), seen, stamp(now), until],
            )
        assert row is not None  # noqa: S101  # inserted a line ago
        return _token(row), secret

    def of(self, secret: str) -> Token | None:
        """The token of a secret, as long as it is valid; notes that it was used."""
        now = self._clock()
        if not secret.startswith(PREFIX) or len(secret) > 200:
            return None
        # Looked up by its hash: how long that takes tells nothing about the secret.
        row = self._database.row("SELECT * FROM tokens WHERE digest = ?", [_digest(secret)])
        token = None if row is None else _token(row)
        if token is None or not token.is_valid(now):
            return None
        if token.used_at is None or now - token.used_at >= USED_EVERY:
            self._database.change("UPDATE tokens SET used_at = ? WHERE id = ?", [stamp(now), token.id])
        return token

    def all(self) -> list[Token]:
        """Every token that there ever was, the oldest first."""
        return [_token(row) for row in self._database.rows("SELECT * FROM tokens ORDER BY id")]

    def revoke(self, name: str) -> bool:
        """End the valid token of a name at once; false when there is none."""
        return (
            self._database.change(
                "UPDATE tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", [stamp(self._clock()), name]
            )
            == 1
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _token(row: Row) -> Token:
    scopes = frozenset(scope for scope in SCOPES if scope in row["scopes"].split())
    channels = None if row["channels"] is None else frozenset(json.loads(row["channels"]))
    times = [_maybe(row[name]) for name in ("expires_at", "revoked_at", "used_at")]
    return Token(row["id"], row["name"], scopes, channels, moment(row["created_at"]), *times)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
