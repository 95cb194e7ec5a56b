"""Links to our own pages: what shows below them, and to whom nothing does."""

import json
import logging
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot import acts, blocks
from bot.listeners.intake import Rules
from bot.outbound import BadMessage, Message, checked_unfurl
from bot.sandbox import Message as Posted
from bot.sandbox import StandIn
from bot.sandbox.events import link_composed, link_shared
from bot.sandbox.server import BOT_TOKEN
from bot.sandbox.workspace import Channel
from bot.standing import Standing
from bot.web.addresses import is_own, linked
from bot.web.guard import Access
from bot.web.links import sign
from storage.forgetting import Which
from storage.knowledge import Known, KnownIssue
from storage.store import Store
from tests.bot.kit import (
    ANNA,
    BOT,
    CRASHES,
    DIRECT,
    NO_BOT,
    Analyst,
    bot,
    dump,
    is_done,
    mishaps,
    replies,
    shown,
    until,
)
from tests.bot.reports import GOLDEN, sample
from tests.bot.server import page, serving

PAGES, SECRET_WORD = "https://pileup.example", "0123456789abcdef"
BEN, GENERAL, SECRET, SHARED = "U0BEN00001", "C0GENERAL1", "C0SECRET01", "C0SHARED01"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ACCESS = Access(SECRET_WORD, PAGES)
BOTH = pytest.mark.parametrize("transport", ["socket", "http"])
HOSTILE = "<!channel>*`&"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        space = stand_in.workspace
        space.unfurl_domains.add("pileup.example")
        space.channels[SECRET] = Channel(SECRET, "merger", {space.bot.id, ANNA}, is_private=True)
        space.channels[SHARED] = Channel(SHARED, "with-acme", {space.bot.id, ANNA}, is_shared=True)
        yield stand_in


def signed(channel: str, number: int, days: int = 1) -> str:
    return f"{PAGES}/open/{sign(SECRET_WORD, channel, datetime.now(UTC) + timedelta(days=days))}/{number}"


def preview(message: Posted) -> str:
    """Everything that stands below the links of a message."""
    return "\n".join(shown(Posted("1", "U", "", blocks=said["blocks"])) for said in message.unfurled.values())


class Poster:
    """Posts links, and waits until the bot has decided what to show of each."""

    def __init__(self, slack: StandIn, caplog: pytest.LogCaptureFixture) -> None:
        self.slack, self._caplog = slack, caplog
        caplog.set_level(logging.INFO, "bot.listeners.unfurling")

    def decided(self) -> list[tuple[object, ...]]:
        """How many of how many links the bot came to show, for each event."""
        said = [one.args for one in self._caplog.records if str(one.msg).startswith("links to pages: %d of")]
        return [args for args in said if isinstance(args, tuple)]

    async def __call__(self, channel: str, link: str, user: str = ANNA) -> Posted:
        before = len(self.decided())
        said = self.slack.workspace.say(channel, user, f"look: <{link}>")
        await until(lambda: len(self.decided()) > before)
        if self.decided()[before][0]:
            await until(lambda: said.unfurled)
        return said


@pytest.fixture
def post(slack: StandIn, caplog: pytest.LogCaptureFixture) -> Poster:
    return Poster(slack, caplog)


