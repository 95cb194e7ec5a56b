"""Deliveries as signed HTTP requests: events as JSON, what people do as forms, each answered within three seconds.

Source: docs.slack.dev/apis/events-api/using-http-request-urls,
docs.slack.dev/authentication/verifying-requests-from-slack.
"""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp

ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class SignedHttp:
    """Where the app listens, the secret that signs, and the seconds before each retry (Slack: at once, 60, 300)."""

    url: str
    secret: str
    retries: tuple[float, ...] = (0.0, 60.0, 300.0)

    async def post(self, kind: str, payload: dict[str, Any], attempt: int) -> tuple[int, Any]:
        """Deliver one attempt: the status, and the JSON that came with it, if any.

        Raises:
            TimeoutError, OSError: no answer; aiohttp.ClientError is an OSError or a broken answer.
        """
        content_type, body = _body(kind, payload)
        headers = {"Content-Type": content_type, **self.signature(body, int(time.time()))}
        if attempt:
            headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_timeout"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(self.url, data=body, headers=headers) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else None

    def signature(self, body: bytes, at: int) -> dict[str, str]:
        """The headers that prove who sends a body, and when."""
        signed = hmac.new(self.secret.encode(), b"v0:%d:%s" % (at, body), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={signed}"}


def _body(kind: str, payload: dict[str, Any]) -> tuple[str, bytes]:
    if kind == "events_api":
        return "application/json", json.dumps(payload).encode()
    fields = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return "application/x-www-form-urlencoded", urlencode(fields).encode()
