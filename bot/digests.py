"""Digests: what came to history in a day or a week, for a channel, when its plan says so.

A digest tells what every member of its channel may see, and mentions nobody.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analysis.verdict.report import Report
from bot.bar_chart import Bar, bar_chart, described, sparkline
from bot.conversation import Conversation
from bot.mrkdwn import Mrkdwn
from bot.outbound import Message
from bot.questions import Row
from bot.questions.trends import spike_words
from bot.sending import Upload
from bot.slack_text import render
from bot.standing import Standing, standing
from bot.tools import Tools
from storage.clock import moment, stamp, utc_now
from storage.digests import Period
from storage.hours import Plan, moment_at
from storage.jobs import Job, NewJob
from storage.periods import Failure, Noisy
from storage.reports import StoredReport
from storage.store import Store
from storage.threads import Thread
from storage.trends import Rising

DIGEST = "digest"  # the kind of jobs that send one
SHOWN, SHOWN_NEW, SHOWN_HOSTS, SHOWN_DRIVERS = 5, 5, 5, 3
MAX_LOOKED_AT = 200  # crashes of known issues that are looked at for regressions
LATE = timedelta(minutes=30)
Page = Callable[[Thread], str | None]
BEFORE = {"day": "the day before", "week": "the week before"}


@dataclass(frozen=True, slots=True)
class Line:
    """One failure of a digest: what it is, how often on how many hosts, how it stands, and where to read on; ``spike``
    says how much more often than before, where it is one."""

    text: str
    count: int
    hosts: int
    stands: Standing
    thread: str | None
    page: str | None
    spike: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """What a digest says. ``before`` is the number of crashes of the period before, ``due`` when it came late. A weekly
    one tells of ``rising`` failures, too."""

    period: Period
    zone: str
    crashes: int
    before: int
    failures: tuple[Line, ...]
    fresh: tuple[Line, ...]
    regressions: tuple[Line, ...]
    noisy: tuple[Noisy, ...]
    drivers: tuple[tuple[str, int], ...]
    bars: tuple[Bar, ...]
    is_late: bool = False
    rising: tuple[Line, ...] = ()

    @property
    def trend(self) -> str:
        """Against the period before: "4 more than the week before"."""
        more, when = self.crashes - self.before, BEFORE[self.period.every]
        if more == 0:
            return f"as many as {when}"
        return f"{abs(more)} {'more' if more > 0 else 'fewer'} than {when}"

    @property
    def days(self) -> str:
        """The days of the period, in its zone: "16 Nov to 23 Nov"."""
        start, end = (at.astimezone(ZoneInfo(self.zone)) for at in (self.period.start, self.period.end))
        return f"{start.day} {start:%b} to {end.day} {end:%b}"

    @property
    def spark(self) -> str:
        """The chart as characters."""
        return sparkline(self.bars)

    @property
    def legend(self) -> str:
        """What the chart's bars are."""
        return f"wide: this {self.period.every}, thin: {BEFORE[self.period.every]}"

    @property
    def chart_words(self) -> str:
        """The chart in words."""
        return described(self.bars, BEFORE[self.period.every])


def digest_of(store: Store, channel: str, plan: Plan, period: Period, page: Page, *, is_late: bool = False) -> Digest:
    """What the digest of a channel says of a period; ``store`` is history as the channel's members may see it."""
    periods, start, end = store.periods, period.start, period.end
    earlier = plan.before(plan.latest(start)).at
    shown = _Lines(store, channel, page)
    return Digest(
        period,
        plan.zone,
        periods.count(start, end),
        periods.count(earlier, start),
        shown.lines(periods.failures(start, end, SHOWN)),
        shown.lines(periods.fresh(start, end, SHOWN_NEW)),
        shown.regressions(periods.of_known_issues(start, end, MAX_LOOKED_AT)),
        tuple(periods.noisy(start, end, SHOWN_HOSTS)),
        tuple(periods.drivers(start, end, SHOWN_DRIVERS)),
        _bars(store, plan, period, earlier),
        is_late,
        shown.rising(store.trends.rising(end, SHOWN)) if plan.every == "week" else (),
    )


def digest_message(digest: Digest) -> Message:
    """The digest as one message."""
    return render("digest", digest=digest)


def digest_job(team: str, channel: str, plan: Plan, period: Period, *, extra: str = "") -> NewJob:
    """The job that sends a digest. With ``extra`` it is one more of the same period."""
    payload = {
        "team": team,
        "channel": channel,
        "ts": "",
        "thread": "",
        "plan": plan.to_json(),
        "period": period.name,
        "start": stamp(period.start),
        "end": stamp(period.end),
        "missed": period.missed,
    }
    return NewJob(f"digest:{team}:{channel}:{plan.every}:{period.name}{extra}", payload, DIGEST)