def test_it_reads_as_agreed() -> None:
    report = sample("seed")
    issue = KnownIssue("loses requests", "ACME-7", "4.2.1", ANNA, NOW)
    stands = Standing(Known(BEN, ANNA, issue), "rassstp.sys", "10.0")
    seen = blocks.Seen(9, datetime(2026, 5, 3, tzinfo=UTC), 4, is_counter=True)
    made = {
        "plain": checked_unfurl(blocks.unfurled(report, None, Standing())),
        "known": checked_unfurl(blocks.unfurled(report, seen, stands)),
        "live": checked_unfurl(
            blocks.unfurled(replace(report, dump=replace(report.dump, live=True)), None, Standing())
        ),
    }
    text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
    path = GOLDEN / "slack" / "unfurl.json"
    if os.environ.get("PILEUP_WRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


def test_names_from_a_dump_say_nothing_to_slack() -> None:
    report = sample("seed")
    assert report.verdict.culprit is not None
    culprit = replace(report.verdict.culprit, module=HOSTILE, version=HOSTILE)
    bad = replace(
        report,
        verdict=replace(report.verdict, summary=HOSTILE * 800, culprit=culprit),
        system=replace(report.system, computer_name=HOSTILE),
    )
    content = checked_unfurl(blocks.unfurled(bad, None, Standing()))
    assert "<!channel>" not in str(content["blocks"])
    with pytest.raises(BadMessage):
        checked_unfurl(Message("words alone"))


@pytest.mark.parametrize(
    ("url", "number"),
    [
        (f"{PAGES}/crashes/12", 12),
        (f"{PAGES}/crashes/12/?x=1#stack", 12),
        ("http://PILEUP.example/crashes/12", 12),
        (f"{PAGES}/crashes/12.json", None),
        (f"{PAGES}/crashes/", None),
        (f"{PAGES}/groups/12", None),
        ("https://pileup.example.evil.test/crashes/12", None),
        ("https://pileup.example:8443/crashes/12", None),
        ("https://pileup.example@evil.test/crashes/12", None),
        ("https://pileup.example:port/crashes/12", None),
        ("ftp://pileup.example/crashes/12", None),
        (f"{PAGES}/open/{sign(SECRET_WORD, 'C1', NOW + timedelta(1))}/12", 12),
        (f"{PAGES}/open/{sign(SECRET_WORD, 'C1', NOW - timedelta(1))}/12", None),  # it has ended
        (f"{PAGES}/open/{sign('another secret', 'C1', NOW + timedelta(1))}/12", None),
        (f"{PAGES}/open/{sign(SECRET_WORD, 'C1', NOW + timedelta(1))}", None),  # of a channel, not of a crash
    ],
)
def test_which_crash_an_address_is_about(url: str, number: int | None) -> None:
    found = linked(url, ACCESS, NOW)
    assert (found and found.number) == number
    assert linked(url, Access(SECRET_WORD), NOW) is None
    below = url.replace("example/", "example/pileup/")
    there = linked(below, Access(SECRET_WORD, f"{PAGES}/pileup"), NOW)
    assert (there and there.number) == number


def test_a_signed_link_shows_its_channel_and_no_more() -> None:
    found = linked(f"{PAGES}/open/{sign(SECRET_WORD, 'C1', NOW + timedelta(1))}/12", ACCESS, NOW)
    assert found is not None
    assert (found.sight.channels, found.sight.public_of) == (frozenset({"C1"}), None)
    assert is_own(PAGES + "/", ACCESS)
    assert not is_own("https://elsewhere.example/crashes/12", ACCESS)


@BOTH
async def test_a_link_shows_the_verdict_where_everybody_may_see_it(
    slack: StandIn, tmp_path: Path, post: Poster, transport: str
) -> None:
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    more: dict[str, Any] = {"transport": transport, "web_url": PAGES, "web_secret": SECRET_WORD}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), **more):
        said = [slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))]
        await until(lambda: is_done(slack, said[0]))
        said.append(slack.workspace.say(SECRET, ANNA, files.url("/b.dmp")))
        await until(lambda: is_done(slack, said[1]))
        slack.press(CRASHES, replies(slack, said[0])[0].ts, acts.ACKNOWLEDGE, BEN)
        await until(lambda: "acknowledged by" in str(replies(slack, said[0])[0].blocks))

        public = await post(GENERAL, f"{PAGES}/crashes/1")
        assert "rassstp.sys" in preview(public)
        assert f"acknowledged by @{BEN}" in preview(public)
        fallbacks = [shown["fallback"] for shown in public.unfurled.values()]
        assert len(fallbacks) == 1
        assert "rassstp.sys" in fallbacks[0]
        assert "0x9f DRIVER_POWER_STATE_FAILURE" in fallbacks[0]
        assert preview(await post(NO_BOT, signed(CRASHES, 1)))  # a public channel, with or without the bot

        inside = await post(SECRET, f"{PAGES}/crashes/2")
        assert "deadlock" in preview(inside)
        for link in (f"{PAGES}/crashes/2", signed(SECRET, 2)):
            for channel in (GENERAL, CRASHES, SHARED, "D0BEN00001"):
                assert preview(await post(channel, link, BEN if channel[0] == "D" else ANNA)) == ""
        assert "deadlock" in preview(await post(DIRECT, f"{PAGES}/crashes/2"))  # with who is in that channel

        shared = await post(SHARED, f"{PAGES}/crashes/1")  # people of another workspace read there
        assert preview(shared) == ""
        for link in (
            signed(SECRET, 1),
            signed(CRASHES, 1, days=-1),
            f"{PAGES}/open/forged.1.x/1",
            f"{PAGES}/crashes/9",
        ):
            assert preview(await post(GENERAL, link)) == ""
        both = await post(GENERAL, f"{PAGES}/crashes/2> and <{PAGES}/crashes/1")
        assert list(both.unfurled) == [f"{PAGES}/crashes/1"]
        assert mishaps(slack) == []
    assert all("analysed" not in shown(m) for m in replies(slack, public, GENERAL))


