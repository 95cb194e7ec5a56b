"""WinDbg's output pasted in a message: from the message to the report in its thread."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.listeners.intake import PASTED, Rules, requests
from bot.sandbox import StandIn
from tests.bot.kit import ANNA, BOT, CRASHES, bot, is_told, replies, shown, until
from tests.bot.test_intake import body
from tests.windbg.texts import HUNG_SHUTDOWN, OLD_FAULT

RULES = Rules("U0BOT")


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_pasted_output_is_a_job_and_its_text_does_not_outlive_it() -> None:
    text = f"look:\n```{escaped(HUNG_SHUTDOWN)}```"
    (request,) = requests(body(text), RULES)
    assert request.job.secret == text
    assert request.job.payload["shown"] == PASTED
    assert text not in request.job.payload.values()


def test_links_that_a_debugger_printed_are_not_followed() -> None:
    text = f"<@U0BOT> {escaped(OLD_FAULT)}\n<http://go.microsoft.com/fwlink/?LinkID=1>"
    (request,) = requests(body(text), RULES)
    assert request.job.payload["shown"] == PASTED


def test_a_link_to_the_dump_beside_the_output_is_what_is_asked_for() -> None:
    text = f"{escaped(OLD_FAULT)}\n<https://h.example/a.dmp>"
    (request,) = requests(body(text), RULES)
    assert request.job.secret == "https://h.example/a.dmp"


def test_talk_about_a_bugcheck_is_no_output() -> None:
    assert requests(body("DRIVER_POWER_STATE_FAILURE (9f) again on db-12"), RULES) == []


async def test_the_report_of_pasted_output_is_told_in_its_thread(slack: StandIn, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, None):
        said = slack.workspace.say(CRASHES, ANNA, f"{BOT} {escaped(HUNG_SHUTDOWN)}")
        await until(lambda: is_told(slack, said))
    first = shown(replies(slack, said)[0])
    assert "wanmini7.sys did not return from a network unbind" in first
    assert list(said.reactions) == ["white_check_mark"]
