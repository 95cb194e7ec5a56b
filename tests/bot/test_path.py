"""From a link in a channel to a thread, through the whole bot and the stand-in."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox import StandIn
from bot.web.links import read
from storage.clock import utc_now
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
    is_told,
    mishaps,
    replies,
    shown,
    until,
)
from tests.bot.server import page, serving, tagged


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_a_link_becomes_a_thread_with_summary_and_details(slack: StandIn, tmp_path: Path, transport: str) -> None:
    analyst = Analyst(seconds=0.5)
    routes = {"MEMORY.DMP": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, analyst, transport=transport):
        said = slack.workspace.say(CRASHES, ANNA, f"look: <{files.url('/MEMORY.DMP?key=secret')}>")
        await until(lambda: "eyes" in said.reactions)
        await until(lambda: is_told(slack, said))
        thread = replies(slack, said)
        words = [shown(message) for message in thread]
        assert "rassstp.sys holds nt!PiEngineLock" in words[0]
        assert "First time seen here." in words[0]
        assert words[1].startswith("*Pile-up*")
        assert words[2].startswith("pile-up-")
        assert words[3].startswith("*Evidence*")
        assert words[4].startswith("*Next steps*")
        assert words[5].startswith("pileup-report-")
        assert len(words) == 6
        assert thread[0].edited
        assert "rassstp.sys" in thread[0].text
        assert thread[2].files[0].content.startswith(b"\x89PNG")
        assert "wininit.exe 5 min" in thread[2].files[0].alt_text
        assert all(message.unfurl == (False, False) for message in thread if not message.files)
        assert list(said.reactions) == ["white_check_mark"]
        assert mishaps(slack) == []
        await until(lambda: not list((tmp_path / "downloads").glob("*")))
    assert "secret" not in str([message.to_json() for message in thread])


async def test_a_verdict_links_to_its_page_where_pages_have_an_address(slack: StandIn, tmp_path: Path) -> None:
    running = bot(slack, tmp_path, Analyst(), web_url="https://pileup.example", web_secret="sixteen characters")
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, running:
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
        summary = replies(slack, said)[0]
    (link,) = re.findall(r"<(https://pileup\.example/open/[^|>]*)\|Open report>", str(summary.blocks))
    token, number = link.split("/")[-2:]
    grant = read("sixteen characters", token, utc_now())
    assert (number, grant and grant.channel) == ("1", CRASHES)


async def test_progress_is_shown_with_a_figure_before_the_verdict(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=2.5)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said))
    edits = [call.arguments["text"] for call in slack.calls_of("chat.update")]
    assert any(text.startswith("Analysing: reading threads: ") and text.endswith(" %") for text in edits[:-1])
    assert edits[-1].startswith("rassstp.sys holds")
    assert len(slack.calls_of("chat.postMessage")) >= 1


async def test_the_same_dump_again_is_answered_with_a_pointer_and_no_analysis(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst()
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, analyst):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, first))
        again = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_done(slack, again))
    (pointer,) = replies(slack, again)
    summary = replies(slack, first)[0]
    assert f"/archives/{CRASHES}/p{summary.ts.replace('.', '')}?thread_ts={first.ts}" in str(pointer.blocks)
    assert "rassstp.sys" in pointer.text
    assert analyst.runs == 1


async def test_a_link_posted_again_is_not_downloaded_again_while_its_file_is_the_same(
    slack: StandIn, tmp_path: Path
) -> None:
    analyst = Analyst()
    async with serving(**{"a.dmp": tagged(dump("seed"), '"v1"')}) as files, bot(slack, tmp_path, analyst):
        for time in range(3):
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda said=said: is_done(slack, said))  # type: ignore[misc]  # bound at once
            assert ("was analysed" in replies(slack, said)[0].text) == (time > 0)
        files.routes["/a.dmp"] = tagged(dump("seed", 2), '"v2"')
        other = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, other))
        assert "2nd time" in shown(replies(slack, other)[0])
    assert [request.headers.get("if-none-match") for request in files.requests] == [None, '"v1"', '"v1"', '"v1"']
    assert analyst.runs == 2


async def test_a_dump_is_analysed_again_and_told_whole_after_the_rules_changed(slack: StandIn, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[ours]]\nmodule = "acme*"\nteam = "Drivers"\n')
    analyst = Analyst(rules=rules)
    routes = {"a.dmp": tagged(dump("seed"), '"v1"')}
    parents = []
    async with serving(**routes) as files, bot(slack, tmp_path, analyst, rules=rules):
        for expected in (1, 1, 2):
            if expected == 2:
                rules.write_text('[[ours]]\nmodule = "acme*"\nteam = "Kernel"\n')
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda said=said: is_done(slack, said))  # type: ignore[misc]  # bound at once
            assert analyst.runs == expected
            parents.append(said)
        await until(lambda: is_told(slack, said))
        former = replies(slack, parents[0])[0]  # which no second verdict may stand beside
        await until(lambda: "Edited: this dump was posted again and analyzed anew at" in shown(former))
        assert "Edited" not in shown(replies(slack, said)[0])
        rules.write_text("nonsense")
        last = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, last))
        assert "was analysed" in replies(slack, last)[0].text
    assert analyst.runs == 2
    assert [request.headers.get("if-none-match") for request in files.requests] == [None, '"v1"', None, '"v1"']


async def test_another_dump_of_a_failure_is_answered_in_short_and_counted_where_it_was_told_first(
    slack: StandIn, tmp_path: Path
) -> None:
    routes = {"a.dmp": page(dump("seed", 1)), "b.dmp": page(dump("seed", 2))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst()):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, first))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_done(slack, second))
        await until(lambda: "2 crashes, 1 host, since" in shown(replies(slack, first)[0]))
    (short,) = replies(slack, second)
    assert "The same failure again: 2nd time since" in shown(short)
    assert "on 1 host — first thread: here" in shown(short)
    assert f"/archives/{CRASHES}/p{replies(slack, first)[0].ts.replace('.', '')}" in str(short.blocks)
    assert "first thread" not in shown(replies(slack, first)[0])
    assert len(replies(slack, first)) == 6


async def test_two_links_to_one_dump_at_the_same_time_are_one_analysis(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=1)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, f"{files.url('/a.dmp')} and {files.url('/b.dmp')}")
        await until(lambda: is_told(slack, said))
        await until(lambda: sum("was analysed" in message.text for message in replies(slack, said)) == 1)
    assert len(replies(slack, said)) == 7
    assert analyst.runs == 1


async def test_links_that_nobody_asked_about_are_not_fetched(slack: StandIn, tmp_path: Path) -> None:
    async with serving(page=page(b"hello"), **{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        quiet = slack.workspace.say(CRASHES, ANNA, f"read {files.url('/page')}")
        slack.workspace.say(NO_BOT, ANNA, files.url("/a.dmp"))
        slack.workspace.say(CRASHES, ANNA, "no link at all")
        loud = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, loud))
        assert {request.path for request in files.requests} == {"/a.dmp"}
        assert len(files.requests) == 1
    assert replies(slack, quiet) == []


async def test_a_configured_host_is_looked_at_whatever_its_links_end_in(slack: StandIn, tmp_path: Path) -> None:
    async with (
        serving(latest=page(dump("seed"))) as files,
        bot(slack, tmp_path, Analyst(), link_hosts="127.0.0.1"),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/latest"))
        await until(lambda: is_told(slack, said))


async def test_channels_and_users_outside_the_allowed_ones_are_not_heard(slack: StandIn, tmp_path: Path) -> None:
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), channels="C0GENERAL1", users=ANNA),
    ):
        elsewhere = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        somebody = slack.workspace.say("C0GENERAL1", "U0BEN00001", files.url("/a.dmp"))
        said = slack.workspace.say("C0GENERAL1", ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said, "C0GENERAL1"))
    assert replies(slack, elsewhere) == []
    assert replies(slack, somebody, "C0GENERAL1") == []


async def test_a_link_in_a_thread_is_answered_in_that_thread(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        parent = slack.workspace.say(CRASHES, ANNA, "the lab machine died again")
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"), parent.ts)
        await until(lambda: is_told(slack, parent))
    assert list(said.reactions) == ["white_check_mark"]
    assert parent.reactions == {}


async def test_a_direct_message_is_answered_below_it(slack: StandIn, tmp_path: Path) -> None:
    async with serving(page=page(dump("seed"))) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(DIRECT, ANNA, f"please read {files.url('/page')}")
        await until(lambda: is_told(slack, said, DIRECT))


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_a_link_that_is_edited_in_counts_and_an_edit_without_one_does_not(
    slack: StandIn, tmp_path: Path, transport: str
) -> None:
    analyst = Analyst()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst, transport=transport):
        said = slack.workspace.say(CRASHES, ANNA, "wait, the link is")
        channel = slack.workspace.channels[CRASHES]
        slack.workspace.edit(channel, said, f"the link is {files.url('/a.dmp')}", [])
        await until(lambda: is_told(slack, said))
        slack.workspace.edit(channel, said, f"the link is this one: {files.url('/a.dmp')}", [])
        other = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, other))
    assert len(replies(slack, said)) == 6
    assert analyst.runs == 1


async def test_the_summary_is_broadcast_only_where_that_is_set(slack: StandIn, tmp_path: Path) -> None:
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), broadcast_channels=CRASHES),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    posts = slack.calls_of("chat.postMessage")
    assert [bool(call.arguments.get("reply_broadcast")) for call in posts] == [True, False, False, False]


async def test_a_mention_with_a_link_is_one_answer(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst()
    async with serving(page=page(dump("seed"))) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, f"{BOT} what is {files.url('/page')}")
        await until(lambda: is_told(slack, said))
        await until(lambda: all(delivery.acked_after is not None for delivery in slack.deliveries.all))
    assert len(replies(slack, said)) == 6
    assert analyst.runs == 1