@BOTH
async def test_what_stands_below_a_link_changes_with_what_is_said(
    slack: StandIn, tmp_path: Path, post: Poster, transport: str
) -> None:
    more: dict[str, Any] = {"transport": transport, "web_url": PAGES, "web_secret": SECRET_WORD}
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(), **more):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        links = (f"{PAGES}/crashes/1?from=mail", signed(CRASHES, 1))
        shown_at = [await post(GENERAL, link) for link in links] + [await post(DIRECT, links[0])]
        slack.press(CRASHES, replies(slack, said)[0].ts, acts.ACKNOWLEDGE, BEN)
        await until(lambda: all(f"acknowledged by @{BEN}" in preview(one) for one in shown_at))
        assert mishaps(slack) == []
    with Store.open(tmp_path / "pileup.sqlite") as store:
        kept = [one.link for one in store.unfurls.of_reports([1])]
        assert sorted(kept) == sorted([links[0], links[0], re.sub(r"[^.]{43}/1$", "*/1", links[1])])
        store.forget(Which(channel=GENERAL))
        assert [one.channel for one in store.unfurls.of_reports([1])] == [DIRECT]
        store.forget(Which(numbers=(1,)))
        assert store.unfurls.of_reports([1]) == []


@BOTH
async def test_what_is_being_typed_and_channels_of_which_nothing_is_known_show_nothing(
    slack: StandIn, tmp_path: Path, post: Poster, transport: str
) -> None:
    space = slack.workspace
    space.channels["C0OTHERS01"] = Channel("C0OTHERS01", "board", {ANNA, BEN}, is_private=True)  # without the bot
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), transport=transport, web_url=PAGES, users=ANNA),
    ):
        said = space.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        slack.deliveries.emit(link_composed(space, ANNA, f"{PAGES}/crashes/1"))
        await until(lambda: post.decided() == [(0, 1)])
        unknown = await post("C0OTHERS01", f"{PAGES}/crashes/1")
        stranger = await post(GENERAL, f"{PAGES}/crashes/1", BEN)  # to whom the bot does not listen
        assert slack.calls_of("chat.unfurl", ok=False) == []
        assert (preview(unknown), preview(stranger)) == ("", "")


