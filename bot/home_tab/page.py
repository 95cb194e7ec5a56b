"""What a person's home tab tells of history, as that person may see it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.questions import Row
from bot.standing import Standing, standing
from storage.channels import Channels
from storage.periods import Failure
from storage.reports import StoredReport
from storage.store import Store
from storage.threads import Thread

OPEN_FOR, DRIVERS_FOR = timedelta(days=28), timedelta(days=7)
SHOWN_OPEN, SHOWN_MINE, SHOWN_DRIVERS = 8, 8, 5
MAX_LOOKED_AT = 60  # failures, for those that are open


@dataclass(frozen=True, slots=True)
class Item:
    """One failure: what it is, how often on how many hosts, since when, how it stands, and where it can be acted on."""

    text: str
    count: int
    hosts: int
    since: datetime
    last: datetime
    number: int
    stands: Standing
    place: Thread | None


@dataclass(frozen=True, slots=True)
class Page:
    """What is open, and how many more are; what somebody looks after; which drivers were blamed most."""

    open: tuple[Item, ...]
    more: int  # or more than that, where ``is_cut``
    mine: tuple[Item, ...]
    more_mine: int
    drivers: tuple[tuple[str, int], ...]
    is_cut: bool = False

    @property
    def people(self) -> frozenset[str]:
        """The ids of those who are named."""
        return frozenset[str]().union(*(item.stands.people for item in (*self.open, *self.mine)))


def page_of(store: Store, person: str, now: datetime) -> Page:
    """The home tab of a person; ``store`` is history as that person may see it."""
    recent = store.periods.failures(now - OPEN_FOR, now, MAX_LOOKED_AT + 1)
    still = _open(store, recent[:MAX_LOOKED_AT])
    mine = list(_assigned(store, person))
    return Page(
        tuple(_item(store, failure, stands) for failure, stands in still[:SHOWN_OPEN]),
        max(0, len(still) - SHOWN_OPEN),
        tuple(_item(store, failure, stands) for failure, stands in mine[:SHOWN_MINE]),
        max(0, len(mine) - SHOWN_MINE),
        tuple(store.periods.drivers(now - DRIVERS_FOR, now, SHOWN_DRIVERS)),
        len(recent) > MAX_LOOKED_AT,
    )


def place_of(store: Store, number: int) -> Thread | None:
    """Where a crash was told, of the places that are seen: in a public channel, where it was; None for nowhere."""
    told = [place for place in store.threads.of_report(number) if place.form != "pointer"]
    return next((place for place in told if _is_public(store.channels, place)), next(iter(told), None))


def _open(store: Store, failures: Iterable[Failure]) -> list[tuple[Failure, Standing]]:
    found = ((failure, _standing(store, failure)) for failure in failures)
    return [(failure, stands) for failure, stands in found if is_open(stands)]


def is_open(stands: Standing) -> bool:
    """Whether nobody said yet in which version a failure is mended, or it came back in one."""
    issue = stands.known.issue
    return issue is None or issue.fixed_in is None or stands.is_regression


def _standing(store: Store, failure: Failure) -> Standing:
    # Of most failures nobody said anything, under whatever name they had: their reports need not be read.
    names = store.reports.aliases(failure.signature) | store.grouping.merged(failure.signature)
    if not store.knowledge.acts(names):
        return Standing()
    report = store.reports.report(failure.latest.id)
    return Standing() if report is None else standing(store, report, whole=False)


def _assigned(store: Store, person: str) -> Iterator[tuple[Failure, Standing]]:
    told = set()
    for name in store.knowledge.assigned(person):
        failure = store.periods.named(name)
        if failure is None or failure.signature in told:
            continue
        told.add(failure.signature)
        stands = _standing(store, failure)
        if stands.known.assigned_to == person:
            yield failure, stands


def _item(store: Store, failure: Failure, stands: Standing) -> Item:
    latest = failure.latest
    return Item(
        Row(_anywhere(latest), None).text,
        failure.count,
        failure.hosts,
        failure.first_seen,
        latest.seen_at,
        latest.id,
        stands,
        place_of(store, latest.id),
    )


def _anywhere(crash: StoredReport) -> StoredReport:
    # A failure stands for all its machines: none of them is named.
    return replace(crash, host=None)


def _is_public(channels: Channels, place: Thread) -> bool:
    room = channels.get(place.team, place.channel)
    return room is not None and room.kind == "public"
