"""A channel's digest: what it says, that its text alone says it, that it comes once with its chart."""

import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bot import digest_preview, digests, rounds
from bot.digests import Digest, digest_message, digest_of
from bot.mrkdwn import plain
from bot.outbound import checked
from bot.sandbox import Message, StandIn
from storage.clock import utc_now
from storage.digests import TOO_LATE, Period
from storage.hours import Plan, clock
from storage.jobs import NewJob
from storage.store import Store
from storage.threads import Told
from tests.bot import past
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, until
from tests.bot.past import TEAM
from tests.bot.reports import GOLDEN
from tests.bot.test_blocks import said
from tests.storage.samples import Clock, report

GENERAL = "C0GENERAL1"
told = partial(past.told, hours=3, lock="nt!PiEngineLock")
WEEKLY = Plan.read({"every": "week", "at": "09:00", "zone": "Europe/Berlin", "weekday": "Monday"})
DAILY = Plan.read({"every": "day", "at": "09:00", "zone": "Europe/Berlin"})
HOSTILE = "<!channel>*`"


@pytest.fixture
def at() -> Clock:
    return Clock(datetime(2026, 11, 10, 12, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path, at: Clock) -> Store:
    return Store.open(tmp_path / "pileup.sqlite", at)


def week(store: Store, at: Clock) -> Digest:
    """A week with something of everything; the week before with less."""
    told(store, at, "9f/4 rassstp PiEngineLock", 2)
    at.now = datetime(2026, 11, 16, 12, tzinfo=UTC)
    told(store, at, "9f/4 rassstp PiEngineLock", 5)
    last = told(store, at, "133 acmenet", 3, code="0x133", module="acmenet.sys")
    told(store, at, "d1 evil", 1, code="0xd1", module=HOSTILE, host=HOSTILE)
    told(store, at, "elsewhere", 4, "C0PRIVATE1", module="secret.sys")
    issue = {"note": "loses requests " + HOSTILE, "ticket": "https://t.example/1", "fixed_in": "1.0"}
    store.knowledge.note("133 acmenet", "known", ANNA, issue, last)
    store.knowledge.note("9f/4 rassstp PiEngineLock", "assign", ANNA, {"to": "U0BEN00001"}, 1)
    store.knowledge.note("9f/4 rassstp PiEngineLock", "acknowledge", ANNA, {}, 1)
    at.now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    period = store.digests.period(WEEKLY, WEEKLY.latest(at()), 2)
    seen = store.seen_at(TEAM, CRASHES)
    return digest_of(seen, CRASHES, WEEKLY, period, lambda place: f"https://pileup.example/crashes/{place.report_id}")


def test_a_weeks_digest_reads_as_agreed(store: Store, at: Clock) -> None:
    digest = week(store, at)
    message = digest_message(digest)
    content = checked(message, "k")
    made = {"text": message.text, "blocks": list(message.blocks), "chart": digest.chart_words}
    path = GOLDEN / "slack" / "digest.json"
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("PILEUP_WRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")
    assert message.mentions == frozenset()
    assert "<@" not in str(content)
    assert "secret.sys" not in str(content)


def test_the_text_alone_tells_the_digest(store: Store, at: Clock) -> None:
    text = plain(digest_message(week(store, at)).text)
    assert text.startswith(
        "Weekly digest, 16 Nov to 23 Nov: 9 crashes, 7 more than the week before. Most: 0x9F rassstp.sys"
    )
    for words in ("0x133 acmenet.sys", "New: 2.", "Most crashes on PC-1 (", "2 digests before it were left out"):
        assert words in text


def test_a_crash_of_a_mended_version_is_told_as_a_regression(store: Store, at: Clock) -> None:
    at.now = datetime(2026, 11, 17, 12, tzinfo=UTC)
    crash = report("one", signature="9f/4 rassstp PiEngineLock", host="PC-1")
    assert crash.verdict.culprit is not None
    culprit = replace(crash.verdict.culprit, version="2.0")
    kept = store.remember(replace(crash, verdict=replace(crash.verdict, culprit=culprit)))
    store.threads.note(Told(report_id=kept.id, team=TEAM, channel=CRASHES, ts="1.1", summary_ts="1.2"))
    store.knowledge.note(kept.signature, "known", ANNA, {"note": "n", "fixed_in": "1.9"}, kept.id)
    period = store.digests.period(WEEKLY, WEEKLY.latest(datetime(2026, 11, 23, 12, tzinfo=UTC)))
    message = digest_message(digest_of(store, CRASHES, WEEKLY, period, lambda _: None))
    assert "Regressions: 0x9F rassstp.sys" in plain(message.text)
    assert "*Regressions*" in said(message)
    assert "fixed in 1.9" in said(message)


def test_a_spike_is_told_once_a_week_and_only_to_who_sees_it(store: Store, at: Clock) -> None:
    for weeks in range(8, 0, -1):
        at.now = datetime(2026, 11, 23, 6, tzinfo=UTC) - timedelta(days=7 * weeks + 3)
        told(store, at, "9f/4 rassstp PiEngineLock", 1)
        told(store, at, "calm", 1, module="calm.sys")
    at.now = datetime(2026, 11, 20, 6, tzinfo=UTC)
    told(store, at, "9f/4 rassstp PiEngineLock", 8)
    at.now = datetime(2026, 11, 20, 6, tzinfo=UTC)
    told(store, at, "elsewhere", 9, "C0PRIVATE1", module="secret.sys")
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    seen = store.seen_at(TEAM, CRASHES)
    weekly, daily = (
        digest_message(digest_of(seen, CRASHES, plan, store.digests.period(plan, plan.latest(now)), lambda _: None))
        for plan in (WEEKLY, DAILY)
    )
    checked(weekly, "k")
    words = "0x9F rassstp.sys, nt!PiEngineLock: 8 crashes on 3 hosts"
    assert f"Spikes: {words}." in plain(weekly.text)
    assert "*Spikes*" in said(weekly)
    assert "8 crashes in the last 7 days, against 1 a week in the 8 weeks before" in said(weekly)
    assert said(weekly).count("calm.sys") == 0
    assert "secret.sys" not in said(weekly)
    assert "Spikes" not in said(daily)


def test_an_empty_day_is_two_lines(store: Store) -> None:
    period = store.digests.period(DAILY, DAILY.latest(datetime(2026, 11, 23, 12, tzinfo=UTC)))
    message = digest_message(digest_of(store, CRASHES, DAILY, period, lambda _: None))
    checked(message, "k")
    assert said(message) == "*Daily digest, 22 Nov to 23 Nov*\nNo crash was reported, as many as the day before"
    assert plain(message.text) == "Daily digest, 22 Nov to 23 Nov: no crash was reported, as many as the day before."


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def posts(slack: StandIn, channel: str = CRASHES) -> list[Message]:
    return [m for m in slack.workspace.channels[channel].top() if "digest" in m.text]


def subscribed(home: Path, late: timedelta) -> Store:
    """A channel whose daily digest was due so long ago, with crashes in its day, and in a channel of others'."""
    due = utc_now() - late
    store = Store.open(home / "pileup.sqlite", lambda: due - timedelta(days=3))
    plan = Plan("day", (due.hour * 60 + due.minute), "UTC")
    store.choices.choose_plan(TEAM, CRASHES, "day", plan, ANNA)
    crashed = Clock(due - timedelta(hours=12))
    filling = Store.open(home / "pileup.sqlite", crashed)
    told(filling, crashed, "9f/4 rassstp PiEngineLock", 2)
    filling.close()
    return store


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_the_digest_comes_once_with_its_chart_whatever_is_lost_or_restarted(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.05)
    subscribed(tmp_path, timedelta(minutes=2)).close()
    slack.faults.lose_answer("chat.postMessage")
    for _ in range(2):
        async with bot(slack, tmp_path, Analyst(), transport=transport):
            await until(lambda: len(posts(slack)) == 1 and is_told_chart(slack))
    (digest,) = posts(slack)
    assert digest.thread_ts in (None, digest.ts)
    assert "2 crashes, 2 more than the day before" in plain(digest.text)
    assert "left out" not in digest.text
    assert "late" not in digest.text
    (chart,) = slack.workspace.files.values()
    assert chart.content.startswith(b"\x89PNG")
    assert "2" in chart.alt_text
    assert len(slack.workspace.channels[CRASHES].thread(digest.ts)) == 2


def is_told_chart(slack: StandIn) -> bool:
    return any(file.completed for file in slack.workspace.files.values())


async def test_one_that_is_due_since_hours_says_that_it_is_late(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.05)
    subscribed(tmp_path, timedelta(hours=3)).close()
    async with bot(slack, tmp_path, Analyst()):
        await until(lambda: len(posts(slack)) == 1)
    assert "This comes late: nobody was there to send it when it was due" in posts(slack)[0].text


async def test_two_bots_send_it_once_and_one_too_late_is_left_out(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.05)
    store = subscribed(tmp_path, timedelta(minutes=2))
    async with bot(slack, tmp_path, Analyst()), bot(slack, tmp_path, Analyst()):
        await until(lambda: len(posts(slack)) == 1 and is_told_chart(slack))
        store.choices.choose_plan(TEAM, GENERAL, "day", too_late(), ANNA)
        await until(lambda: not store.digests.take(TEAM, GENERAL, too_late(), utc_now() - timedelta(days=9), _none))
    assert (len(posts(slack)), len(posts(slack, GENERAL))) == (1, 0)
    store.close()


def too_late() -> Plan:
    due = utc_now() - TOO_LATE["day"] - timedelta(minutes=5)
    return Plan("day", due.hour * 60 + due.minute, "UTC")


def _none(_: Period) -> NewJob:
    raise AssertionError("it is too late for a job")


def test_the_command_prints_what_members_would_read(
    store: Store, at: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    week(store, at)
    store.close()
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    monkeypatch.setattr(digest_preview, "utc_now", at)
    assert digest_preview.run(CRASHES, "week", only_print=True) == 0
    out = capsys.readouterr().out
    assert out.startswith("*Weekly digest, 16 Nov to 23 Nov*\n9 crashes")
    assert "Chart: Mon" in out
    assert "secret.sys" not in out
    assert digest_preview.run("C0NOWHERE1", "week", only_print=True) == 2
    assert digest_preview.run(CRASHES, "day", only_print=False) == 0
    with Store.open(tmp_path / "pileup.sqlite") as after:
        (job,) = after.jobs.active()
    assert (job.kind, job.payload["channel"]) == (digests.DIGEST, CRASHES)
    assert clock(Plan.read(job.payload["plan"]).minute) == "09:00"
