"""A site over a small history, and a browser without a network for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from bot.web.guard import Access, Rates
from bot.web.pages import create_site
from storage import Store
from storage.threads import Told
from tests.storage.samples import NOON, Clock, report

SECRET = "not a secret but a test"
BASE = "http://127.0.0.1"
HUNG, STORED, PRIVATE = 1, 2, 3


@contextmanager
def history(path: Path, clock: Clock | None = None) -> Iterator[Store]:
    """Three crashes: two of one failure, told in channel C1, one of another, told in G9 alone."""
    with Store.open(path / "pileup.sqlite", clock or Clock()) as store:
        for days, dump, host in ((20, "first", "PC-1"), (1, "second", "PC-2")):
            store.remember(report(dump, host=host, crashed=NOON - timedelta(days=days)))
        secret = report("third", module="hidden.sys", signature="x/1 hidden", host="PC-9", lock=None)
        store.remember(secret)
        for number, channel in ((HUNG, "C1"), (STORED, "C1"), (PRIVATE, "G9")):
            store.threads.note(Told(report_id=number, team="T", channel=channel, ts="1", summary_ts=f"{number}",
                permalink=f"https://slack.example/{channel}/{number}"))  # fmt: skip
        yield store


def browser(store: Store, access: Access, clock: Clock | None = None, rates: Rates | None = None) -> httpx.AsyncClient:
    """A client of the site; it keeps cookies and follows redirects."""
    site = create_site(store, access, clock or Clock(), rates)
    return httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url=BASE, follow_redirects=True)
