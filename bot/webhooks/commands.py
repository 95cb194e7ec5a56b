"""``pileup webhook``: addresses that are told of verdicts, added, tried, listed and taken away by the operator."""

import asyncio
import json
import re
import secrets
import sys
from typing import Any
from urllib.parse import urlsplit

from bot.analyzing import FAULT, OK, USAGE, settings_or_stop
from bot.console import printable
from bot.past import with_store
from bot.webhooks.payloads import headers
from bot.webhooks.sending import mistake_in, post
from storage import Store
from storage.clock import stamp, utc_now
from storage.webhooks import Standing, Webhook

_CHANNEL = re.compile(r"[A-Z0-9]{1,32}")


def add(url: str, channels: str | None) -> int:
    """Add an address and print its secret, this once. The exit status: 2 for one that cannot be told."""
    seen = None if channels is None else channels.replace(",", " ").split()
    if seen is not None and (not seen or not all(map(_CHANNEL.fullmatch, seen))):
        return _wrong("channels are Slack's ids, as C0123ABCD, separated by commas")

    def make(store: Store) -> int:
        wrong = mistake_in(url, allow_private=_allow_private())
        if wrong is not None:
            return _wrong(f"this address cannot be told: {wrong}")
        hook, secret = store.webhooks.add(url, seen)
        store.audit.note("add webhook", "operator", detail=_line(hook))
        print(secret)
        print(f"{_line(hook)}. The secret is not shown again.", file=sys.stderr)
        return OK

    return with_store(make)


def listing(*, as_json: bool) -> int:
    """Print every address without its secret. The exit status."""

    def print_them(store: Store) -> int:
        standings = {one.webhook.id: one for one in store.webhooks.standings()}
        hooks = store.webhooks.all()
        if as_json:
            print(json.dumps([_plain(hook, standings.get(hook.id)) for hook in hooks], indent=2))
        for hook in () if as_json else hooks:
            print(printable(f"{_line(hook)}; {_state(hook, standings.get(hook.id))}"))
        return OK

    return with_store(print_them)


def test(number: int) -> int:
    """Post a signed test. The exit status: 1 when it was not taken, 2 when there is no such address."""

    def try_it(store: Store) -> int:
        found = store.webhooks.get(number)
        if found is None or found[0].ended_at is not None:
            return _wrong(f"there is no address {number} that is told")
        hook, secret = found
        now = utc_now()
        body = json.dumps({"type": "ping", "timestamp": stamp(now), "data": {}}).encode()
        signed = headers(secret, f"msg_{secrets.token_hex(12)}", int(now.timestamp()), body)
        answered = asyncio.run(post(hook.url, body, signed, allow_private=_allow_private()))
        print("it was taken" if answered.error is None else f"it was not taken: {answered.error}")
        return OK if answered.error is None else FAULT

    return with_store(try_it)


def remove(number: int) -> int:
    """Tell an address nothing more. The exit status: 2 when there is none."""

    def end(store: Store) -> int:
        if not store.webhooks.end(number, "removed by the operator"):
            return _wrong(f"there is no address {number} that is told")
        store.audit.note("remove webhook", "operator", detail=str(number))
        return OK

    return with_store(end)


def _allow_private() -> bool:
    return settings_or_stop().webhook_private_addresses


def _wrong(line: str) -> int:
    print(f"pileup: {line}", file=sys.stderr)
    return USAGE


def _line(hook: Webhook) -> str:
    # Of an address the host alone: its path may be a secret, and lists are copied.
    told = "all crashes" if hook.channels is None else f"crashes of {', '.join(sorted(hook.channels))}"
    return f"{hook.id}: {urlsplit(hook.url).hostname} is told of {told}"


def _state(hook: Webhook, standing: Standing | None) -> str:
    if standing is None:
        return f"ended: {hook.ended_by}"
    parts = [f"{standing.waiting} waiting", f"{standing.failed} given up in 7 days"]
    if standing.delivered_at is not None:
        parts.append(f"last told {standing.delivered_at:%Y-%m-%d %H:%M} UTC")
    if standing.error is not None:
        parts.append(f"last error: {standing.error}")
    return ", ".join(parts)


def _plain(hook: Webhook, standing: Standing | None) -> dict[str, Any]:
    delivered = None if standing is None else standing.delivered_at
    return {
        "number": hook.id,
        "url": hook.url,
        "channels": None if hook.channels is None else sorted(hook.channels),
        "created_at": stamp(hook.created_at),
        "ended_by": hook.ended_by,
        "waiting": 0 if standing is None else standing.waiting,
        "failed": 0 if standing is None else standing.failed,
        "error": None if standing is None else standing.error,
        "delivered_at": None if delivered is None else stamp(delivered),
    }
