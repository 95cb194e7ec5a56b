"""A dump that stays where it is: the pages that its analysis asks for are fetched, and kept for the next one.

Every round trip costs, so a question brings more than was asked for, but only as much as pays: the neighbours of a
single page, more of them the more often a region was asked about, and the small gaps between many.
"""

import asyncio
import functools
import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import httpx

from analysis.fingerprint import identity_of
from bot import wording
from bot.archives.collector import shown_name
from bot.fetch.blocks import PAGE, BlockFile, Run, open_blocks
from bot.fetch.buckets import fetch_object, is_bucket_link
from bot.fetch.download import Fetched, Progress, Room, download
from bot.fetch.entering import fetch_members
from bot.fetch.failures import check_pace, check_room, failure_of
from bot.fetch.limits import FetchLimits, Policy
from bot.fetch.links import Link
from bot.fetch.problems import FetchFailed
from bot.fetch.ranged import ZIP, LeftThere, Ranges, Whole
from bot.fetch.safety import Credentials, open_client
from bot.fetch.shares import direct
from bot.fetch.workspace import downloads, make_room
from bot.fetch.zipped import Stored

FEW_RUNS = 8  # a question with more is taken at its word
GAP_PAGES = 16  # between two runs: fetched with them, it costs less than a request
GROWTH = (16, 64, 256, 512)  # pages fetched around one, by how often its region was asked about
REGION_SHIFT = 9  # pages of a region (2 MiB), as a power of two
FREE_PAGES = 1024  # neighbours that any dump may bring; beyond them, a share of its size
SHARE_OF_SIZE = 128


@dataclass(frozen=True, slots=True)
class Terms:
    """How links are fetched: what it may cost, where they may lead, where pages are kept, what some hosts ask for."""

    limits: FetchLimits
    policy: Policy
    home: Path
    credentials: Credentials | None = None


async def reach(
    link: Link,
    path: Path,
    terms: Terms,
    *,
    progress: Progress | None = None,
    tag: str | None = None,
    whole: str | None = None,
) -> Fetched:
    """The file behind a link: a large dump stays there, also one that is stored in a zip; of other large zips only what
    their dumps need comes into ``path``, and anything else whole.

    ``whole`` says why it must come whole. A file that stays has to be closed (``pages.close``).

    Raises: as ``download``.
    """
    link = replace(link, url=direct(link.url))
    if is_bucket_link(link.url):
        return await fetch_object(link, path, terms.limits, terms.policy.buckets, progress)
    can_stay = whole is None and hasattr(os, "pwrite")  # not on Windows
    try:
        try:
            fetched = await _download(link, path, terms, progress, tag, peek=can_stay)
        except LeftThere as found:
            if found.head.startswith(ZIP):
                return await _of_zip(found, link, path, terms, progress)
            return await _left(found, link, terms)
    except Whole as why:
        whole = why.line
        fetched = await _download(link, path, terms, progress, None, peek=False)
    return fetched if whole is None else replace(fetched, note=f"The dump was downloaded whole, for {whole}.")


async def _download(
    link: Link, path: Path, terms: Terms, progress: Progress | None, tag: str | None, *, peek: bool
) -> Fetched:
    return await download(
        link,
        path,
        terms.limits,
        terms.policy,
        progress=progress,
        credentials=terms.credentials,
        tag=tag,
        peek=peek,
        room=_room(terms),
    )


def _room(terms: Terms) -> Room:
    return functools.partial(make_room, downloads(terms.home), quota=terms.limits.quota_bytes)


async def _left(found: LeftThere, link: Link, terms: Terms, inside: Stored | None = None) -> Fetched:
    # The dump itself, or the one that is stored inside, read where it lies.
    try:
        pages = await asyncio.to_thread(RemoteDump.open, found, link, terms, inside)
    except OSError as error:
        raise Whole("disk", f"its pages cannot be kept here ({error.strerror})") from error
    head = found.head if inside is None else inside.head
    source = link.shown if inside is None else f"{link.shown} › {shown_name(inside.name)}"
    note = None if inside is None else "The dump was read inside its zip, whose checksum of it was not checked."
    identity = identity_of(pages.size, head)
    return Fetched(pages.path, pages.size, None, identity, source, found.seconds, found.tag, pages, note)


async def _of_zip(found: LeftThere, link: Link, path: Path, terms: Terms, progress: Progress | None) -> Fetched:
    limits = terms.limits
    timeout = httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds)
    async with open_client(terms.policy, timeout, terms.credentials) as client:
        came = await fetch_members(found, link, path, limits, client, progress=progress, room=_room(terms))
    if isinstance(came, Stored):
        return await _left(found, link, terms, came)
    return came or await _download(link, path, terms, progress, None, peek=False)


