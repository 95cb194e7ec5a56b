"""Buttons below our messages: which there are, and what a press does. A press is acknowledged first, then done.

A new button is a row of ``ACTIONS``; its value names what it is about and is checked against history, never believed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.listeners.intake import Rules
from bot.stopping import Stops, stop_jobs
from storage.store import Store

STOP = "stop"


@dataclass(frozen=True, slots=True)
class Desk:
    """What an action works with."""

    store: Store
    stops: Stops


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button as it was pressed: which, its value, by whom, in which channel."""

    action: str
    value: str
    user: str
    channel: str


def pressed(body: Mapping[str, Any], rules: Rules) -> Pressed | None:
    """What was pressed, or None for a button of somebody else's or a person the bot does not listen to."""
    actions = body.get("actions") or [{}]
    action, value = actions[0].get("action_id"), actions[0].get("value")
    user = (body.get("user") or {}).get("id") or ""
    channel = (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id") or ""
    if action not in ACTIONS or not isinstance(value, str) or (rules.users and user not in rules.users):
        return None
    return Pressed(action, value, user, channel)


async def _stop(desk: Desk, press: Pressed) -> None:
    jobs = [
        job
        for job in desk.store.jobs.active()
        if (str(job.id), job.payload.get("channel")) == (press.value, press.channel)
    ]
    await stop_jobs(desk.store, desk.stops, jobs, "asked")


ACTIONS: dict[str, Callable[[Desk, Pressed], Awaitable[None]]] = {STOP: _stop}
