"""Where symbols come from: the symbol path, what each place of it last said to each machine, and what is kept here."""

import functools
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.symbols.stores import kept_in
from bot.web.health.premises import Premises
from storage import Store
from storage.clock import stamp
from storage.sources import Source

Json = dict[str, Any]
CACHE_SECONDS = 60  # a store of many thousand files takes a while to be looked through
MAX_PLACES = 100


def symbols(store: Store, premises: Premises, now: datetime) -> Json:
    """The path by its elements, the directories that keep files with their size, and the places as they answered."""
    told: dict[tuple[str, str], list[Source]] = defaultdict(list)
    for one in store.sources.latest():  # the newest first
        told[one.machine, one.place].append(one)
    return {
        "path": [list(element) for element in premises.symbol_path],
        "gaps": list(premises.gaps),
        "most_bytes": premises.cache_bytes,
        "caches": [_cache(directory) for directory in premises.caches],
        "sources": [_source(list(said), now) for said in list(told.values())[:MAX_PLACES]],
    }


def _source(said: list[Source], now: datetime) -> Json:
    last = said[0]
    found = next((one for one in said if one.outcome == "found"), None)
    return {
        "machine": last.machine,
        "place": last.place,
        "outcome": last.outcome,
        "detail": last.detail,
        "at": stamp(last.at),
        "seconds": max((now - last.at).total_seconds(), 0.0),
        "found_at": None if found is None else stamp(found.at),
        "times": {one.outcome: one.times for one in said},
    }


def _cache(directory: Path) -> Json:
    files, size = _kept(directory, int(time.monotonic() / CACHE_SECONDS))
    return {"path": str(directory), "files": files, "bytes": size}


@functools.lru_cache(maxsize=32)
def _kept(directory: Path, _minute: int) -> tuple[int, int]:
    # How many files were fetched into a directory, and their bytes.
    found = kept_in(directory) if directory.is_dir() else []
    return len(found), sum(one.size for one in found)
