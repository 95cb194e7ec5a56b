"""Answers about change: more or fewer crashes than before, failures that are new, versions that crash or do not."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.questions.dates import add_months
from bot.questions.parts import Answer, Asked, crashes, day, times
from bot.wording import count as counted
from storage import Query, Store
from storage.spikes import Spike

FOUR_WEEKS = timedelta(weeks=4)
LONG = timedelta(days=62)
MAX_STEPS = 24
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Change:
    """How many crashes there were in four weeks, and in the four before."""

    now: int
    before: int

    @property
    def words(self) -> str:
        """The same in words."""
        change = "more often" if self.now > self.before else "less often" if self.now < self.before else "as often"
        return f"{crashes(self.now)} in the last 4 weeks, {self.before or 'none'} in the 4 weeks before: {change}"


def change_of(store: Store, query: Query, until: datetime) -> Change:
    """How often what a query picks crashed in the four weeks until then and in the four before."""
    middle = until - FOUR_WEEKS
    return Change(_count(store, query, middle, until), _count(store, query, middle - FOUR_WEEKS, middle))


def spike_words(spike: Spike) -> str:
    """A spike in words; ``storage.spikes`` has the rule."""
    usual = f"{spike.usual:.1f}".removesuffix(".0")
    return f"{crashes(spike.count)} in the last 7 days, against {usual} a week in the {spike.weeks} weeks before"


def trend(asked: Asked) -> Answer:
    """How often in the last four weeks and in the four before; month by month where the time asked of is long."""
    since = asked.query.since
    if since is not None and asked.until - since > LONG:
        return _by_month(asked, since)
    about = f"{asked.subject}: " if asked.names else ""
    lines = [f"{about}{change_of(asked.store, asked.query, asked.until).words}."]
    if since is None and asked.query.until is None:
        spike = asked.store.trends.spike(asked.query, asked.now)
        lines += [f"That is a spike: {spike_words(spike)}."] if spike is not None else []
    return Answer(tuple(lines))


def _by_month(asked: Asked, since: datetime) -> Answer:
    start = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    told: list[str] = []
    while start < asked.until and len(told) < MAX_STEPS:
        end = add_months(start, 1)
        told.append(f"{start:%B %Y} {_count(asked.store, asked.query, max(start, since), min(end, asked.until))}")
        start = end
    return Answer((f"{asked.subject or 'All crashes'} by month: {', '.join(told)}.",))


def _count(store: Store, query: Query, since: datetime, until: datetime) -> int:
    return store.search.count(dataclasses.replace(query, since=since, until=until))


def fresh(asked: Asked) -> Answer:
    """Failures whose very first crash lies in the time asked of; the last seven days where none is named."""
    query, time = asked.query, asked.time
    if query.since is None:
        query, time = dataclasses.replace(query, since=asked.now - timedelta(days=7)), " in the last 7 days"
    found = asked.store.search.fresh(query, SHOWN)
    if not found:
        return Answer((f"Nothing new{time}: every failure had been seen before.",))
    rows = asked.of([one.first for one in found])
    lines = [f"{counted(len(found), 'new failure')}{time}:"]
    lines += [
        f"{row.text}: first on {day(one.first.seen_at)}, {times(one.count)} so far"
        for row, one in zip(rows, found, strict=True)
    ]
    return Answer(tuple(lines), rows)


def versions(asked: Asked) -> Answer:
    """How often each version of a driver was blamed, and which were loaded without blame."""
    return _versions(asked, clean_first=False)


def clean(asked: Asked) -> Answer:
    """The versions of a driver that were loaded in crashes and never blamed."""
    return _versions(asked, clean_first=True)


def _versions(asked: Asked, *, clean_first: bool) -> Answer:
    driver = asked.query.module or next((name.value for name in asked.names), None)
    if driver is None:
        return Answer(("Which driver? Ask for example “which versions of acmevpn crash?”.",))
    names = {driver} if "." in driver else {driver, f"{driver}.sys"}
    query = Query(since=asked.query.since, until=asked.query.until)
    found = [one for name in sorted(names) for one in asked.store.search.versions(name, query)]
    if not found:
        return Answer((f"History knows no version of {driver}{asked.time}.",))
    bad = ", ".join(f"{one.version} ({one.blamed})" for one in found if one.blamed)
    good = ", ".join(f"{one.version} ({one.loaded})" for one in found if not one.blamed)
    blamed = f"Versions of {driver} that were blamed{asked.time}: {bad or 'none'}."
    loaded = f"Versions that were loaded in crashes of other causes and never blamed: {good or 'none'}."
    return Answer((loaded, blamed) if clean_first else (blamed, loaded))
