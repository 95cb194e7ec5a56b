"""Symbols that come after the first verdict: the story is edited in place, once, whatever happens meanwhile."""

import asyncio
import dataclasses
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from analysis.symbols.names import PdbIdentity
from analysis.verdict.report import Report
from bot.fetch.download import Fetched
from bot.late import PENDING, edited_line
from bot.sandbox import Message, StandIn
from bot.symbols.fetching import SymbolServers
from storage import Store as History
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, replies, shown, until
from tests.bot.reports import sample
from tests.bot.server import page, serving
from tests.bot.symbol_store import Store
from tests.bot.symbol_store import serving as symbols_on
from tests.bot.test_faults import served
from tests.symbols.pdbs import GUID, Pdb

WANTED = PdbIdentity("probe.pdb", GUID, 1)
PLACE = f"/probe.pdb/{GUID}1/probe.pdb"


class Asking(Analyst):
    """An analysis that asks for a PDB, and names another culprit once it has it."""

    found: list[bool]

    async def __call__(
        self, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: object = None
    ) -> Report:
        report = await super().__call__(fetched, progress, symbols)
        assert isinstance(symbols, SymbolServers)
        answer = await asyncio.to_thread(symbols.ask, WANTED)
        self.found.append(answer.path is not None)
        return report if answer.path is None else named(report)


def named(report: Report) -> Report:
    """The report with another culprit, reason and pile-up."""
    culprit = report.verdict.culprit
    assert culprit is not None
    verdict = dataclasses.replace(
        report.verdict, culprit=dataclasses.replace(culprit, module="probe.sys"), summary="probe.sys did it."
    )
    return dataclasses.replace(report, verdict=verdict)


def analyst() -> Asking:
    made = Asking()
    made.found = []
    return made


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def server() -> Iterator[Store]:
    with symbols_on() as found:
        found.files[PLACE], found.faults[PLACE] = Pdb().build(), "held"
        yield found
        found.gate.set()


def told(slack: StandIn, said: Message) -> str:
    """The first reply: the summary."""
    return shown(replies(slack, said)[0])


async def test_the_verdict_comes_first_and_is_edited_when_symbols_arrive(
    slack: StandIn, server: Store, tmp_path: Path
) -> None:
    ours = analyst()
    path = f"srv*{tmp_path / 'cache'}*{server.url}"
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, ours, symbols=path, symbol_first_seconds=0.1),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said) and is_done(slack, said))
        first = replies(slack, said)
        assert "rassstp.sys holds" in told(slack, said)
        assert PENDING in told(slack, said)
        server.gate.set()
        await until(lambda: len({f.name for m in replies(slack, said) for f in m.files if f.name[-4:] == "json"}) == 2)
        await until(lambda: is_done(slack, said))
        with History.open(tmp_path / "pileup.sqlite") as history:
            await until(lambda: bool(history.sources.latest()))  # noted aside, after the verdict
            (place,) = history.sources.latest()
    assert ours.found == [False, True]
    assert (place.machine, place.place, place.outcome) == (socket.gethostname(), server.url, "found")
    text = told(slack, said)
    assert "probe.sys did it." in text
    assert "Edited: symbols that came late (probe.pdb) are taken into account." in text
    assert "The first verdict blamed rassstp.sys." in text
    assert PENDING not in text
    assert [message.ts for message in replies(slack, said)][: len(first)] == [message.ts for message in first]
    assert len(replies(slack, said)) == len(first) + 1  # the report as a file; nothing else is said twice
    assert list(said.reactions) == ["white_check_mark"]


async def test_when_nothing_comes_the_verdict_stands_and_says_no_more_that_it_may_change(
    slack: StandIn, server: Store, tmp_path: Path
) -> None:
    ours = analyst()
    server.faults[PLACE] = "slow"  # and then it is another version's
    server.files[PLACE] = Pdb(age=2).build()
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, ours, symbols=f"srv*{server.url}", symbol_first_seconds=0.1),
    ):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: PENDING in told(slack, said) if replies(slack, said) else False)
        await until(lambda: PENDING not in told(slack, said))
        await until(lambda: is_told(slack, said))
    assert ours.found == [False]
    assert "rassstp.sys holds" in told(slack, said)
    assert "Edited" not in told(slack, said)


async def test_a_bot_that_is_stopped_while_it_waits_leaves_the_rest_to_the_next(
    slack: StandIn, server: Store, tmp_path: Path
) -> None:
    path = f"srv*{tmp_path / 'cache'}*{server.url}"
    async with serving(**{"a.dmp": page(dump("seed"))}) as files:
        ours = analyst()
        async with bot(slack, tmp_path, ours, symbols=path, symbol_first_seconds=0.1):
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda: is_told(slack, said) and is_done(slack, said))
        assert PENDING in told(slack, said)
        before = len(replies(slack, said))
        server.gate.set()
        following = analyst()
        async with bot(slack, tmp_path, following, symbols=path, symbol_first_seconds=0.1):
            await until(lambda: "probe.sys did it." in told(slack, said))
            await until(lambda: len(replies(slack, said)) == before + 1)
    assert (ours.found, following.found) == ([False], [True])
    assert "Edited: symbols that came late are taken into account." in told(slack, said)


@pytest.mark.slow
async def test_after_kill_9_while_it_waits_the_next_bot_edits_the_same_thread(
    slack: StandIn, server: Store, tmp_path: Path
) -> None:
    settings = {
        "ANALYSIS_ASKS": "1",
        "PILEUP_SYMBOLS": f"srv*{tmp_path / 'cache'}*{server.url}",
        "PILEUP_SYMBOL_FIRST_SECONDS": "0.1",
    }
    async with serving(**{"a.dmp": page(dump("seed"))}) as files:
        async with served(slack, tmp_path, None, **settings) as process:
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda: is_told(slack, said) and is_done(slack, said), 30)
            assert PENDING in told(slack, said)
            before = len(replies(slack, said))
            process.send_signal(signal.SIGKILL)
            await process.wait()
        server.gate.set()
        async with served(slack, tmp_path, None, **settings):
            await until(lambda: "probe.sys did it." in told(slack, said), 30)
            await until(lambda: len(replies(slack, said)) == before + 1, 30)
    assert "Edited: symbols that came late are taken into account." in told(slack, said)


async def test_a_job_that_waits_for_symbols_keeps_no_other_waiting(
    slack: StandIn, server: Store, tmp_path: Path
) -> None:
    path = f"srv*{tmp_path / 'cache'}*{server.url}"
    async with (
        serving(**{"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}) as files,
        bot(slack, tmp_path, analyst(), symbols=path, symbol_first_seconds=0.1, workers=1),
    ):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, first) and PENDING in told(slack, first))
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_told(slack, second))
        assert PENDING in told(slack, first)


def test_a_story_that_did_not_change_is_not_called_edited() -> None:
    report = sample("seed")
    assert edited_line(report, dataclasses.replace(report, notes=("another",)), ("probe.pdb",)) == ""
    assert edited_line(report, named(report), ("a.pdb", "b.pdb", "c.pdb", "a.pdb")).startswith(
        "Edited: symbols that came late (a.pdb, b.pdb and 1 more) are taken into account. The first verdict blamed"
    )
