"""The chat page: what a person reads and writes, and that nothing from a message runs in the browser."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.sandbox import StandIn, Workspace, render
from bot.sandbox.page import add_pages
from bot.sandbox.server import BOT_TOKEN

CRASHES, ANNA = "C0CRASHES1", "U0ANNA0001"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn(pages=add_pages) as stand_in:
        yield stand_in


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def read(browser: aiohttp.ClientSession, address: str) -> str:
    async with browser.get(address) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_the_page_shows_channels_messages_blocks_and_threads(
    slack: StandIn, browser: aiohttp.ClientSession
) -> None:
    said = slack.workspace.say(CRASHES, ANNA, "look &lt;here&gt;: <https://dumps.example/a.dmp|the dump>")
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*rassstp.sys* holds `nt!PiEngineLock`"}},
        {
            "type": "rich_text",
            "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "0 <frame>"}]}],
        },
    ]
    async with browser.post(
        f"{slack.api_url}chat.postMessage",
        json={"channel": CRASHES, "thread_ts": said.ts, "text": "x", "blocks": blocks},
        headers={"Authorization": f"Bearer {BOT_TOKEN}"},
    ) as answer:
        assert (await answer.json())["ok"]
    top = await read(browser, slack.base)
    assert "#crashes" in top
    assert "#general" in top
    assert "look &lt;here&gt;" in top
    assert '<a href="https://dumps.example/a.dmp" rel="noreferrer">the dump</a>' in top
    assert "1 reply" in top
    thread = await read(browser, f"{slack.base}chat/{CRASHES}?thread={said.ts}")
    assert "<b>rassstp.sys</b> holds <code>nt!PiEngineLock</code>" in thread
    assert "<pre>0 &lt;frame&gt;</pre>" in thread


async def test_reactions_are_drawn_and_a_direct_message_is_no_channel(
    slack: StandIn, browser: aiohttp.ClientSession
) -> None:
    said = slack.workspace.say(CRASHES, ANNA, "look")
    said.reactions.update({"white_check_mark": ["U0PILEUP01"], "<b>": [ANNA, "U0PILEUP01"]})
    top = await read(browser, slack.base)
    assert '<span title=":white_check_mark:">✔ done 1</span>' in top
    assert '<span title=":&lt;b&gt;:">:&lt;b&gt;: 2</span>' in top
    direct = await read(browser, f"{slack.base}chat/D0ANNA0001")
    assert "<title>@pileup – " in direct
    assert 'placeholder="Message @pileup"' in direct


async def test_a_person_can_post_and_reply_and_mention(slack: StandIn, browser: aiohttp.ClientSession) -> None:
    form = {"user": ANNA, "text": "@pileup see https://dumps.example/a.dmp?x=1&y=2 <now>", "thread": ""}
    async with browser.post(f"{slack.base}chat/{CRASHES}", data=form) as answer:
        assert answer.status == 200
    (said,) = slack.workspace.channels[CRASHES].messages.values()
    assert said.text == "<@U0PILEUP01> see <https://dumps.example/a.dmp?x=1&amp;y=2> &lt;now&gt;"
    async with browser.post(f"{slack.base}chat/{CRASHES}", data=form | {"text": "more", "thread": said.ts}) as answer:
        assert "more" in await answer.text()
    assert len(slack.workspace.channels[CRASHES].thread(said.ts)) == 2


async def test_the_page_hears_of_every_change(slack: StandIn, browser: aiohttp.ClientSession) -> None:
    async with browser.get(f"{slack.base}chat/events") as stream, asyncio.timeout(5):
        assert await stream.content.readline() == b"data: changed\n"
        slack.workspace.say(CRASHES, ANNA, "news")
        await stream.content.readline()
        assert await stream.content.readline() == b"data: changed\n"
    fragment = await read(browser, f"{slack.base}chat/{CRASHES}?fragment=1")
    assert "news" in fragment
    assert "<html" not in fragment


async def test_a_permalink_leads_to_the_thread(slack: StandIn, browser: aiohttp.ClientSession) -> None:
    said = slack.workspace.say(CRASHES, ANNA, "look")
    reply = slack.workspace.say(CRASHES, ANNA, "the reply itself", said.ts)
    link = f"{slack.base}archives/{CRASHES}/p{reply.ts.replace('.', '')}?thread_ts={said.ts}&cid={CRASHES}"
    assert "the reply itself" in await read(browser, link)


async def test_nothing_a_message_holds_becomes_script(slack: StandIn, browser: aiohttp.ClientSession) -> None:
    for text in (
        EVIL,
        f"*{EVIL}*",
        f"<https://x/{EVIL}|{EVIL}>",
        "<javascript:alert(1)|x>",
        "<!date^1^x|" + EVIL + ">",
    ):
        slack.workspace.say(CRASHES, ANNA, text)
    async with browser.get(f"{slack.base}chat/{CRASHES}") as answer:
        html = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert "<script>alert" not in html
    assert 'href="javascript:' not in html
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_other_sites_cannot_post_and_other_names_do_not_answer(
    slack: StandIn, browser: aiohttp.ClientSession
) -> None:
    form = {"user": ANNA, "text": "x", "thread": ""}
    async with browser.post(
        f"{slack.base}chat/{CRASHES}", data=form, headers={"Origin": "https://evil.example"}
    ) as answer:
        assert answer.status == 403
    async with browser.get(slack.base, headers={"Host": "rebound.example"}) as answer:
        assert answer.status == 403
    for wrong in ({"user": "U404"}, {"thread": "1.5"}):
        async with browser.post(f"{slack.base}chat/{CRASHES}", data=form | wrong) as answer:
            assert answer.status == 400
    assert not slack.workspace.channels[CRASHES].messages


async def test_scripts_and_styles_are_served_and_nothing_beside_them(
    slack: StandIn, browser: aiohttp.ClientSession
) -> None:
    assert "EventSource" in await read(browser, f"{slack.base}chat/static/chat.js")
    assert "grid" in await read(browser, f"{slack.base}chat/static/chat.css")
    for address in ("chat/static/chat.html.j2", "chat/static/..%2fslack%2fsummary.j2", "chat/C404", "chat/file/F404"):
        async with browser.get(f"{slack.base}{address}") as answer:
            assert answer.status == 404


@given(st.text())
def test_any_text_is_rendered_without_a_tag_of_its_own(text: str) -> None:
    html = render.mrkdwn(text.replace("<", "&lt;").replace(">", "&gt;"), Workspace())
    allowed = {"b", "i", "s", "code", "pre", "br"}
    names = {part.partition(">")[0].strip("/") for part in html.split("<")[1:]}
    assert names <= allowed


@given(st.text())
def test_what_was_typed_reads_the_same(text: str) -> None:
    stored = render.typed(text, Workspace())
    assert "<!" not in stored


BLOCKS = [
    ({"type": "header", "text": {"type": "plain_text", "text": "<h>"}}, "<h4>&lt;h&gt;</h4>"),
    ({"type": "context", "elements": [{"type": "plain_text", "text": "*c*"}]}, '<p class="context">*c*</p>'),
    ({"type": "divider"}, "<hr>"),
    ({"type": "image", "image_url": "https://x/y.png", "alt_text": "a <b>"}, "[image] a &lt;b&gt;"),
    ({"type": "section", "fields": [{"type": "mrkdwn", "text": "_f_"}]}, "<p><i>f</i></p>"),
    ({"type": "table", "rows": [[{"type": "raw_text", "text": "<td>"}]]}, "<td>&lt;td&gt;</td>"),
    ({"type": "video"}, "[a block of type video]"),
    (
        {"type": "actions", "elements": [{"type": "button", "url": "https://x/", "text": {"text": "Go"}}]},
        '<a class="button" href="https://x/" rel="noreferrer">Go</a>',
    ),
    (
        {"type": "actions", "elements": [{"type": "button", "url": "javascript:x", "text": {"text": "Go"}}]},
        '<span class="button">Go</span>',
    ),
    (
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_list",
                    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}],
                },
                {"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://x/", "text": "two"}]},
            ],
        },
        '<ul><p>one</p></ul><blockquote><a href="https://x/" rel="noreferrer">two</a></blockquote>',
    ),
]


@pytest.mark.parametrize(("block", "html"), BLOCKS)
def test_each_kind_of_block_is_drawn_and_escaped(block: dict[str, object], html: str) -> None:
    assert html in render.blocks([block], Workspace())


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("```a\n<b>```", "<pre>a\n&lt;b&gt;</pre>"),
        ("~gone~ and *bold `x`*", "<s>gone</s> and <b>bold <code>x</code></b>"),
        ("<@U0ANNA0001> <@U404> <#C0CRASHES1>", "@anna</span> "),
        ("<!channel>", '<span class="mention alarm">@channel</span>'),
        (
            "<!date^1795157921^{time}|then &amp; there>",
            '<time datetime="2026-11-20T06:58:41+00:00" data-form="{time}">then &amp; there</time>',
        ),
        ("<!date^nonsense^{time}|then>", "then"),
        ("2*3*4 snake_case_name", "2*3*4 snake_case_name"),
    ],
)
def test_markup_is_drawn_as_slack_draws_it(text: str, html: str) -> None:
    assert html.replace("\n<b>", "\n&lt;b&gt;") in render.mrkdwn(text.replace("<b>", "&lt;b&gt;"), Workspace())


async def test_a_button_of_a_message_can_be_pressed_and_no_other(
    slack: StandIn, browser: aiohttp.ClientSession
) -> None:
    said = slack.workspace.say(CRASHES, ANNA, "x")
    button = {"type": "button", "action_id": "stop", "value": "7", "text": {"type": "plain_text", "text": "<Cancel>"}}
    said.blocks = [{"type": "actions", "elements": [button]}]
    assert '<button name="action" value="stop">&lt;Cancel&gt;</button>' in await read(browser, slack.base)
    place = f"{slack.base}chat/{CRASHES}/{said.ts}"
    async with browser.post(place, data={"action": "stop"}, allow_redirects=False) as answer:
        assert answer.status == 303
    async with browser.post(place, data={"action": "other"}) as answer:
        assert answer.status == 400
    payload = slack.deliveries.all[-1].payload
    assert (payload["type"], payload["actions"][0]["value"], payload["user"]["id"]) == ("block_actions", "7", ANNA)


async def test_what_a_link_leads_to_stands_below_its_message(slack: StandIn, browser: aiohttp.ClientSession) -> None:
    url = "https://pileup.example/crashes/1"
    said = slack.workspace.say(CRASHES, ANNA, f"<{url}>")
    text = {"type": "mrkdwn", "text": "*the verdict* &lt;script&gt;"}
    slack.workspace.unfurl(
        slack.workspace.channels[CRASHES], said, {url: {"blocks": [{"type": "section", "text": text}]}}
    )
    shown = await read(browser, f"{slack.base}chat/{CRASHES}")
    assert "<b>the verdict</b> &lt;script&gt;" in shown.partition('<blockquote class="unfurl"')[2]
