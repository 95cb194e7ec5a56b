"""``s3://``, ``gs://`` and ``az://``: object stores by their own protocols, through fsspec and an optional extra.

The credentials are the machine's, so whoever may post a link would reach whatever they reach: only buckets that the
operator names are read.
"""

import asyncio
import hashlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from analysis.fingerprint import IDENTITY_BYTES, identity_of
from bot import wording
from bot.fetch.download import Arrived, Fetched, Progress
from bot.fetch.limits import FetchLimits
from bot.fetch.links import Link
from bot.fetch.problems import FetchFailed

# Scheme: the module that speaks it, and the extra that brings it.
STORES = {"s3": ("s3fs", "s3"), "gs": ("gcsfs", "gs"), "az": ("adlfs", "az")}
CHUNK = 4 << 20


def is_bucket_link(url: str) -> bool:
    """Whether an address is an object store's."""
    return url.partition("://")[0].lower() in STORES


async def fetch_object(
    link: Link, path: Path, limits: FetchLimits, buckets: frozenset[str], progress: Progress | None
) -> Fetched:
    """Fetch one object into ``path``.

    Raises:
        FetchFailed: the bucket is not open to links, the extra is missing, or it cannot be read.
    """
    parts = urlsplit(link.url)
    place = f"{parts.scheme.lower()}://{parts.netloc}"
    if place not in buckets:
        raise FetchFailed("refused", f"{place} is not on the list of buckets that links may lead to")
    module, extra = STORES[parts.scheme.lower()]
    if importlib.util.find_spec("fsspec") is None or importlib.util.find_spec(module) is None:
        raise FetchFailed("address", f"{parts.scheme}:// links need an extra: pip install 'pileup[{extra}]'")
    reading = _Reading(link, path, limits, progress, asyncio.get_running_loop().call_soon_threadsafe)
    try:
        async with asyncio.timeout(limits.total_seconds):
            return await asyncio.to_thread(reading.run, f"{parts.netloc}{unquote(parts.path)}")
    except TimeoutError:
        told = wording.duration(limits.total_seconds)
        raise FetchFailed("time", f"not finished after {told}") from None
    finally:
        reading.stopped = True


class _Reading:
    # In a thread: fsspec's files block. A stop is seen at the next chunk.
    def __init__(
        self, link: Link, path: Path, limits: FetchLimits, progress: Progress | None, soon: Callable[..., Any]
    ) -> None:
        self.link, self.path, self.limits, self.progress, self.soon = link, path, limits, progress, soon
        self.stopped = False

    def run(self, name: str) -> Fetched:
        import fsspec

        started = time.monotonic()
        try:
            store = fsspec.filesystem(urlsplit(self.link.url).scheme.lower())
            total = int(store.size(name) or 0)
            self._check(total)
            with store.open(name, "rb") as source:
                return self._copied(source, total, started)
        except FetchFailed:
            raise
        except FileNotFoundError:
            raise FetchFailed("status", "there is no such object, or it may not be read") from None
        except Exception as error:  # each store has exceptions of its own
            raise FetchFailed("network", f"the store could not be read ({type(error).__name__})") from error

    def _copied(self, source: Any, total: int, started: float) -> Fetched:
        digest, received, head = hashlib.sha256(), 0, b""
        with self.path.open("wb") as file:
            while (chunk := source.read(CHUNK)) and not self.stopped:
                received += len(chunk)
                self._check(received)
                head = head or chunk[:IDENTITY_BYTES]
                file.write(chunk)
                digest.update(chunk)
                if self.progress is not None:
                    rate = received / max(time.monotonic() - started, 0.001)
                    self.soon(self.progress, Arrived(received, total or None, rate))
        seconds = time.monotonic() - started
        return Fetched(self.path, received, digest.hexdigest(), identity_of(received, head), self.link.shown, seconds)

    def _check(self, size: int) -> None:
        if size > self.limits.max_bytes:
            raise FetchFailed("size", f"the file is over the size cap of {wording.size(self.limits.max_bytes)}")
