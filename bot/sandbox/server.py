"""The stand-in as a running server on a loopback port."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from bot.sandbox.arguments import Arguments, read_arguments, typed
from bot.sandbox.errors import SlackError
from bot.sandbox.faults import Faults
from bot.sandbox.methods import METHODS, Caller
from bot.sandbox.signed_http import SignedHttp
from bot.sandbox.socket_mode import (
    ACK_SECONDS,
    Delivery,
    SocketMode,
    command_of,
    events_of,
    press_of,
    shortcut_of,
    submission_of,
)
from bot.sandbox.workspace import Channel, Message, Whisper, Workspace

BOT_TOKEN = "xoxb-sandbox-bot"  # noqa: S105  # the stand-in's own, worth nothing elsewhere
APP_TOKEN = "xapp-sandbox-app"  # noqa: S105
MAX_BODY = 64 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method as it was answered. ``at`` is monotonic seconds; ``error`` is None for ok."""

    at: float
    method: str
    arguments: Arguments = field(repr=False)
    error: str | None
    answer: dict[str, Any] = field(repr=False)


class StandIn:
    """Use as ``async with StandIn() as slack``. ``scopes`` None grants everything."""

    def __init__(
        self,
        workspace: Workspace | None = None,
        faults: Faults | None = None,
        *,
        scopes: frozenset[str] | None = None,
        port: int = 0,
        pages: Callable[["StandIn", web.Application], None] | None = None,
    ) -> None:
        self.workspace = workspace or Workspace()
        self.faults = faults or Faults()
        self.socket_mode = SocketMode(self.workspace, self.faults)
        self.calls: list[Call] = []
        self.base = ""
        self._scopes = scopes
        self._port = port
        self._app = web.Application(client_max_size=MAX_BODY)
        self._app.router.add_route("*", "/api/{method}", self._api)
        self._app.router.add_get("/link/", self.socket_mode.serve)
        self._app.router.add_post("/respond/{channel}/{user}", self._respond)
        self._app.router.add_post("/upload/v1/{file}", self._upload)
        self._app.router.add_get("/files-pri/{file}/download", self._download)
        if pages is not None:
            pages(self, self._app)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)

    @property
    def api_url(self) -> str:
        """The address for PILEUP_SLACK_API_URL."""
        return f"{self.base}api/"

    async def use_http(self, url: str, secret: str) -> None:
        """Deliver to this address from now on, after the handshake that Slack does when one is entered.

        Raises:
            ValueError: the app does not answer the challenge.
        """
        http = SignedHttp(url, secret)
        answer = await http.post("events_api", {"type": "url_verification", "token": "t", "challenge": "c7"}, 0)
        if answer != (200, {"challenge": "c7"}):
            raise ValueError(f"the address answered {answer}")
        self.socket_mode.over_http = http

    def press(self, channel: str, ts: str, action: str, user: str, chosen: str | None = None) -> Delivery:
        """A person presses a button of a message, or chooses somebody. Raises: KeyError: there is no such action."""
        place = self.workspace.channels[channel]
        message = place.messages[ts]
        buttons = {
            element["action_id"]: element
            for block in message.blocks
            if block["type"] == "actions"
            for element in block["elements"]
        }
        pressed = buttons[action] | ({} if chosen is None else {"selected_user": chosen})
        return self.socket_mode.interact(press_of(self.workspace, place, message, user, pressed))

    def command(self, channel: str, user: str, text: str) -> Delivery:
        """A person types the slash command. Raises: KeyError for an unknown channel or user."""
        payload = command_of(self.workspace, self.workspace.channels[channel], user, text)
        return self.socket_mode.interact(payload, "slash_commands")

    def shortcut(self, channel: str, ts: str, callback: str, user: str) -> Delivery:
        """A person uses a shortcut of a message. Raises: KeyError for an unknown channel, message or user."""
        place = self.workspace.channels[channel]
        return self.socket_mode.interact(shortcut_of(self.workspace, place, place.messages[ts], user, callback))

    async def submit(self, view_id: str, values: dict[str, str]) -> Delivery:
        """A person sends a form. It closes, or shows what must be mended. Raises: KeyError, TimeoutError: no answer."""
        view = self.workspace.views[view_id]
        delivery = self.socket_mode.interact(submission_of(self.workspace, view, values))
        async with asyncio.timeout(ACK_SECONDS):
            while delivery.acked_after is None:  # noqa: ASYNC110  # any of its attempts counts
                await asyncio.sleep(0.01)
        said = delivery.answer or {}
        if said.get("response_action") == "errors":
            view.errors = said["errors"]
        elif self.workspace.views.get(view_id) is view:
            del self.workspace.views[view_id]
        return delivery

    def calls_of(self, method: str, *, ok: bool = True) -> list[Call]:
        """The calls of one method, only the successful ones unless told otherwise."""
        return [call for call in self.calls if call.method == method and (not ok or call.error is None)]

    async def start(self) -> Self:
        """Listen. Raises: OSError when the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base = self.workspace.base = f"http://127.0.0.1:{port}/"
        self.workspace.listeners.append(self._changed)
        return self

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._changed in self.workspace.listeners:
            self.workspace.listeners.remove(self._changed)
        await self.socket_mode.close()
        await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _changed(self, what: str, channel: Channel, message: Message) -> None:
        for event in events_of(self.workspace, what, channel, message):
            self.socket_mode.emit(event)

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if self.faults.slow_seconds:
            await asyncio.sleep(self.faults.slow_seconds)
        wait = self.faults.retry_after(method)
        if wait is not None:
            self._record(method, {}, "ratelimited", {})
            limited = {"ok": False, "error": "ratelimited"}
            return web.json_response(limited, status=429, headers={"Retry-After": str(wait)})
        planned = self.faults.planned(method)
        arguments: Arguments = {}
        try:
            arguments = await read_arguments(request)
            if planned is not None and not planned.after_doing:
                raise SlackError(planned.error)  # noqa: TRY301  # one way out for every refusal
            answer = {"ok": True} | self._answer(method, _token(request, arguments), arguments)
        except SlackError as error:
            self._record(method, arguments, error.word, {})
            refused: dict[str, Any] = {"ok": False, "error": error.word}
            if error.messages:
                refused["response_metadata"] = {"messages": list(error.messages)}
            return web.json_response(refused)
        self._record(method, arguments, None, answer)
        if planned is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response(answer)

    def _answer(self, method: str, token: str, given: Arguments) -> dict[str, Any]:
        if method == "apps.connections.open":
            self._check_token(token, APP_TOKEN)
            address = self.base.replace("http://", "ws://")
            return {"url": f"{address}link/?ticket={self.socket_mode.open_ticket()}&app_id={self.workspace.app_id}"}
        known = METHODS.get(method)
        if known is None:
            raise SlackError("unknown_method")
        self._check_token(token, BOT_TOKEN)
        if self._scopes is not None and known.scope is not None and known.scope not in self._scopes:
            raise SlackError("missing_scope", (f"needed: {known.scope}",))
        return known.run(Caller(self.workspace, self.base), typed(given, known.kinds, known.required))

    def _check_token(self, token: str, wanted: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if self.faults.invalid_auth or token not in (BOT_TOKEN, APP_TOKEN):
            raise SlackError("invalid_auth")
        if token != wanted:
            raise SlackError("not_allowed_token_type")

    def _record(self, method: str, arguments: Arguments, error: str | None, answer: dict[str, Any]) -> None:
        shown = {name: value for name, value in arguments.items() if name != "token"}
        self.calls.append(Call(time.monotonic(), method, shown, error, answer))

    async def _respond(self, request: web.Request) -> web.Response:
        # The address that comes with a command or a shortcut: what is posted there one person sees, by default.
        said = await request.json()
        if said.get("response_type", "ephemeral") != "ephemeral":
            return web.Response(status=400, text="only to the person alone")
        place = request.match_info
        self.workspace.whispers.append(Whisper(place["channel"], place["user"], str(said.get("text", "")), None))
        return web.Response(text="ok")

    async def _upload(self, request: web.Request) -> web.Response:
        file = self.workspace.files.get(request.match_info["file"])
        if file is None or file.uploaded:
            return web.Response(status=404, text="unknown upload")
        file.content = await _body(request)
        if len(file.content) != file.size:
            return web.Response(status=400, text=f"{file.size} bytes announced, {len(file.content)} came")
        file.uploaded = True
        return web.Response(text=f"OK - {file.size}")

    async def _download(self, request: web.Request) -> web.Response:
        file = self.workspace.files.get(request.match_info["file"])
        if file is None or not file.completed:
            return web.Response(status=404)
        may_read = self._scopes is None or "files:read" in self._scopes
        if _token(request, {}) != BOT_TOKEN or not may_read:
            # The real one answers 200 with a login page here, and so does this.
            return web.Response(text="<html><body>Sign in</body></html>", content_type="text/html")
        return web.Response(body=file.content, content_type="application/octet-stream")


async def _body(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    for value in (await request.post()).values():
        if isinstance(value, web.FileField):
            return value.file.read()
    return b""


def _token(request: web.Request, arguments: Arguments) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else str(arguments.get("token", ""))
