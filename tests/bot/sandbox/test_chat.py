"""The chat page in a real browser, as a person uses it: a link, its thread, buttons, windows, a question, home."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox import StandIn
from bot.sandbox.page import add_pages
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, until
from tests.bot.server import page, serving
from tests.browser import CHROMIUM, Page, chromium

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")]
ASIDE = 'aside[aria-label="Thread"]'
WRITE = "footer form:first-of-type input[name=text]"


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn(pages=add_pages) as stand_in:
        yield stand_in


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as made:
        yield made
        await made.picture(tmp_path / "as-it-ended.png")  # to be looked at when a test has failed


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_a_person_gets_a_verdict_acts_on_it_and_asks(
    slack: StandIn, browser: Page, tmp_path: Path, transport: str
) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(), transport=transport):
        await browser.open(slack.base)
        await browser.write(WRITE, f"look at {files.url('/a.dmp')}")
        await browser.enter()
        await browser.press(".below a", "replies")
        await browser.see("rassstp.sys holds", ASIDE)
        await browser.see("pileup-report-", ASIDE)

        await browser.press(f"{ASIDE} button", "Acknowledge")
        await browser.see("acknowledged by @anna", ASIDE)
        await browser.choose(f"{ASIDE} select", "@ben")
        await browser.press(f"{ASIDE} button", "Choose")
        await browser.see("assigned to @ben", ASIDE)

        await browser.press(f"{ASIDE} button", "Known issue…")
        await browser.press("#window button", "Save")  # nothing is written yet
        await browser.see("Say what is known.", "#window [role=alert]")
        await browser.write("#window textarea", "loses power requests")
        await browser.write('#window input[name^="fixed_in"]', "99.1")
        slack.workspace.say(CRASHES, ANNA, "chatter while the window is open")
        await browser.see("chatter while", "main")
        await browser.press("#window button", "Save")
        await browser.see("Known issue: loses power requests; fixed in rassstp.sys 99.1", ASIDE)
        await until(lambda: slack.workspace.views == {})
        await browser.press(f"{ASIDE} button", "Wrong verdict…")
        await browser.press("#window button", "Close")
        await browser.until("document.getElementById('window') === null")

        await browser.write(WRITE, "@pileup have we seen rassstp?")
        await browser.enter()
        await browser.press("main article:last-of-type .below a", "1 reply")
        await browser.see("Yes: rassstp.sys was seen once", ASIDE)
        await browser.write(WRITE, "/pileup last 5 crashes")
        await browser.enter()
        await browser.see("last 5 crashes", "main article.bot")
    assert browser.problems == []


async def test_each_person_sees_what_is_theirs(slack: StandIn, browser: Page, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, Analyst(), managers=ANNA):
        await browser.open(slack.base)
        await browser.choose("nav select", "ben")
        await browser.press("nav button", "Change")
        await browser.until("document.querySelector('nav select').selectedOptions[0].text === 'ben'")
        await browser.write(WRITE, "nothing here")
        await browser.enter()
        await browser.see("nothing here", "main article")
        await browser.press("main article", "nothing here")
        await browser.press("main .shortcut button", "Analyze dumps")
        await browser.see("Only visible to you", "main .whisper")
        (said,) = slack.workspace.channels[CRASHES].messages.values()
        assert (said.user, slack.workspace.whispers[0].user) == ("U0BEN00001", "U0BEN00001")
        await browser.press("nav a", "@pileup")
        await browser.press("h2 a", "Home")
        await until(lambda: any(d.payload.get("event", {}).get("tab") == "home" for d in slack.deliveries.all))
        button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
        slack.workspace.publish("U0BEN00001", {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]})
        await browser.press("main #home button", "Go")
        await until(lambda: slack.deliveries.all[-1].payload.get("container", {}).get("type") == "view")
