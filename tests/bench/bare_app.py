"""A Bolt app that acknowledges whatever comes, and does nothing else: the peer of ``tests.bench.acks``.

``python -m tests.bench.bare_app socket|http API_URL [PORT]``; it says "ready" when it listens.
"""

import asyncio
import re
import sys
from typing import Any

import uvicorn
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.async_app import AsyncAck
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox.server import APP_TOKEN, BOT_TOKEN
from tests.bot.kit import SECRET

ANYTHING = re.compile("")


async def acknowledge(ack: AsyncAck) -> None:
    """All that it does."""
    await ack()


def bare_app(api_url: str) -> AsyncApp:
    """The app."""

    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(enterprise_id=None, team_id="T0SANDBOX1", bot_user_id="U0PILEUP01", bot_token=BOT_TOKEN)

    client = AsyncWebClient(token=BOT_TOKEN, base_url=api_url)
    client.proxy = None
    app = AsyncApp(client=client, authorize=authorize, signing_secret=SECRET)
    for listen in (app.event, app.action, app.shortcut, app.view_submission, app.command):
        listen(ANYTHING)(acknowledge)
    return app


async def _serve(transport: str, api_url: str, port: int) -> None:
    app = bare_app(api_url)
    if transport == "socket":
        handler = AsyncSocketModeHandler(app, APP_TOKEN)
        handler.client.proxy = None
        await handler.connect_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped
        print("ready", flush=True)
        await asyncio.Event().wait()
    slack = AsyncSlackRequestHandler(app)

    async def receive(request: Request) -> Response:
        return await slack.handle(request)

    site = Starlette(routes=[Route("/slack/events", receive, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(site, host="127.0.0.1", port=port, log_level="error", access_log=False))
    print("ready", flush=True)
    await server.serve()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0))
