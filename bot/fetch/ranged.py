"""Ranges of a file on a web server, many at once, each held against the file that was seen first."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import stamina

from bot.fetch.failures import TryLater, refusal, retry_after, status_failure
from bot.fetch.limits import FetchLimits
from bot.fetch.problems import FetchFailed

PEEK_BYTES = 1 << 20  # the first bytes of every file: a small dump is whole with them
LEAST_RANGED = 16 << 20  # bytes; a smaller dump is here whole before its pages could be asked for
DUMPS = (b"PAGEDU64", b"PAGEDUMP", b"MDMP")
ZIP = b"PK\x03\x04"
AT_ONCE = 16  # requests under way
PIECE = 2 << 20  # bytes of one request at most
EXPIRED = frozenset({401, 403, 404, 410})

_SPAN = re.compile(r"bytes (\d{1,20})-(\d{1,20})/(\d{1,20})")
Arrive = Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose ranges can be asked for. ``url`` is the link's, ``direct`` where it led.

    ``validator`` is a strong entity tag or a date of last change that is strong enough (RFC 9110, 8.8).
    """

    url: str
    direct: str
    size: int
    validator: str
    etag: str
    changed: str


class LeftThere(Exception):
    """A large dump, or zip, whose ranges can be had. ``head`` are its first bytes, ``tag`` what its server calls this
    content, ``seconds`` what it took to get there."""

    def __init__(self, source: Source, head: bytes, tag: str | None, seconds: float) -> None:
        super().__init__(source.size)
        self.source, self.head, self.tag, self.seconds = source, head, tag, seconds


class Whole(FetchFailed):
    """Ranges cannot be had any more; ``line`` says why, and the file can still be fetched whole."""


def is_worth_ranges(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that starts like this is a dump, not packed, too large to be fetched whole."""
    return size >= LEAST_RANGED and head.startswith(DUMPS)


def may_be_entered(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that starts like this is a zip too large to be fetched for one member."""
    return size >= LEAST_RANGED and head.startswith(ZIP)


def source_of(url: str, response: httpx.Response) -> Source | str:
    """What a first answer (206, from the start of the file) makes known, or why its ranges cannot be relied on."""
    headers = response.headers
    if "content-encoding" in headers:
        return "the server packs what it sends"
    span = _SPAN.fullmatch(headers.get("content-range", ""))
    if span is None or int(span[3]) == 0:
        return "the server does not say how large the file is"
    etag, changed = headers.get("etag", ""), headers.get("last-modified", "")
    if etag.startswith('"'):
        validator = etag
    elif is_settled(changed, headers.get("date", "")):
        validator = changed
    else:
        return "the server has no strong mark for the file's version"
    return Source(url, str(response.url), int(span[3]), validator, etag, changed)


def is_settled(changed: str, now: str) -> bool:
    """Whether a date of last change names one version of a file: within its second it may change once more."""
    try:
        return parsedate_to_datetime(now) - parsedate_to_datetime(changed) >= timedelta(seconds=1)
    except (TypeError, ValueError):
        return False


class Ranges:
    """Fetches ranges of one source through ``client``. ``take`` is told of the bytes as they come, and may raise."""

    def __init__(
        self, client: httpx.AsyncClient, source: Source, limits: FetchLimits, take: Callable[[int], None]
    ) -> None:
        self._client, self.source, self._limits, self._take = client, source, limits, take
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.requests = 0

    async def fetch(self, spans: list[tuple[int, int]], arrive: Arrive) -> None:
        """Fetch spans (offset, size), some at a time; ``arrive`` is called with each whole piece.

        Raises:
            Whole: the file changed, or the server does not answer ranges with ranges any more.
            FetchFailed, TryLater, httpx.HTTPError, TimeoutError: as of a download.
        """
        pieces = [
            (start, min(PIECE, offset + size - start))
            for offset, size in spans
            for start in range(offset, offset + size, PIECE)
        ]
        tasks = [asyncio.create_task(self._piece(offset, size, arrive)) for offset, size in pieces]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _piece(self, offset: int, size: int, arrive: Arrive) -> None:
        async with self._slots:
            async for attempt in stamina.retry_context(
                on=retry_after,
                attempts=self._limits.attempts,
                timeout=None,
                wait_initial=self._limits.first_wait_seconds,
                wait_jitter=self._limits.first_wait_seconds,
            ):
                with attempt:
                    arrive(offset, await self._ask(offset, size))

    async def _ask(self, offset: int, size: int) -> bytes:
        source = self.source
        self.requests += 1
        headers = {"Range": f"bytes={offset}-{offset + size - 1}", "If-Range": source.validator}
        async with self._client.stream("GET", source.direct, headers=headers) as response:
            if response.status_code in EXPIRED and source.direct != source.url:
                # A signed address that a redirect led to lives for minutes: the link leads to a new one.
                self.source = replace(source, direct=source.url)
                raise TryLater(refusal(response), 0.0)
            self._check(response, offset, size)
            if response.history:
                self.source = replace(self.source, direct=str(response.url))
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                self._take(len(chunk))
                if len(body) > size:
                    break
        if len(body) != size:
            raise httpx.RemoteProtocolError("the range came with another length")
        return bytes(body)

    def _check(self, response: httpx.Response, offset: int, size: int) -> None:
        source, headers = self.source, response.headers
        if response.status_code == httpx.codes.OK:
            same = headers.get("etag", "") == source.etag and headers.get("last-modified", "") == source.changed
            raise Whole("changed", "the server stopped serving ranges" if same else "the file changed meanwhile")
        if response.status_code in (httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE, httpx.codes.PRECONDITION_FAILED):
            raise Whole("changed", "the file changed meanwhile")
        if response.status_code != httpx.codes.PARTIAL_CONTENT:
            raise status_failure(response)
        # Whoever ignores If-Range still says what it sends a part of.
        for name, known in (("etag", source.etag), ("last-modified", source.changed)):
            if name in headers and headers[name] != known:
                raise Whole("changed", "the file changed meanwhile")
        span = _SPAN.fullmatch(headers.get("content-range", ""))
        if span is not None and int(span[3]) != source.size:
            raise Whole("changed", "the file changed meanwhile")
        if span is None or (int(span[1]), int(span[2])) != (offset, offset + size - 1) or "content-encoding" in headers:
            raise Whole("changed", "the server sent another range than it was asked for")