async def send_digest(tools: Tools, talk: Conversation, job: Job) -> None:
    """Send a digest and its chart, each once. Raises: Refused, Unreachable."""
    asked = job.payload
    plan = Plan.read(asked["plan"])
    period = Period(plan.every, asked["period"], moment(asked["start"]), moment(asked["end"]), asked["missed"])
    is_late = utc_now() - period.end > LATE
    digest = await asyncio.to_thread(
        lambda: digest_of(
            tools.store.seen_at(asked["team"], asked["channel"]),
            asked["channel"],
            plan,
            period,
            tools.page,
            is_late=is_late,
        )
    )
    await talk.announce(digest_message(digest))
    picture = (
        await asyncio.to_thread(bar_chart, digest.bars, digest.legend) if digest.crashes or digest.before else None
    )
    if picture is not None:
        name = f"crashes-{plan.every}-{period.name}.png"
        words = f"Crashes, {digest.days}: {digest.chart_words}"
        await talk.attach("chart", Upload(name, picture, f"Crashes, {digest.days}", Mrkdwn(words), words[:1000]))


def fall_due(tools: Tools, teams: list[str]) -> int:
    """Make jobs of the digests that are due in these workspaces; how many."""
    made = 0
    for team in teams:
        for channel, plan in tools.choices.subscriptions(team):
            since = tools.choices.since(team, channel, "digest-week" if plan.every == "week" else "digest-day")
            job = tools.store.digests.take(
                team,
                channel,
                plan,
                since,
                lambda period, at=(team, channel, plan): digest_job(*at, period),  # type: ignore[misc]  # bound at once
            )
            made += job is not None
    return made


@dataclass(frozen=True, slots=True)
class _Lines:
    # Makes lines of failures, as a channel may see them.
    store: Store
    channel: str
    page: Page

    def lines(self, failures: list[Failure]) -> tuple[Line, ...]:
        return tuple(self._line(one.latest, one.count, one.hosts) for one in failures)

    def regressions(self, crashes: list[StoredReport]) -> tuple[Line, ...]:
        # Crashes of a version in which the failure was mended; one line a failure, about its latest.
        found: dict[str, list[tuple[StoredReport, Standing]]] = {}
        for crash in crashes:
            report = self.store.reports.report(crash.id)
            stands = None if report is None else standing(self.store, report, whole=False)
            if stands is not None and stands.is_regression:
                found.setdefault(crash.signature, []).append((crash, stands))
        return tuple(
            self._line(mine[0][0], len(mine), len({crash.host for crash, _ in mine if crash.host}))
            for mine in found.values()
        )

    def rising(self, found: list[Rising]) -> tuple[Line, ...]:
        return tuple(
            replace(self._line(one.problem.latest, one.problem.count, one.problem.hosts), spike=spike_words(one.spike))
            for one in found
        )

    def _line(self, crash: StoredReport, count: int, hosts: int) -> Line:
        report: Report | None = self.store.reports.report(crash.id)
        stands = Standing() if report is None else standing(self.store, report, whole=False)
        told = self.store.threads.of_report(crash.id)
        here = next((thread for thread in told if thread.channel == self.channel), None)
        text = Row(_anywhere(crash), None).text
        page = None if here is None else self.page(here)
        return Line(text, count, hosts, stands, _link(here or next(iter(told), None)), page)


def _anywhere(crash: StoredReport) -> StoredReport:
    # A failure stands for all its machines: none of them is named.
    return replace(crash, host=None)


def _link(thread: Thread | None) -> str | None:
    return None if thread is None else thread.permalink


def _bars(store: Store, plan: Plan, period: Period, earlier: datetime) -> tuple[Bar, ...]:
    edges, before = _edges(plan, period.start, period.end), _edges(plan, earlier, period.start)
    zone = ZoneInfo(plan.zone)
    form = "%a" if plan.every == "week" else "%H"
    labels = [f"{edge.astimezone(zone):{form}}" for edge in edges[:-1]]
    counts = zip(labels, store.periods.buckets(edges), store.periods.buckets(before), strict=True)
    return tuple(Bar(label, now, then) for label, now, then in counts)


def _edges(plan: Plan, start: datetime, end: datetime) -> list[datetime]:
    # Seven days from hour to hour on the clock, or a day in eight parts.
    if plan.every == "day":
        return [start + (end - start) * part / 8 for part in range(8)] + [end]
    first = start.astimezone(ZoneInfo(plan.zone)).date()
    days = [moment_at(first + timedelta(days=day), plan.minute, plan.zone) for day in range(7)]
    return [start, *days[1:], end]
