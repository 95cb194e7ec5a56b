"""emulate's Slack for a test: started, seeded, with the front that it needs, and people who say things in it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

import aiohttp
from aiohttp import web

from bot.install.scopes import bot_events, bot_scopes
from tests.bot.kit import SECRET, free_port
from tests.second_slack.packages import HERE, installed

BOT_TOKEN, ANNA_TOKEN = "xoxb-second-bot", "xoxp-second-anna"
CLIENT_ID, CLIENT_SECRET = "3333.4444", "second client secret"
BOT = "U0PILEUP02"
START_SECONDS = 20.0
_PERSON = ("chat:write", "channels:read", "channels:history", "channels:manage", "im:write", "im:history", "users:read",
           "files:write", "files:read", "reactions:read")  # fmt: skip


@dataclass
class Emulated:
    """A Slack at ``base``, for a bot that listens at ``bot_port``. ``calls`` are what the bot asked and was answered:
    method, arguments, answer."""

    base: str
    inner: str
    bot_port: int
    session: aiohttp.ClientSession
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    team: str = "T000000001"

    @property
    def api_url(self) -> str:
        """The address for PILEUP_SLACK_API_URL."""
        return f"{self.base}/api/"

    async def call(self, method: str, token: str = ANNA_TOKEN, **given: Any) -> dict[str, Any]:
        """What a method answers. Raises: AssertionError: it refuses."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.post(f"{self.inner}/api/{method}", json=given, headers=headers) as answer:
            said: dict[str, Any] = await answer.json()
        assert said["ok"], (method, said)
        return said

    async def say(self, channel: str, text: str, **more: Any) -> str:
        """Anna says something; its time stamp."""
        return str((await self.call("chat.postMessage", channel=channel, text=text, **more))["ts"])

    async def thread(self, channel: str, ts: str) -> list[dict[str, Any]]:
        """The replies of the bot in a thread."""
        said = await self.call("conversations.replies", BOT_TOKEN, channel=channel, ts=ts)
        return [message for message in said["messages"] if message["user"] == BOT]

    async def upload(self, channel: str, name: str, content: bytes) -> str:
        """Anna posts a file; the time stamp of its message."""
        begun = await self.call("files.getUploadURLExternal", filename=name, length=len(content))
        async with self.session.post(begun["upload_url"], data=content) as answer:
            assert answer.status == 200
        files = [{"id": begun["file_id"], "title": name}]
        done = await self.call("files.completeUploadExternal", files=files, channel_id=channel)
        shares: dict[str, dict[str, list[dict[str, str]]]] = done["files"][0]["shares"]
        return next(place[0]["ts"] for kind in shares.values() for place in kind.values())

    async def trigger(self) -> str:
        """What comes with something that Anna does, and opens one window within three seconds."""
        given = {"user_id": self.people["anna"]}
        return str((await self.call("views.generateTriggerId", BOT_TOKEN, **given))["trigger_id"])

    async def subscribe(self, url: str) -> None:
        """Events go to this address from now on, signed: those that the manifest asks for."""
        events = sorted({"message" if name.startswith("message.") else name for name in bot_events()})
        async with self.session.post(f"{self.inner}/subscribe", json={"url": url, "events": events}) as answer:
            assert answer.status == 200

    def refused(self) -> list[tuple[str, Any]]:
        """The calls of the bot that were not answered with ok."""
        return [(method, answer.get("error")) for method, _, answer in self.calls if not answer.get("ok")]

    async def look_around(self) -> Self:
        """Find out which ids it chose, and take the bot into the channels, as somebody does after installing it."""
        for user in (await self.call("users.list"))["members"]:
            self.people[user["name"]] = user["id"]
        for channel in (await self.call("conversations.list"))["channels"]:
            self.channels[channel["name"]] = channel["id"]
            if channel["is_member"]:
                await self.call("conversations.invite", channel=channel["id"], users=BOT)
        return self


