"""What is on its way to the app, until somebody acknowledged it: over Socket Mode, or as signed HTTP where an address
is set. What nobody acknowledged within three seconds comes again.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from bot.sandbox.events import envelope
from bot.sandbox.faults import Faults
from bot.sandbox.signed_http import SignedHttp
from bot.sandbox.workspace import Workspace

MAX_ATTEMPTS = 4  # the first delivery and three retries


@dataclass(slots=True)
class Delivery:
    """Something on its way: ``acked_after`` is seconds from the last sending, None while nobody acknowledged.

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


class Line(Protocol):
    """Where deliveries go, unless an address is set."""

    async def carry(self, delivery: Delivery) -> bool:
        """Send a delivery once, as soon as there is somebody; whether it was acknowledged."""
        ...


class Deliveries:
    """Everything that was sent to the app, in ``all``. ``over_http`` takes the place of the line where it is set."""

    def __init__(self, workspace: Workspace, faults: Faults, line: Line) -> None:
        self.all: list[Delivery] = []
        self.hears: Callable[[dict[str, Any]], bool] = lambda _event: True
        self.over_http: SignedHttp | None = None
        self._workspace = workspace
        self._faults = faults
        self._line = line
        self._tasks: set[asyncio.Task[None]] = set()

    def emit(self, event: dict[str, Any]) -> Delivery:
        """Send an event to the app; with the redelivery fault it comes twice."""
        event_id = self._workspace.new_id("Ev")
        payload = envelope(self._workspace, event, event_id)
        if not self.hears(event):
            return Delivery(event_id, payload, given_up=True)
        delivery = self._start(Delivery(event_id, payload))
        if self._faults.is_redelivered():
            self._start(Delivery(event_id, payload))
        return delivery

    def interact(self, payload: dict[str, Any], kind: str = "interactive") -> Delivery:
        """Send what a person did with a button, a form, a shortcut, or with "slash_commands" a command."""
        return self._start(Delivery(self._workspace.new_id("Ia"), payload, kind))

    async def close(self) -> None:
        """Stop delivering."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, delivery: Delivery) -> Delivery:
        self.all.append(delivery)
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return delivery

    async def _deliver(self, delivery: Delivery) -> None:
        if self.over_http is not None:
            await self._post(delivery, self.over_http)
            return
        while delivery.attempts < MAX_ATTEMPTS:
            if await self._line.carry(delivery):
                return
        delivery.given_up = True

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