class RemoteDump:
    """The pages of one dump, for one analysis. ``path`` is the sparse file, ``marks`` tells which pages it holds."""

    def __init__(self, found: LeftThere, link: Link, blocks: BlockFile, terms: Terms, base: int = 0) -> None:
        self.path, self.marks, self.size = blocks.data, blocks.marks, blocks.size
        self.received = len(found.head)
        self._blocks, self._link, self._terms, self._limits = blocks, link, terms, terms.limits
        self._source, self._base = found.source, base  # where in the file the dump begins
        self._requests = 1
        self._waited = 0.0  # seconds of all questions before the one in hand, which began at _started
        self._started = 0.0
        self._heat: dict[int, int] = {}
        self._spare = FREE_PAGES + self._blocks.pages // SHARE_OF_SIZE
        self._runner: asyncio.Runner | None = None
        self._ranges: Ranges | None = None
        self._client: httpx.AsyncClient | None = None
        self._filling: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._over = False

    @classmethod
    def open(cls, found: LeftThere, link: Link, terms: Terms, inside: Stored | None = None) -> Self:
        """The dump, or the one ``inside`` the zip, with its first bytes and whatever an earlier analysis fetched.

        Raises: OSError.
        """
        source = found.source
        if inside is None:
            blocks = open_blocks(terms.home, link.url, source.validator, source.size)
            blocks.write(0, found.head)
            return cls(found, link, blocks, terms)
        version = f"{source.validator} {source.size} at {inside.offset}"
        blocks = open_blocks(terms.home, link.url, version, inside.size)
        blocks.write(0, inside.head[: len(inside.head) // PAGE * PAGE])
        return cls(found, link, blocks, terms, inside.offset)

    @property
    def said(self) -> str:
        """What goes on, for people."""
        return f"reading {self.so_far}"

    @property
    def so_far(self) -> str:
        """How much was fetched of how much."""
        return f"{wording.size(self.received)} of {wording.size(self.size)}"

    @property
    def summary(self) -> str:
        """What was fetched in the end, as a note of the report."""
        return (
            f"The dump was read where it lies: {self.so_far} were fetched,"
            f" in {wording.count(self._requests, 'request')}."
        )

    def fill(self, runs: list[Run]) -> None:
        """Have these pages in the file; returns when they are there. Not from inside an event loop.

        Raises:
            Whole: the file changed, or the server serves no ranges any more.
            FetchFailed: they cannot be had.
        """
        with self._lock:
            missing = [] if self._over else self._planned(self._blocks.missing(_merged(runs, 0)))
            if not missing:
                return
            self._started = time.monotonic()
            self._runner = self._runner or asyncio.Runner()
            try:
                self._runner.run(self._fetch(missing))
            except asyncio.CancelledError:
                raise FetchFailed("network", "the analysis was stopped") from None
            except Exception as error:
                told = failure_of(error, self._link.host, self._limits, f", with {self.so_far} here")
                if told is None or told is error:
                    raise
                raise told from error
            finally:
                self._waited += time.monotonic() - self._started

    def cancel(self) -> None:
        """Stop what is being fetched, from any thread."""
        task, runner = self._filling, self._runner
        if task is not None and runner is not None:
            runner.get_loop().call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """End the connections and let go of the file. Safe to call twice; not from inside an event loop."""
        self._over = True
        self.cancel()
        with self._lock:
            if self._runner is not None:
                if self._client is not None:
                    self._runner.run(self._client.aclose())
                self._runner.close()
                self._runner = None
            self._blocks.close()

    async def _fetch(self, runs: list[Run]) -> None:
        self._filling = asyncio.current_task()
        try:
            if self._ranges is None:
                timeout = httpx.Timeout(self._limits.idle_seconds, connect=self._limits.connect_seconds)
                self._client = open_client(self._terms.policy, timeout, self._terms.credentials)
                self._ranges = Ranges(self._client, self._source, self._limits, self._take)
            base = self._base
            spans = [
                (base + first * PAGE, min((first + count) * PAGE, self.size) - first * PAGE) for first, count in runs
            ]
            self._check_room(sum(size for _, size in spans))
            before = self._ranges.requests
            async with asyncio.timeout(self._limits.total_seconds - self._waited):
                await self._ranges.fetch(spans, lambda at, data: self._blocks.write(at - base, data))
            self._requests += self._ranges.requests - before
        finally:
            self._filling = None

    def _take(self, count: int) -> None:
        # Only what was waited for counts: the analysis may think for long between two questions.
        self.received += count
        check_pace(self.received, self._waited + time.monotonic() - self._started, self._limits)

    def _check_room(self, count: int) -> None:
        if self.received + count > self._limits.max_bytes:
            raise FetchFailed(
                "size", f"its analysis needs more than the size cap of {wording.size(self._limits.max_bytes)}"
            )
        check_room(self.path, count, self._limits)

    def _planned(self, runs: list[Run]) -> list[Run]:
        # What is fetched for what is missing.
        asked = sum(count for _, count in runs)
        wider = [self._widened(run) for run in runs] if len(runs) <= FEW_RUNS else runs
        planned = self._blocks.missing(_merged(wider, GAP_PAGES))
        extra = sum(count for _, count in planned) - asked
        if extra > self._spare:
            return runs
        self._spare -= extra
        return planned

    def _widened(self, run: Run) -> Run:
        first, count = run
        region = first >> REGION_SHIFT
        around = max(self._heat.get(region - 1, 0), self._heat.get(region + 1, 0)) - 1
        heat = self._heat.get(region, max(around, 0))
        self._heat[region] = heat + 1
        pages = GROWTH[min(heat, len(GROWTH) - 1)]
        start, end = first // pages * pages, -(-(first + count) // pages) * pages
        return start, end - start


def _merged(runs: list[Run], gap: int) -> list[Run]:
    """The runs in order, those that touch or lie at most ``gap`` pages apart as one."""
    merged: list[Run] = []
    for first, count in sorted(runs):
        if merged and first <= merged[-1][0] + merged[-1][1] + gap:
            start, length = merged[-1]
            merged[-1] = (start, max(length, first + count - start))
        else:
            merged.append((first, count))
    return merged
