"""Socket Mode: one WebSocket a client, deliveries in envelopes, each to be acknowledged within three seconds.

An envelope that is not acknowledged comes again, on whatever connection is open then; one for which no connection is
open waits for one. Source: docs.slack.dev/apis/events-api/using-socket-mode.
"""

import asyncio
import json
import secrets
import time

from aiohttp import WSMsgType, web

from bot.sandbox.deliveries import Delivery
from bot.sandbox.faults import Faults
from bot.sandbox.workspace import Workspace

ACK_SECONDS = 3.0


class SocketMode:
    """The connections of the app, and what waits for its acknowledgement on them."""

    def __init__(self, workspace: Workspace, faults: Faults) -> None:
        self.connections: list[web.WebSocketResponse] = []
        self._workspace = workspace
        self._faults = faults
        self._tickets: set[str] = set()
        self._waiting: dict[str, tuple[Delivery, asyncio.Event]] = {}
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

    async def refresh_all(self, reason: str = "refresh_requested") -> None:
        """Say that every connection ends, as Slack does every few hours; with "too_many_websockets" or "link_disabled"
        for other reasons."""
        for socket in list(self.connections):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    async def carry(self, delivery: Delivery) -> bool:
        """Send a delivery in an envelope, once somebody is connected; whether it was acknowledged in time."""
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
            return False
        finally:
            self._waiting.pop(envelope, None)
        return True

    async def close(self) -> None:
        """Close every connection."""
        for socket in list(self.connections):
            await socket.close()

    def _acknowledge(self, text: str) -> None:
        if self._faults.deaf:
            self._faults.unheard += 1
            return
        try:
            frame = json.loads(text)
        except ValueError:
            return
        found = self._waiting.get(frame.get("envelope_id", ""))
        if found is not None:
            delivery, acked = found
            delivery.acked_after = time.monotonic() - delivery.sent_at
            delivery.answer = frame.get("payload")
            acked.set()
