"""The stand-in as a running server, on a loopback port unless told otherwise."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from bot.sandbox.api import APP_TOKEN, BOT_TOKEN, Api, Call
from bot.sandbox.deliveries import Deliveries, Delivery
from bot.sandbox.events import events_of, home_opened
from bot.sandbox.faults import Faults
from bot.sandbox.file_store import add_files
from bot.sandbox.grants import Grants
from bot.sandbox.payloads import Given, action_of, command_of, press_of, shortcut_of, submission_of, view_press_of
from bot.sandbox.signed_http import SignedHttp
from bot.sandbox.socket_mode import ACK_SECONDS, SocketMode
from bot.sandbox.subscriptions import hears
from bot.sandbox.workspace import Channel, Message, View, Whisper, Workspace

MAX_BODY = 64 << 20

__all__ = ["APP_TOKEN", "BOT_TOKEN", "Call", "StandIn"]


class StandIn:
    """Use as ``async with StandIn() as slack``. ``scopes`` None grants all, ``events`` None subscribes to all."""

    def __init__(
        self,
        workspace: Workspace | None = None,
        faults: Faults | None = None,
        *,
        scopes: frozenset[str] | None = None,
        events: frozenset[str] | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        pages: Callable[["StandIn", web.Application], None] | None = None,
    ) -> None:
        self.workspace = workspace or Workspace()
        self.faults = faults or Faults()
        self.socket_mode = SocketMode(self.workspace, self.faults)
        self.deliveries = Deliveries(self.workspace, self.faults, self.socket_mode)
        self.others: dict[str, Deliveries] = {}  # of further workspaces, by id
        self.workspaces = [self.workspace]
        self.base = ""
        self._port = port
        self._host = host
        self._api = Api(self.workspace, self.faults, self.socket_mode.open_ticket, scopes)
        self.deliveries.hears = hears(self.workspace, scopes, events, self._api.used_scopes)
        self._app = web.Application(client_max_size=MAX_BODY)
        self._app.router.add_route("*", "/api/{method}", self._api.handle)
        self._app.router.add_get("/link/", self.socket_mode.serve)
        self._app.router.add_post("/respond/{channel}/{user}", self._respond)
        add_files(self._app, self.workspaces, self._api)
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
        self.deliveries.over_http = http

    def press(self, channel: str, ts: str, action: str, user: str, chosen: str | list[str] | None = None) -> Delivery:
        """A person presses a button of a message, or chooses something. Raises: KeyError: there is no such action."""
        place = self.workspace.channels[channel]
        message = place.messages[ts]
        words = [chosen] if isinstance(chosen, str) else chosen or []
        used = action_of(message.blocks, action, words)
        return self.deliveries.interact(press_of(self.workspace, place, message, user, used))

    def press_view(
        self, view: View, action: str, chosen: list[str] | None = None, given: Given | None = None
    ) -> Delivery:
        """Whose window or home tab it is presses a button there, or chooses something; ``given`` is what else is filled
        in. Raises: KeyError: there is no such action."""
        used = action_of(view.content["blocks"], action, chosen or [])
        return self.deliveries.interact(view_press_of(self.workspace, view, used, given or {}))

    def command(self, channel: str, user: str, text: str) -> Delivery:
        """A person types the slash command. Raises: KeyError for an unknown channel or user."""
        self._api.need("commands")
        payload = command_of(self.workspace, self.workspace.channels[channel], user, text)
        return self.deliveries.interact(payload, "slash_commands")

    def shortcut(self, channel: str, ts: str, callback: str, user: str) -> Delivery:
        """A person uses a shortcut of a message. Raises: KeyError for an unknown channel, message or user."""
        self._api.need("commands")
        place = self.workspace.channels[channel]
        return self.deliveries.interact(shortcut_of(self.workspace, place, place.messages[ts], user, callback))

    def open_home(self, user: str) -> Delivery:
        """A person looks at the app's home tab. Raises: StopIteration: who has no direct messages with it."""
        direct = next(c for c in self.workspace.channels.values() if c.is_im and user in c.members)
        return self.deliveries.emit(home_opened(self.workspace, direct, user))

    async def submit(self, view_id: str, values: Given) -> Delivery:
        """A person sends a form. It closes, or shows what must be mended. Raises: KeyError, TimeoutError: no answer."""
        view = self.workspace.views[view_id]
        delivery = self.deliveries.interact(submission_of(self.workspace, view, values))
        async with asyncio.timeout(ACK_SECONDS):
            while delivery.acked_after is None:  # noqa: ASYNC110  # any of its attempts counts
                await asyncio.sleep(0.01)
        said = delivery.answer or {}
        if said.get("response_action") == "errors":
            self.workspace.refuse_form(view, said["errors"])
        else:
            self.workspace.close_view(view)
        return delivery

    def join(self, workspace: Workspace) -> Deliveries:
        """A further workspace: what is sent to the app from there."""
        deliveries = Deliveries(workspace, self.faults, self.socket_mode)
        deliveries.over_http = self.deliveries.over_http

        def changed(what: str, channel: Channel, message: Message) -> None:
            for event in events_of(workspace, what, channel, message):
                deliveries.emit(event)

        workspace.base = self.base
        workspace.listeners.append(changed)
        self.workspaces.append(workspace)
        self.others[workspace.team_id] = deliveries
        return deliveries

    @property
    def grants(self) -> Grants:
        """The app's tokens."""
        return self._api.grants

    @property
    def used_scopes(self) -> set[str]:
        """The scopes that the calls needed, granted or not."""
        return self._api.used_scopes

    @property
    def calls(self) -> list[Call]:
        """Every call of a method so far."""
        return self._api.calls

    def calls_of(self, method: str, *, ok: bool = True) -> list[Call]:
        """The calls of one method, only the successful ones unless told otherwise."""
        return [call for call in self._api.calls if call.method == method and (not ok or call.error is None)]

    async def start(self) -> Self:
        """Listen. Raises: OSError when the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base = self.workspace.base = f"http://{self._host}:{port}/"
        self.workspace.listeners.append(self._changed)
        return self

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._changed in self.workspace.listeners:
            self.workspace.listeners.remove(self._changed)
        for deliveries in (self.deliveries, *self.others.values()):
            await deliveries.close()
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
            self.deliveries.emit(event)

    async def _respond(self, request: web.Request) -> web.Response:
        # The address that comes with a command or a shortcut: what is posted there one person sees, by default.
        said = await request.json()
        if said.get("response_type", "ephemeral") != "ephemeral":
            return web.Response(status=400, text="only to the person alone")
        place = request.match_info
        self.workspace.whisper(Whisper(place["channel"], place["user"], str(said.get("text", "")), None))
        return web.Response(text="ok")
