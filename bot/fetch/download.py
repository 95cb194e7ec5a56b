"""Fetching one link to one file: streamed, hashed on the way, capped in size and time, resumed when it breaks off."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import httpx
import stamina

from analysis.fingerprint import IDENTITY_BYTES, identity_of
from bot import wording
from bot.fetch.failures import (
    TRANSIENT,
    TryLater,
    check_pace,
    check_room,
    failure_of,
    refusal,
    retry_after,
    short,
    status_failure,
)
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import Link
from bot.fetch.pages import PAGE_BYTES, is_page, judge
from bot.fetch.problems import FetchFailed, Unchanged
from bot.fetch.ranged import PEEK_BYTES, LeftThere, Source, is_settled, is_worth_ranges, may_be_entered, source_of
from bot.fetch.safety import Credentials, open_client

if TYPE_CHECKING:
    from bot.fetch.remote import RemoteDump

TELL_EVERY_SECONDS = 0.25
ROOM_EVERY = 256 << 20  # bytes after which the room is looked at again
GETTING_ON = 8 << 20  # bytes since the last try that make a connection worth more of them
LEAST_TOLD_SECONDS = 2.0  # a shorter rest is over before it is read
# Asked for a part of a file, some servers refuse what they would give whole: 206 here is another part than asked for.
DISLIKES_RANGES = frozenset({206, 400, 405, 416, 501})


@dataclass(frozen=True, slots=True)
class Arrived:
    """How far a download is: bytes so far, bytes in all if the server says, bytes a second."""

    received: int
    total: int | None
    rate: float

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None while the size is unknown."""
        return min(1.0, self.received / self.total) if self.total else None

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {short(self.total)}"
        left = self.seconds_left
        soon = f", {wording.duration(left)} left" if left is not None and left >= LEAST_TOLD_SECONDS else ""
        return f"{short(self.received)}{of}, {short(int(self.rate))}/s{soon}"

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None where size or rate is unknown."""
        if self.total is None or self.rate <= 0:
            return None
        return max(0.0, self.total - self.received) / self.rate


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that arrived. ``identity`` is the report's: of size and first bytes, for a file not packed.

    ``tag`` is what the server calls this very content, where it says so and the link led straight to it. With
    ``pages`` only what an analysis reads arrives, into the sparse file at ``path``, and its hash is not known; ``note``
    says why a large dump came whole instead. ``left_there`` are the members of a zip, by their positions in its
    directory, of which nothing was fetched: no dumps.
    """

    path: Path
    size: int
    sha256: str | None
    identity: str
    source: str
    seconds: float
    tag: str | None = None
    pages: "RemoteDump | None" = None
    note: str | None = None
    left_there: frozenset[int] = frozenset()


Progress = Callable[[Arrived], None]
Room = Callable[[int], bool]


async def download(
    link: Link,
    path: Path,
    limits: FetchLimits,
    policy: Policy,
    *,
    progress: Progress | None = None,
    credentials: Credentials | None = None,
    tag: str | None = None,
    peek: bool = False,
    room: Room | None = None,
) -> Fetched:
    """Fetch a link into ``path``, which is overwritten. The file is removed again when it does not arrive whole.

    ``tag`` is that of a content which need not come again. With ``peek`` the first bytes are asked for by themselves,
    and a large dump on a server that vouches for its ranges is left there. ``room`` makes room for so many bytes, or
    says that there is none.

    Raises:
        FetchFailed: why not, in one line.
        Unchanged: the file is still that of ``tag``.
        LeftThere: only its first bytes were fetched.
    """
    timeout = httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds)
    started = time.monotonic()
    transfer = None
    try:
        async with asyncio.timeout(limits.total_seconds), open_client(policy, timeout, credentials) as client:
            with path.open("w+b") as file:
                transfer = _Transfer(link, file, limits, progress, tag, peek=peek, room=room)
                await _persist(transfer, client)
                if is_page(transfer.head):
                    link = replace(link, url=transfer.behind_page())
                    transfer = _Transfer(link, file, limits, progress, None, peek=False, room=room)
                    await _persist(transfer, client)
                    transfer.refuse_page()
        return transfer.fetched(path, time.monotonic() - started)
    except BaseException as error:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        told = failure_of(error, link.host, limits, _so_far(transfer))
        if told is None or told is error:
            raise
        raise told from error