@asynccontextmanager
async def emulated(*, scopes: tuple[str, ...] | None = None, seeded: bool = True) -> AsyncIterator[Emulated]:
    """emulate, running until the block ends. ``scopes`` are the bot's, those of its manifest unless told otherwise;
    not ``seeded``, nobody has installed it yet.

    Skips the test where emulate cannot be had.
    """
    node, place = await asyncio.to_thread(installed)
    port = free_port()
    async with aiohttp.ClientSession() as session, _front(session, f"http://127.0.0.1:{port}") as slack:
        process = await asyncio.create_subprocess_exec(
            node.program, str(HERE / "server.mjs"), str(place),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            seed = {"slack": _seed(slack.bot_port, bot_scopes() if scopes is None else scopes, seeded=seeded)}
            order = json.dumps({"port": port, "baseUrl": slack.base, "seed": seed})
            process.stdin.write(order.encode() + b"\n")
            ready = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
            assert ready == b"ready\n"
            yield await slack.look_around()
        finally:
            process.stdin.close()
            await process.wait()


def _seed(bot_port: int, scopes: tuple[str, ...], *, seeded: bool) -> dict[str, Any]:
    app = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "app_id": "A0PILEUP02",
        "name": "Pileup",
        "redirect_uris": [f"http://127.0.0.1:{bot_port}/slack/oauth_redirect"],
        "scopes": list(scopes),
        "bot_id": "B0PILEUP02",
        "bot_user_id": BOT,
        "bot_name": "pileup",
    }
    bot = {"token": BOT_TOKEN, "type": "bot", "user_id": BOT, "scopes": list(scopes), "app_id": app["app_id"]}
    return {
        "team": {"name": "Second", "domain": "second"},
        "users": [{"name": "anna", "real_name": "Anna"}, {"name": "ben", "real_name": "Ben"}],
        "channels": [{"name": "crashes"}, {"name": "lab"}],
        "oauth_apps": [app],
        "tokens": [
            {"token": ANNA_TOKEN, "type": "user", "user": "anna", "scopes": list(_PERSON)},
            *([bot | {"bot_id": app["bot_id"], "bot_user_id": BOT}] if seeded else []),
        ],
        "strict_scopes": True,
        "signing_secret": SECRET,
    }


@asynccontextmanager
async def _front(session: aiohttp.ClientSession, inner: str) -> AsyncIterator[Emulated]:
    # Slack takes arguments from query, form and body, slack_sdk uses all three, emulate reads bodies only.
    app = web.Application(client_max_size=64 << 20)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    slack = Emulated("", inner, free_port(), session)

    async def forward(request: web.Request) -> web.StreamResponse:
        return await _forward(slack, request)

    app.router.add_route("*", "/{way:.*}", forward)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield slack
    finally:
        await runner.cleanup()


async def _forward(slack: Emulated, request: web.Request) -> web.StreamResponse:
    headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
    body, way = await request.read(), request.path_qs
    method = request.match_info["way"].removeprefix("api/") if request.path.startswith("/api/") else ""
    given: dict[str, Any] = {**request.query, **_arguments(request.content_type, body)}
    verb = request.method
    if method and (request.query or verb == "GET"):
        body, way, verb = urlencode(given).encode(), request.path, "POST"
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with slack.session.request(
        verb, f"{slack.inner}{way}", data=body or None, headers=headers, allow_redirects=False
    ) as answer:
        content = await answer.read()
        if method:
            is_json = answer.content_type == "application/json"
            said = json.loads(content) if is_json else {"ok": False, "error": f"status {answer.status}"}
            slack.calls.append((method, given, said))
        kept = {name: answer.headers[name] for name in ("Content-Type", "Location") if name in answer.headers}
        return web.Response(status=answer.status, body=content, headers=kept)


def _arguments(content_type: str, body: bytes) -> Mapping[str, Any]:
    if content_type == "application/json" and body:
        found: dict[str, Any] = json.loads(body)
        return found
    is_form = content_type == "application/x-www-form-urlencoded"
    return dict(parse_qsl(body.decode(), keep_blank_values=True)) if is_form else {}
