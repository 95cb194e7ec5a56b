"""Dumps that somebody posted to the web pages or the API: their files on the disk, and the jobs that read them.

The same jobs, children and limits as for links. One that is to be told to a channel is announced there first, and told
below that; another is told to nobody, and is seen in history by those it belongs to.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.fingerprint import IDENTITY_BYTES, identity_of
from bot import urgency
from bot.conversation import Conversation
from bot.fetch.download import Fetched
from bot.fetch.problems import FetchFailed
from bot.listeners.intake import ANALYZE
from bot.outbound import Message
from bot.shelf import FILE, Shelf, ShelfFailed
from bot.slack_text import render
from bot.tools import Tools
from bot.webhooks.owing import owe
from storage.jobs import Job, NewJob

POSTED = "posted"  # the kind of jobs that announce a dump in a channel, so that it can be told below that


@dataclass(frozen=True, slots=True)
class Arrival:
    """A dump that came in: its upload's id, under which name, and what was found on the way."""

    id: str
    name: str
    size: int
    sha256: str
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """Whom it is for: the places in history that see it, and the channel that is told, if any; by whom: a person of
    Slack, or what else ``by`` names."""

    places: tuple[str, ...]
    by: str
    team: str = ""
    channel: str | None = None
    person: str | None = None


class Unspoken(Conversation):
    """A talk with nobody."""

    async def begin(self, stage: str) -> str | None:  # noqa: ARG002
        """Nothing is posted."""
        return None

    def progress(self, stage: str, fraction: float | None, detail: str = "") -> None:
        """Nobody watches."""

    async def end(self, message: Message, *, fine: bool) -> str:  # noqa: ARG002
        """Nobody is told."""
        return ""

    async def ask(self, message: Message) -> None:
        """Nobody is asked."""

    async def withdraw(self, message: Message) -> None:
        """Nothing was said."""


def job_for(arrival: Arrival, wishes: Wishes) -> NewJob:
    """The job that reads it, or that announces it first."""
    place = {"team": wishes.team, "channel": wishes.channel or "", "ts": arrival.id, "thread": arrival.id}
    payload: dict[str, Any] = {
        **place,
        "shown": arrival.name,
        "posted": arrival.id,
        "sha256": arrival.sha256,
        "places": list(wishes.places),
        "by": wishes.by,
        "person": wishes.person or "",
    }
    secret = f"posted {arrival.id}\n{arrival.password}" if arrival.password else f"posted {arrival.id}"
    priority = urgency.of_dump(arrival.name, arrival.size)
    key = f"posted:{arrival.id}"
    if wishes.channel is not None:
        return NewJob(f"{key}:announced", payload, POSTED, secret, priority=priority)
    return NewJob(key, payload | {"untold": "yes"}, ANALYZE, secret, priority=priority)


async def announce(tools: Tools, job: Job) -> None:
    """Say in its channel that a dump came in, and ask for its analysis below that.

    Raises:
        Refused, Unreachable.
    """
    asked = job.payload
    post = await asyncio.to_thread(tools.store.posts.claim, job.key, "announced")
    ts = post.ts
    if ts is None:
        people = [asked["person"]] if asked["person"] else []
        said = render("posted", people, shown=asked["shown"], by=asked["by"], person=asked["person"])
        ts = await tools.sender.post(asked["channel"], None, said, job.key)
        await asyncio.to_thread(tools.store.posts.sent, job.key, "announced", asked["channel"], ts)
    key = f"{asked['team']}:{asked['channel']}:{ts}:posted"
    payload = {**asked, "ts": ts, "thread": ts}
    then = NewJob(key, payload, ANALYZE, job.secret, priority=job.priority, channel=asked["channel"])
    await asyncio.to_thread(tools.store.uploads.pass_on, asked["posted"], then)
    await asyncio.to_thread(tools.store.jobs.finish, job)


def opened(shelf: Shelf, payload: dict[str, Any], directory: Path) -> Fetched:
    """The file of an upload in the job's own directory; it stays where it came in, too, for whoever runs the job next.

    Raises:
        FetchFailed: it is not there, or the object store does not give it.
        OSError.
    """
    target = directory / FILE
    try:
        shelf.bring(payload["posted"], target)
    except FileNotFoundError as error:
        said = "the posted file is not here: PILEUP_UPLOADS is to be a place that all workers see"
        raise FetchFailed("network", said) from error
    except ShelfFailed as error:
        raise FetchFailed("network", f"the store of posted dumps could not be read: {error}") from error
    size = target.stat().st_size
    with target.open("rb") as file:
        head = file.read(IDENTITY_BYTES)
    return Fetched(target, size, payload["sha256"], identity_of(size, head), payload["shown"], 0.0)


def numbers(memory: dict[str, Any]) -> list[int]:
    """The reports that a job found, from what it remembers."""
    found = [memory.get("report"), *(number for _, number, _ in memory.get("dumps", ()))]
    return [number for number in found if number is not None]


async def show(tools: Tools, job: Job) -> None:
    """Let those see what came of an upload to whom it belongs."""
    now = await asyncio.to_thread(tools.store.jobs.get, job.id)
    asked = job.payload
    if now is not None and (found := numbers(now.memory)):
        await asyncio.to_thread(tools.store.uploads.show, found, asked["team"], asked["places"], asked["shown"])
        for number in found:
            await asyncio.to_thread(owe, tools.store, number)


async def tidy(tools: Tools, job: Job) -> None:
    """Delete the file of an upload that no job reads any more."""
    upload = job.payload.get("posted")
    if upload is None:
        return
    now = await asyncio.to_thread(tools.store.jobs.get, job.id)
    has_ended = now is None or now.state in ("done", "failed")
    is_passed_on = job.kind == POSTED and now is not None and now.state == "done"
    if has_ended and not is_passed_on:
        await asyncio.to_thread(tools.shelf.remove, upload)
