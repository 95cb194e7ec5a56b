"""``pileup token``: tokens for machines that use the API, made, listed and ended by the operator."""

import json
import re
import sys
from datetime import datetime

from bot.analyzing import OK, USAGE
from bot.console import printable
from bot.past import with_store
from storage import Store
from storage.clock import stamp, utc_now
from storage.tokens import NameTaken, Scope, Token

_NAME = re.compile(r"[\w.-]{1,60}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,32}")


def add(name: str, scopes: tuple[Scope, ...], channels: str | None, days: int | None) -> int:
    """Make a token and print it, this once. The exit status: 2 for a name that is taken or none."""
    seen = None if channels is None else channels.replace(",", " ").split()
    if not _NAME.fullmatch(name):
        return _wrong("a name has 1 to 60 letters, digits, dots and hyphens")
    if seen is not None and (not seen or not all(map(_CHANNEL.fullmatch, seen))):
        return _wrong("channels are Slack's ids, as C0123ABCD, separated by commas")

    def make(store: Store) -> int:
        try:
            token, secret = store.tokens.add(name, scopes, seen, days)
        except NameTaken:
            return _wrong(f"there is a token {name}; revoke it first, or take another name")
        store.audit.note("add token", "operator", detail=name)
        print(secret)
        print(f"{_line(token, utc_now())}. It is not shown again.", file=sys.stderr)
        return OK

    return with_store(make)


def listing(*, as_json: bool) -> int:
    """Print every token, without its secret. The exit status."""

    def print_them(store: Store) -> int:
        now = utc_now()
        if as_json:
            print(json.dumps([_plain(token, now) for token in store.tokens.all()], indent=2))
        else:
            for token in store.tokens.all():
                print(printable(_line(token, now)))
        return OK

    return with_store(print_them)


def revoke(name: str) -> int:
    """End a token. The exit status: 2 when there is none of that name."""

    def end(store: Store) -> int:
        if not store.tokens.revoke(name):
            return _wrong(f"there is no valid token {printable(name)}")
        store.audit.note("revoke token", "operator", detail=name)
        return OK

    return with_store(end)


def _wrong(line: str) -> int:
    print(f"pileup: {line}", file=sys.stderr)
    return USAGE


def _line(token: Token, now: datetime) -> str:
    seen = "all of history" if token.channels is None else f"what {', '.join(sorted(token.channels))} saw"
    ends = "never ends" if token.expires_at is None else f"ends {token.expires_at:%Y-%m-%d %H:%M} UTC"
    used = "never used" if token.used_at is None else f"last used {token.used_at:%Y-%m-%d %H:%M} UTC"
    state = "" if token.is_valid(now) else "ended: " if token.revoked_at is None else "revoked: "
    return f"{state}{token.name}: {', '.join(sorted(token.scopes))}; sees {seen}; {ends}; {used}"


def _plain(token: Token, now: datetime) -> dict[str, object]:
    return {
        "name": token.name,
        "scopes": sorted(token.scopes),
        "channels": None if token.channels is None else sorted(token.channels),
        "valid": token.is_valid(now),
        "created_at": stamp(token.created_at),
        "expires_at": None if token.expires_at is None else stamp(token.expires_at),
        "used_at": None if token.used_at is None else stamp(token.used_at),
    }
