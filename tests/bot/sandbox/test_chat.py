"""The chat page in a real browser, as a person uses it: a link, its thread, buttons, windows, a question, home."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox import StandIn
from bot.sandbox.page import add_pages
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, until
from tests.bot.server import page, serving
from tests.browser import CHROMIUM, Page, chromium

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
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


@pytest.mark.parametrize("transport", ["socket", pytest.param("http", marks=pytest.mark.slow)])
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
        await browser.until(f"document.querySelector('{ASIDE} img')?.alt.includes('nt!PiEngineLock')")

        await browser.press(f"{ASIDE} button", "Acknowledge")
        await browser.see("acknowledged by @anna", ASIDE)
        await browser.choose(f"{ASIDE} select", "@ben")
        slack.workspace.say(CRASHES, ANNA, "chatter while somebody is chosen")
        await browser.see("chatter while somebody", "main")
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

        await browser.press("nav a", "@pileup")
        await browser.press("h2 a", "Home")
        await browser.see("Open problems", "#home")
        await browser.see("rassstp.sys", "#home")  # among the drivers of the week; it is mended, and no open problem
        await browser.choose("#home select", "Verdicts in the thread, shown in the channel")
        await browser.press('#home .use:has(option[value="broadcast"]) button')
        await browser.see("Verdicts stand in the thread, and shown in the channel", "#home")
    assert browser.problems == []


@pytest.mark.slow
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
        slack.workspace.say(
            CRASHES, ANNA, f"it came <!date^{said.ts.partition('.')[0]}^{{date_pretty}}, {{time}}|then>"
        )
        await browser.see("it came today, ", "main article")  # in the form that was asked for
        assert (said.user, slack.workspace.whispers[0].user) == ("U0BEN00001", "U0BEN00001")
        await browser.press("nav a", "@pileup")
        await browser.press("h2 a", "Home")
        await browser.see("You have none: a rule may mention you at any hour.", "#home")
        await browser.press("#home button", "My quiet hours")
        await browser.write('#window input[name^="from"]', "22:00")
        await browser.write('#window input[name^="to"]', "07:00")
        await browser.press("#window button", "Save")
        await browser.see("You: no mentions of medium severity from 22:00 to 07:00", "#home")