async def _persist(transfer: "_Transfer", client: httpx.AsyncClient) -> None:
    # Tries until it is through; a try goes on where the last one broke off. Whoever gets on has all tries again.
    while True:
        before = transfer.received
        try:
            await _tried(transfer, client)
        except TRANSIENT:
            if not transfer.validator or transfer.received < before + GETTING_ON:
                raise
        else:
            return


async def _tried(transfer: "_Transfer", client: httpx.AsyncClient) -> None:
    attempts = stamina.retry_context(
        on=retry_after,
        attempts=transfer.limits.attempts,
        timeout=None,
        wait_initial=transfer.limits.first_wait_seconds,
        wait_jitter=transfer.limits.first_wait_seconds,
    )
    async for attempt in attempts:
        with attempt:
            await transfer.run(client)


class _Transfer:
    # One file on its way: what has arrived, its hashes, and what the server said about it.

    def __init__(
        self,
        link: Link,
        file: BinaryIO,
        limits: FetchLimits,
        progress: Progress | None,
        known: str | None,
        *,
        peek: bool,
        room: Room | None,
    ) -> None:
        self.link, self.file, self.limits, self.progress, self.known = link, file, limits, progress, known
        self.peek, self.room = peek, room
        self.ranges: Source | str | None = None  # after a look: where they are to be had, or why they are not
        self.led_to = link.url
        self.validator: str | None = None
        self.tag: str | None = None
        self.told_at = 0.0
        self.started = time.monotonic()
        self.restart()

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.received = 0
        self.total: int | None = None
        self.head = b""
        self.sha256 = hashlib.sha256()

    async def run(self, client: httpx.AsyncClient) -> None:
        headers = {"If-None-Match": self.known} if self.known and not self.received else {}
        if self.peek:
            self.restart()
            headers["Range"] = f"bytes=0-{PEEK_BYTES - 1}"
        elif self.received and self.validator:
            headers = {"Range": f"bytes={self.received}-", "If-Range": self.validator}
        async with client.stream("GET", self.link.url, headers=headers) as response:
            self._accept(response)
            async for chunk in _body(response):
                self._take(chunk)
            expected = min(self.total or 0, PEEK_BYTES) if self.peek else self.total
            if expected is not None and self.received < expected:
                raise httpx.RemoteProtocolError("the body ended early")
        if self.peek and self.received != self.total:
            await self._go_on(client)
        self._tell(force=True)

    async def _go_on(self, client: httpx.AsyncClient) -> None:
        # The first bytes are here: they decide whether the others are wanted.
        self.peek = False
        source = self.ranges
        if isinstance(source, Source) and (
            is_worth_ranges(self.head, source.size) or may_be_entered(self.head, source.size)
        ):
            self.file.seek(0)
            raise LeftThere(source, self.file.read(), self.tag, time.monotonic() - self.started)
        if self.total is not None:
            self._check_size(self.total)
            self._check_disk(self.total)
        await self.run(client)

    def _accept(self, response: httpx.Response) -> None:
        if response.status_code == httpx.codes.PARTIAL_CONTENT and self._continues(response):
            if self.peek:
                self._begin(response)
            return
        if response.status_code == httpx.codes.NOT_MODIFIED and "if-none-match" in response.request.headers:
            raise Unchanged
        if self.peek and response.status_code in DISLIKES_RANGES:
            self.peek, self.ranges = False, "the server does not serve ranges"
            raise TryLater(refusal(response), 0.0)
        if response.status_code != httpx.codes.OK:
            raise status_failure(response)
        if self.peek:
            self.peek, self.ranges = False, "the server does not serve ranges"
        self._begin(response)
        length = response.headers.get("content-length", "")
        if length.isdecimal() and "content-encoding" not in response.headers:
            self.total = int(length)
            self._check_size(self.total)
            self._check_disk(self.total)

    def _begin(self, response: httpx.Response) -> None:
        self.restart()
        self.led_to = str(response.url)
        if self.peek:
            self.ranges = source_of(self.link.url, response)
            self.total = self.ranges.size if isinstance(self.ranges, Source) else None
        # A validator that may match another body ("W/…") must not glue two files together.
        tag, changed = response.headers.get("etag", ""), response.headers.get("last-modified", "")
        is_plain = "content-encoding" not in response.headers
        strong = tag if tag.startswith('"') and is_plain else None
        is_dated = is_plain and is_settled(changed, response.headers.get("date", ""))
        self.validator = strong or (changed if is_dated else None)
        # Behind a redirect the same tag may one day stand for another file.
        self.tag = None if response.history else strong

    def _continues(self, response: httpx.Response) -> bool:
        return str(response.headers.get("content-range", "")).startswith(f"bytes {self.received}-")

    def _take(self, chunk: bytes) -> None:
        self._check_size(self.received + len(chunk))
        if len(self.head) < IDENTITY_BYTES:
            self.head += chunk[: IDENTITY_BYTES - len(self.head)]
        self.file.write(chunk)
        self.sha256.update(chunk)
        self.received += len(chunk)
        if self.received > PAGE_BYTES >= self.received - len(chunk):
            self.refuse_page()
        if self.received // ROOM_EVERY != (self.received - len(chunk)) // ROOM_EVERY:
            self._check_disk(0 if self.total else ROOM_EVERY)
        self._check_pace()
        self._tell()

    def behind_page(self) -> str:
        """The address that the page which came instead of a file asks to go on to. Raises: FetchFailed: none."""
        self.file.seek(0)
        verdict = judge(self.file.read(PAGE_BYTES), self.led_to)
        if isinstance(verdict, FetchFailed):
            raise verdict
        return verdict

    def refuse_page(self) -> None:
        """Raises: FetchFailed, if what came is a web page, whatever it asks."""
        if is_page(self.head):
            self.behind_page()
            raise FetchFailed("page", "the link leads from one HTML page to the next, and to no file")

    def _check_pace(self) -> None:
        check_pace(self.received, time.monotonic() - self.started, self.limits)

    def _check_size(self, count: int) -> None:
        if count > self.limits.max_bytes:
            says = f" (the server says {short(self.total)})" if self.total and self.total >= count else ""
            raise FetchFailed("size", f"the file is over the size cap of {short(self.limits.max_bytes)}{says}")

    def _check_disk(self, count: int) -> None:
        check_room(Path(self.file.name), count, self.limits, self.room)

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self.progress is not None and (force or now - self.told_at >= TELL_EVERY_SECONDS):
            self.told_at = now
            rate = self.received / max(now - self.started, 0.001)
            self.progress(Arrived(self.received, self.total, rate))

    def fetched(self, path: Path, seconds: float) -> Fetched:
        return Fetched(
            path,
            self.received,
            self.sha256.hexdigest(),
            identity_of(self.received, self.head),
            self.link.shown,
            seconds,
            self.tag,
            note=self._why_whole(),
        )

    def _why_whole(self) -> str | None:
        # Said only where it cost something.
        if not isinstance(self.ranges, str) or not is_worth_ranges(self.head, self.received):
            return None
        return f"The dump was downloaded whole, for {self.ranges}."


def _body(response: httpx.Response) -> AsyncIterator[bytes]:
    # A server may pack what we asked for plain; only then let httpx unpack. As it comes: a chunk that waits to be
    # filled is lost when the connection breaks.
    return response.aiter_bytes() if "content-encoding" in response.headers else response.aiter_raw()


def _so_far(transfer: _Transfer | None) -> str:
    if transfer is None or not transfer.received:
        return ""
    of = "" if transfer.total is None else f" of {short(transfer.total)}"
    return f", with {short(transfer.received)}{of} here"
