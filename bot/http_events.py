"""Slack's events over HTTP: signed, at most five minutes old, through the same listeners as Socket Mode.

The signature and its age are checked by Bolt before any listener runs. What Slack sends again is known by its event or
trigger id, so a request that somebody recorded does nothing twice either.
"""

import re
from collections.abc import Sequence

from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.app.async_app import AsyncApp
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from storage.store import Store

PATH = "/slack/events"
_STAMP = re.compile(r"[0-9]{1,12}")
MAX_BODY = 1 << 20  # bytes; a pressed button brings its whole message along


def events_site(app: AsyncApp | None, store: Store, routes: Sequence[BaseRoute] = ()) -> ASGIApp:
    """What answers Slack at ``PATH``, and at ``/healthz`` whether history answers; and other ``routes``. Without an app
    there are no events.
    """

    async def receive(request: Request) -> Response:
        stamp, signature = (request.headers.get(f"x-slack-{name}", "") for name in ("request-timestamp", "signature"))
        if not (_STAMP.fullmatch(stamp) and signature.isascii()):  # Bolt takes them for what they should be
            return PlainTextResponse("not signed", 401)
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return PlainTextResponse("too large", 413)
        if "json" in request.headers.get("content-type", "") and not body.lstrip().startswith(b"{"):
            return PlainTextResponse("not what Slack sends", 400)
        try:
            asked = to_async_bolt_request(request, body)
        except ValueError:
            return PlainTextResponse("not what Slack sends", 400)
        if app is None:
            return PlainTextResponse("events come over Socket Mode", 404)
        return to_starlette_response(await app.async_dispatch(asked))

    def health(_request: Request) -> Response:
        store.jobs.counts()
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(PATH, receive, methods=["POST"]), Route("/healthz", health), *routes])


async def _body(request: Request) -> bytes | None:
    # No more than the limit is ever held, whatever length was announced.
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            return None
        parts.append(part)
    return b"".join(parts)
