"""The parts of a zip on a web server that its dumps need, fetched into a sparse copy; or where its one dump lies."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bot import wording
from bot.fetch.download import Arrived, Fetched, Progress, Room
from bot.fetch.failures import check_pace, check_room, failure_of
from bot.fetch.limits import FetchLimits
from bot.fetch.links import Link
from bot.fetch.problems import FetchFailed
from bot.fetch.ranged import PIECE, LeftThere, Ranges
from bot.fetch.zipped import Spans, Stored, Wanted, enter, write_sparse


async def fetch_members(
    found: LeftThere,
    link: Link,
    path: Path,
    limits: FetchLimits,
    client: httpx.AsyncClient,
    *,
    progress: Progress | None = None,
    room: Room | None = None,
) -> Fetched | Stored | None:
    """The zip with as much as its dumps need, sparse at ``path``; or the place of its one dump, stored unpacked; or
    None where the zip had better come whole. ``client`` is open and judges each request.

    Raises:
        FetchFailed: why not, in one line; Whole among them.
    """
    source, started = found.source, time.monotonic()
    received = len(found.head)

    def take(count: int) -> None:
        nonlocal received
        received += count
        elapsed = time.monotonic() - started
        check_pace(received, elapsed, limits)
        if progress is not None:
            progress(Arrived(received, None, received / max(elapsed, 0.001)))

    ranges = Ranges(client, source, limits, take)

    async def get(spans: Spans) -> dict[int, bytes]:
        pieces: dict[int, bytes] = {}
        await ranges.fetch(spans, pieces.__setitem__)
        return {offset: b"".join(pieces[at] for at in range(offset, offset + size, PIECE)) for offset, size in spans}

    try:
        async with asyncio.timeout(limits.total_seconds):
            chosen = await enter(found.head, source.size, get)
            if not isinstance(chosen, Wanted):
                return chosen
            _check_room(path, sum(size for _, size in chosen.spans), limits, room)
            put = await asyncio.to_thread(write_sparse, path, source.size, chosen.pieces)
            await ranges.fetch(chosen.spans, put)
    except BaseException as error:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        told = failure_of(error, link.host, limits, f", with {wording.size(received)} here")
        if told is None or told is error:
            raise
        raise told from error
    seconds = found.seconds + time.monotonic() - started
    note = f"Of the zip of {wording.size(source.size)} only what its dumps need was fetched: {wording.size(received)}."
    return Fetched(path, source.size, None, "", link.shown, seconds, found.tag, note=note, left_there=chosen.left)


def _check_room(path: Path, count: int, limits: FetchLimits, room: Callable[[int], bool] | None) -> None:
    if count > limits.max_bytes:
        raise FetchFailed("size", f"what is in it is over the size cap of {wording.size(limits.max_bytes)}")
    check_room(path, count, limits, room)
