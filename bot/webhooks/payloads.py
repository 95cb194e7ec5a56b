"""What a webhook is told: a verdict in short, with links; and the signature that shows that it is from us.

The form is that of Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks): the HMAC-SHA256 over id,
time and body, so that neither can be changed and an old one is known for old.
"""

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

from bot.web.api import shapes
from storage.clock import stamp
from storage.store import Store
from storage.webhooks import Delivery, Webhook


def payload(store: Store, hook: Webhook, delivery: Delivery, page: Callable[[int], str | None]) -> bytes | None:
    """The body, as of now, from what this webhook may see; None where that is nothing any more."""
    seen = store.seen_as(hook.sight)
    line = seen.reports.get(delivery.report)
    if line is None:
        return None
    data: dict[str, Any] = {
        "crash": shapes.crash(line, page),
        "threads": shapes.threads(seen, delivery.report),
    }
    return json.dumps({"type": delivery.event, "timestamp": stamp(delivery.at), "data": data}).encode()


def headers(secret: str, name: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery that is made at this time (seconds since 1970)."""
    said = b".".join((name.encode(), str(seconds).encode(), body))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{signed}",
    }
