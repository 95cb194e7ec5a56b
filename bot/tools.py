"""What a worker works with, as one value: made once, from the settings or by a test."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from analysis.verdict.report import Analyzer, Report
from bot.alone import Alone
from bot.answers import Reply
from bot.archives.limits import ArchiveLimits
from bot.conversation import Place
from bot.fetch.download import Arrived, Fetched
from bot.fetch.limits import Keep
from bot.fetch.links import Link
from bot.membership import Membership
from bot.sending import Sender
from bot.shelf import Shelf
from bot.stopping import Stops
from bot.symbols.fetching import SymbolServers
from bot.web.guard import NO_PAGES, Access
from storage.choices import NO_DEFAULTS, Choices, Defaults
from storage.gates import Limits
from storage.sight import Sight
from storage.store import Store
from storage.threads import Thread

# The link, where to, progress, the tag of a content that need not come again, why it must come whole.
Fetch = Callable[[Link, Path, Callable[[Arrived], None], str | None, str | None], Awaitable[Fetched]]
Analyse = Callable[[Fetched, Callable[[str, float | None], None], SymbolServers | None], Awaitable[Report]]
Answer = Callable[[str, Place, Sight], Reply]
Present = Callable[[], Analyzer]


@dataclass(slots=True, weakref_slot=True)
class Flight:
    """One link being read by one job, with others waiting for it: what that came to, once it is there."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    memory: dict[str, Any] | None = None
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker works with.

    ``permalink`` makes a link to a message: channel, time stamp, thread. ``analyzer`` says by which version and rules a
    report would be made now; it may raise BadRules. ``symbols`` makes what fetches symbols for one job, None where
    nothing is to be fetched. ``page`` is the address of a report's page, for those who read it at a place;
    ``new_ticket`` the link that begins a ticket about it.
    ``uploads`` is the directory that posted dumps come in at, ``shelf`` where they lie for all machines.
    ``membership`` knows who may see what, ``access`` which pages are ours.
    ``elsewhere`` makes the tools of one workspace, where there are several.
    """

    store: Store
    sender: Sender
    home: Path
    fetch: Fetch
    analyse: Analyse
    answer: Answer
    analyzer: Present
    permalink: Callable[[str, str, str], str]
    membership: Membership
    symbols: Callable[[], SymbolServers | None]
    uploads: Path
    shelf: Shelf
    lease_seconds: float = 60.0
    keep_dumps: Keep = "never"
    defaults: Defaults = NO_DEFAULTS
    archive_limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    stops: Stops = field(default_factory=Stops)
    page: Callable[[Thread], str | None] = lambda _place: None
    new_ticket: Callable[[Report], str | None] = lambda _report: None
    access: Access = NO_PAGES
    limits: Limits = field(default_factory=Limits)
    flights: WeakValueDictionary[str, Flight] = field(default_factory=WeakValueDictionary)
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    elsewhere: Callable[[str], Awaitable["Tools | None"]] | None = None

    async def of_team(self, team: str) -> "Tools | None":
        """What to work with for one workspace; None for one that took the app away."""
        return self if self.elsewhere is None else await self.elsewhere(team)

    @property
    def choices(self) -> Choices:
        """What people chose in Slack, above what the operator set."""
        return self.store.choices.above(self.defaults)

    def links(self, report: Report, place: Thread) -> tuple[str | None, str | None]:
        """The address of a report's page for those who read it at a place, and what begins a ticket about it."""
        return self.page(place), self.new_ticket(report)

    def alone(self, identity: str) -> Alone:
        """Alone with one dump: two links to it at the same time are one analysis and one story, whichever workers have
        them."""
        lock = self.locks.get(identity)
        if lock is None:
            lock = self.locks[identity] = asyncio.Lock()
        holds = None if self.store.handover is None else self.store.holds
        return Alone(lock, holds, f"{self.store.tenant or ''} {identity}", self.lease_seconds)

    def flight(self, link: str) -> Flight:
        """The reading of one link, by its fingerprint, for as long as a job holds it."""
        flight = self.flights.get(link)
        if flight is None:
            flight = self.flights[link] = Flight()
        return flight
