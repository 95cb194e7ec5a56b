"""From a request with a dump in its body to a job that reads it; the same for the API and for the form."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from bot.fetch.limits import FetchLimits
from bot.posted import POSTED, Arrival, Wishes, job_for
from bot.shelf import Directory, Shelf, ShelfFailed, file_of
from bot.web.uploads.multipart import Form
from bot.web.uploads.receiving import Received, Sink, Unwelcome, check_file, check_room, paced, shown_name
from storage import Store
from storage.jobs import Job
from storage.uploads import Quota, TooMany

log = logging.getLogger(__name__)

AROUND = 64 << 10  # bytes of a form around its file
MULTIPART = "multipart/form-data"

# Whether the fields that stand before a file let it in, and what is wished; raises Unwelcome.
Judge = Callable[[dict[str, str]], Wishes]


@dataclass(frozen=True, slots=True)
class Intake:
    """Where dumps come in: the directory, what they may cost, and who is told of new jobs. ``team`` is our workspace,
    ``channels`` those that the bot works in, none for any. ``shelf`` is where they go then, if not that directory."""

    store: Store
    uploads: Path
    limits: FetchLimits = field(default_factory=FetchLimits)
    quota: Quota = field(default_factory=Quota)
    team: str = ""
    channels: frozenset[str] = frozenset()
    announce: Callable[[], None] = lambda: None
    shelf: Shelf | None = None

    async def take(self, request: Request, owner: str, judge: Judge) -> str:
        """Receive the body of a request, a form with a file or the file itself; the upload's id, and its job exists.

        Raises:
            Unwelcome.
            starlette.requests.ClientDisconnect.
        """
        _check_headers(request, self.limits)
        try:
            upload = await asyncio.to_thread(self.store.uploads.begin, owner, "", self.quota)
        except TooMany as error:
            said = f"{self.quota.a_day} dumps a day" if error.a_day else f"{self.quota.at_once} dumps at the same time"
            raise Unwelcome(429, f"No more than {said} are taken.") from error
        place = file_of(self.uploads, upload)
        try:
            await asyncio.to_thread(_make_place, place.parent, self.limits)
            arrival, wishes = await self._receive(request, upload, place, judge)
            await asyncio.to_thread(check_file, place)
            await self._keep(upload)
            job = job_for(arrival, wishes)
            await asyncio.to_thread(self.store.uploads.received, upload, arrival.size, job, arrival.name)
        except BaseException:
            await asyncio.to_thread((self.shelf or Directory(self.uploads)).remove, upload)
            await asyncio.to_thread(self.store.uploads.drop, upload)
            raise
        await asyncio.to_thread(self._note, arrival, wishes)
        self.announce()
        return upload

    async def _keep(self, upload: str) -> None:
        if self.shelf is None:
            return
        try:
            await asyncio.to_thread(self.shelf.keep, upload)
        except ShelfFailed as error:
            log.warning("an upload was not taken: %s", error)
            raise Unwelcome(503, "The store of posted dumps cannot be reached; post it again later.") from error

    def _note(self, arrival: Arrival, wishes: Wishes) -> None:
        by, channel = wishes.person or wishes.by, wishes.channel or ""
        self.store.audit.note("upload", by, team=wishes.team, channel=channel, detail=arrival.name)

    async def ended(self, upload: str, seconds: float) -> Job | None:
        """The job of an upload, as it is when it has ended or the time is over."""
        until = asyncio.get_running_loop().time() + seconds
        while True:
            found = await asyncio.to_thread(self.store.uploads.get, upload)
            number = None if found is None else found.job
            job = None if number is None else await asyncio.to_thread(self.store.jobs.get, number)
            is_over = job is None or job.state == "failed" or (job.state == "done" and job.kind != POSTED)
            if is_over or asyncio.get_running_loop().time() >= until:
                return job
            await asyncio.sleep(0.25)

    async def _receive(self, request: Request, upload: str, place: Path, judge: Judge) -> tuple[Arrival, Wishes]:
        if request.headers.get("content-type", "").lower().startswith(MULTIPART):
            return await self._receive_form(request, upload, place, judge)
        given = {name: value for name, value in request.query_params.items() if name in ("channel", "name")}
        wishes = judge(given)
        sink = Sink(place, self.limits)
        received = await _poured(request, self.limits, sink)
        return _arrival(upload, given.get("name"), received), wishes

    async def _receive_form(self, request: Request, upload: str, place: Path, judge: Judge) -> tuple[Arrival, Wishes]:
        wished: list[Wishes] = []
        names: list[str | None] = []

        def open_file(fields: dict[str, str], name: str | None) -> Sink:
            wished.append(judge(fields))
            names.append(name)
            return Sink(place, self.limits)

        form = Form(request.headers["content-type"], open_file)
        try:
            came = 0
            async for part in paced(request.stream(), self.limits):
                came += len(part)
                if came > self.limits.max_bytes + AROUND:
                    raise Unwelcome(413, f"The form is over the size cap of {self.limits.max_bytes:,} bytes.")
                form.feed(part)
            received = form.finish()
        finally:
            form.close()
        password = form.fields.get("password") or None
        return _arrival(upload, form.fields.get("name") or names[0], received, password), wished[0]


async def _poured(request: Request, limits: FetchLimits, sink: Sink) -> Received:
    try:
        async for part in paced(request.stream(), limits):
            if part:
                sink.write(part)
        return sink.finish()
    finally:
        sink.close()


def _arrival(upload: str, name: str | None, received: Received, password: str | None = None) -> Arrival:
    return Arrival(upload, shown_name(name), received.size, received.sha256, password)


def _check_headers(request: Request, limits: FetchLimits) -> None:
    # What the headers give away need not be received first.
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unwelcome(415, "The body must come as it is: a packed dump is an archive, and needs no Content-Encoding.")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:20]) > limits.max_bytes + AROUND:
        raise Unwelcome(413, f"The file is over the size cap of {limits.max_bytes:,} bytes.")


def _make_place(directory: Path, limits: FetchLimits) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_room(directory.parent, 1, limits)
    directory.mkdir(mode=0o700)
