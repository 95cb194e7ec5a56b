"""Events and how they are delivered. Socket Mode: one WebSocket a client, events in envelopes, each to be acknowledged
within three seconds; or signed HTTP, where an address is set.

An envelope that is not acknowledged comes again, on whatever connection is open then; an event for which no
connection is open waits for one. Source: docs.slack.dev/apis/events-api/using-socket-mode.
"""

import asyncio
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from bot.sandbox.faults import Faults
from bot.sandbox.signed_http import SignedHttp
from bot.sandbox.workspace import Channel, Message, View, Workspace

ACK_SECONDS = 3.0
MAX_ATTEMPTS = 4  # the first delivery and three retries


@dataclass(slots=True)
class Delivery:
    """An event on its way: ``acked_after`` is seconds from the last sending, None while nobody acknowledged.

    ``answer`` is what came with the acknowledgement.
    """

    event_id: str
    payload: dict[str, Any]
    kind: str = "events_api"
    attempts: int = 0
    sent_at: float = 0.0
    acked_after: float | None = None
    given_up: bool = False
    answer: dict[str, Any] | None = None


class SocketMode:
    """The event side of the stand-in."""

    def __init__(self, workspace: Workspace, faults: Faults) -> None:
        self.deliveries: list[Delivery] = []
        self.connections: list[web.WebSocketResponse] = []
        self.over_http: SignedHttp | None = None  # where deliveries go instead of to a connection
        self._workspace = workspace
        self._faults = faults
        self._tickets: set[str] = set()
        self._waiting: dict[str, tuple[Delivery, asyncio.Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self._transports: dict[web.WebSocketResponse, asyncio.Transport | None] = {}

    def open_ticket(self) -> str:
        """A ticket for one connection."""
        ticket = secrets.token_urlsafe(12)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One WebSocket, from hello to its end."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=401)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        self.connections.append(socket)
        self._transports[socket] = request.transport
        await socket.send_json(
            {
                "type": "hello",
                "num_connections": len(self.connections),
                "debug_info": {"host": "sandbox", "approximate_connection_time": 3600},
                "connection_info": {"app_id": self._workspace.app_id},
            }
        )
        self._connected.set()
        try:
            async for frame in socket:
                if frame.type == WSMsgType.TEXT:
                    self._acknowledge(frame.data)
        finally:
            self.connections.remove(socket)
            del self._transports[socket]
            if not self.connections:
                self._connected.clear()
        return socket

    async def drop_all(self) -> None:
        """Cut every connection without a word, as a network does."""
        for socket in list(self.connections):
            transport = self._transports.get(socket)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)

    async def refresh_all(self) -> None:
        """Announce a refresh and close, as Slack does every few hours."""
        for socket in list(self.connections):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested", "debug_info": {}})

    def emit(self, event: dict[str, Any]) -> Delivery:
        """Send an event to the app; with the redelivery fault it comes twice."""
        event_id = self._workspace.new_id("Ev")
        payload = {
            "token": "sandbox",
            "team_id": self._workspace.team_id,
            "api_app_id": self._workspace.app_id,
            "event": event,
            "type": "event_callback",
            "event_id": event_id,
            "event_time": int(time.time()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": self._workspace.team_id,
                    "user_id": self._workspace.bot.id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }
        delivery = Delivery(event_id, payload)
        self._start(delivery)
        if self._faults.redeliver:
            self._start(Delivery(event_id, payload))
        return delivery

    def interact(self, payload: dict[str, Any], kind: str = "interactive") -> Delivery:
        """Send what a person did with a button, a form, a shortcut, or with "slash_commands" a command."""
        delivery = Delivery(self._workspace.new_id("Ia"), payload, kind)
        self._start(delivery)
        return delivery

    async def close(self) -> None:
        """Stop delivering and close every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in list(self.connections):
            await socket.close()

    def _start(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, delivery: Delivery, http: SignedHttp) -> None:
        for wait in (0.0, *http.retries):
            await asyncio.sleep(wait)
            delivery.attempts += 1
            delivery.sent_at = time.monotonic()
            try:
                status, answer = await http.post(delivery.kind, delivery.payload, delivery.attempts - 1)
            except (aiohttp.ClientError, TimeoutError, OSError):
                status, answer = 0, None
            if status == 200 and not self._faults.deaf:
                delivery.answer, delivery.acked_after = answer, time.monotonic() - delivery.sent_at
                return
            if delivery.kind != "events_api":
                break  # what a person did is not sent again: Slack shows that it failed
        delivery.given_up = True

    async def _deliver(self, delivery: Delivery) -> None:
        if self.over_http is not None:
            await self._post(delivery, self.over_http)
            return
        while delivery.attempts < MAX_ATTEMPTS:
            await self._connected.wait()
            envelope = secrets.token_hex(16)
            acked = asyncio.Event()
            self._waiting[envelope] = (delivery, acked)
            body = {
                "envelope_id": envelope,
                "type": delivery.kind,
                "accepts_response_payload": delivery.kind != "events_api",
                "payload": delivery.payload,
                "retry_attempt": delivery.attempts,
                "retry_reason": "timeout" if delivery.attempts else "",
            }
            delivery.attempts += 1
            delivery.sent_at = time.monotonic()
            try:
                await self.connections[-1].send_str(json.dumps(body))
                await asyncio.wait_for(acked.wait(), ACK_SECONDS)
            except (TimeoutError, ConnectionError, IndexError):
                continue
            finally:
                self._waiting.pop(envelope, None)
            return
        delivery.given_up = True

    def _acknowledge(self, text: str) -> None:
        if self._faults.deaf:
            return
        try:
            frame = json.loads(text)
        except ValueError:
            return
        envelope = frame.get("envelope_id", "")
        found = self._waiting.get(envelope)
        if found is not None:
            delivery, acked = found
            delivery.acked_after = time.monotonic() - delivery.sent_at
            delivery.answer = frame.get("payload")
            acked.set()


def press_of(
    workspace: Workspace, channel: Channel, message: Message, user: str, button: dict[str, Any]
) -> dict[str, Any]:
    """The payload of a pressed button, or of a person chosen in its ``selected_user``.

    Source: docs.slack.dev/reference/interaction-payloads/block_actions-payload.
    """
    now = workspace.new_ts()
    place = {"message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False}
    return {
        "type": "block_actions",
        "user": {"id": user, "username": workspace.users[user].name, "team_id": workspace.team_id},
        "api_app_id": workspace.app_id,
        "token": "sandbox",
        "container": {"type": "message", **place} | ({"thread_ts": message.thread_ts} if message.thread_ts else {}),
        "trigger_id": workspace.new_trigger(user),
        "team": {"id": workspace.team_id, "domain": "sandbox"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.id, "name": channel.name},
        "message": message.to_json(),
        "state": {"values": {}},
        "actions": [{"block_id": "b", "action_ts": now, **button}],
    }


def submission_of(workspace: Workspace, view: View, values: dict[str, str]) -> dict[str, Any]:
    """The payload of a form that was sent: every field of it, those left empty as None.

    Source: docs.slack.dev/reference/interaction-payloads/view-interactions-payload.
    """
    state = {
        block["block_id"]: {
            block["element"]["action_id"]: {
                "type": "plain_text_input",
                "value": values.get(block["block_id"], block["element"].get("initial_value")) or None,
            }
        }
        for block in view.content["blocks"]
        if block["type"] == "input"
    }
    return {
        "type": "view_submission",
        "team": {"id": workspace.team_id, "domain": "sandbox"},
        "user": {"id": view.user, "username": workspace.users[view.user].name, "team_id": workspace.team_id},
        "api_app_id": workspace.app_id,
        "token": "sandbox",
        "trigger_id": workspace.new_trigger(view.user),
        "view": view.to_json() | {"state": {"values": state}},
        "response_urls": [],
        "is_enterprise_install": False,
        "enterprise": None,
    }


def command_of(workspace: Workspace, channel: Channel, user: str, text: str) -> dict[str, Any]:
    """The payload of a slash command. Source: docs.slack.dev/interactivity/implementing-slash-commands."""
    return {
        "command": "/pileup",
        "text": text,
        "team_id": workspace.team_id,
        "team_domain": "sandbox",
        "channel_id": channel.id,
        "channel_name": channel.name,
        "user_id": user,
        "user_name": workspace.users[user].name,
        "api_app_id": workspace.app_id,
        "token": "sandbox",
        "response_url": f"{workspace.base}respond/{channel.id}/{user}",
        "trigger_id": workspace.new_trigger(user),
        "is_enterprise_install": "false",
    }


def shortcut_of(workspace: Workspace, channel: Channel, message: Message, user: str, callback: str) -> dict[str, Any]:
    """The payload of a message's shortcut.

    Source: docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload.
    """
    return {
        "type": "message_action",
        "callback_id": callback,
        "trigger_id": workspace.new_trigger(user),
        "response_url": f"{workspace.base}respond/{channel.id}/{user}",
        "team": {"id": workspace.team_id, "domain": "sandbox"},
        "channel": {"id": channel.id, "name": channel.name},
        "user": {"id": user, "username": workspace.users[user].name, "team_id": workspace.team_id},
        "message": message.to_json(),
        "message_ts": message.ts,
        "action_ts": workspace.new_ts(),
        "token": "sandbox",
        "is_enterprise_install": False,
        "enterprise": None,
    }


def events_of(workspace: Workspace, what: str, channel: Channel, message: Message) -> list[dict[str, Any]]:
    """The events that an app in this channel gets for a change. A mention is two: app_mention and message."""
    if workspace.bot.id not in channel.members or what == "reacted":
        return []
    place = {"channel": channel.id, "channel_type": "im" if channel.is_im else "channel"}
    now = workspace.new_ts()
    if what == "edited":
        inner = {"message": message.to_json(), "previous_message": {"ts": message.ts}, "hidden": True}
        return [{"type": "message", "subtype": "message_changed", **inner, **place, "ts": now, "event_ts": now}]
    if what == "deleted":
        gone = {"deleted_ts": message.ts, "hidden": True, "previous_message": message.to_json()}
        return [{"type": "message", "subtype": "message_deleted", **gone, **place, "ts": now, "event_ts": now}]
    body = message.to_json() | {"team": workspace.team_id, "event_ts": message.ts}
    if message.files:
        body["subtype"] = "file_share"
    if message.thread_ts is None:
        body.pop("thread_ts", None)
    events = [body | place]
    if f"<@{workspace.bot.id}" in message.text and not channel.is_im and message.user != workspace.bot.id:
        events.insert(0, body | {"type": "app_mention", "channel": channel.id})
    return events