async def test_an_event_that_comes_twice_is_one_call_and_a_deleted_message_none_that_fails_loudly(
    slack: StandIn, tmp_path: Path, post: Poster
) -> None:
    slack.faults.redeliver = 1.0
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), web_url=PAGES),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        slack.faults.rate_limit(0.5, method="chat.unfurl")
        first = slack.workspace.say(GENERAL, ANNA, f"<{PAGES}/crashes/1>")
        await until(lambda: first.unfurled and len(post.decided()) == 2)
        assert sorted(post.decided()) == [(0, 1), (1, 1)]
        assert len(slack.calls_of("chat.unfurl")) == 1
        slack.faults.redeliver = 0.0
        slack.faults.fail("chat.unfurl", "cannot_unfurl_url")
        slack.workspace.say(GENERAL, ANNA, f"<{PAGES}/crashes/1>")
        await until(lambda: "chat.unfurl: cannot_unfurl_url" in mishaps(slack))
        assert preview(await post(GENERAL, f"{PAGES}/crashes/1"))


async def test_a_link_to_a_page_is_a_question_about_its_crash_and_no_dump(
    slack: StandIn, tmp_path: Path, post: Poster
) -> None:
    analyst = Analyst()
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, analyst, web_url=PAGES, web_secret=SECRET_WORD),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        for words in (f"{BOT} <{PAGES}/crashes/1>", f"{BOT} <{signed(CRASHES, 1)}|this>"):
            asked = slack.workspace.say(CRASHES, ANNA, words)
            await until(lambda asked=asked: replies(slack, asked))  # type: ignore[misc]  # bound at once
            assert "rassstp.sys" in shown(replies(slack, asked)[0])
        with_link = slack.workspace.say(CRASHES, ANNA, f"see <{PAGES}/crashes/1.dmp>")
        await post(GENERAL, f"{PAGES}/crashes/1")
        assert replies(slack, with_link) == []
    assert analyst.runs == 1
    assert Rules("U1").named(f"<{PAGES}/crashes/1>") == f"<{PAGES}/crashes/1>"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": CRASHES, "ts": "TS", "unfurls": {f"{PAGES}/crashes/2": {"blocks": []}}}, "cannot_unfurl_url"),
        ({"channel": CRASHES, "ts": "TS", "unfurls": {"https://other.test/": {"blocks": []}}}, "cannot_unfurl_url"),
        ({"channel": CRASHES, "ts": "1.1", "unfurls": {f"{PAGES}/crashes/1": {}}}, "cannot_unfurl_message"),
        ({"channel": "C9", "ts": "TS", "unfurls": {f"{PAGES}/crashes/1": {}}}, "cannot_find_channel"),
        ({"ts": "TS", "unfurls": {f"{PAGES}/crashes/1": {}}}, "missing_channel"),
        ({"channel": CRASHES, "unfurls": {f"{PAGES}/crashes/1": {}}}, "missing_ts"),
        ({"channel": CRASHES, "ts": "TS", "unfurls": {}}, "missing_unfurls"),
        ({"channel": CRASHES, "ts": "TS", "unfurls": {f"{PAGES}/crashes/1": {"text": "x"}}}, "invalid_unfurls_format"),
        (
            {"channel": CRASHES, "ts": "TS", "unfurls": {f"{PAGES}/crashes/1": {"blocks": [{"type": "x"}]}}},
            "invalid_blocks",
        ),
    ],
)
async def test_the_stand_in_is_strict_about_what_is_shown(
    slack: StandIn, arguments: dict[str, Any], error: str
) -> None:
    said = slack.workspace.say(CRASHES, ANNA, f"<{PAGES}/crashes/1> and https://other.test/")
    client = AsyncWebClient(BOT_TOKEN, slack.api_url)
    given = {name: said.ts if value == "TS" else value for name, value in arguments.items()}
    with pytest.raises(SlackApiError) as refused:
        await client.api_call("chat.unfurl", json=given)
    assert refused.value.response["error"] == error
    assert said.unfurled == {}
    (event,) = link_shared(slack.workspace, slack.workspace.channels[CRASHES], said)
    assert [link["url"] for link in event["links"]] == [f"{PAGES}/crashes/1"]
