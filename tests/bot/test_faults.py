"""What real workspaces do to a bot: events twice, lost answers, 429, cut sockets, refused tokens, a killed process."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from bot.clients import goes_direct
from bot.sandbox import Message, StandIn
from bot.sandbox.sample import unpack
from bot.sandbox.server import APP_TOKEN, BOT_TOKEN
from bot.serve import serve
from bot.starting import CannotServe
from storage.errors import DatabaseUnreachable
from storage.jobs import Jobs
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, Analyst, bot, dump, is_done, is_told, replies, settings, shown, until
from tests.bot.server import page, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def keys(slack: StandIn) -> list[str]:
    """The metadata keys of all messages that stand in the channel, to find double posts."""
    found = slack.workspace.channels[CRASHES].messages.values()
    return [str(m.metadata["event_payload"]["key"]) for m in found if m.metadata]


async def test_a_look_at_the_queue_while_history_is_away_does_not_end_the_bot(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_jobs: Jobs) -> None:
        raise DatabaseUnreachable("no route")

    monkeypatch.setattr("bot.serve.HEALTH_SECONDS", 0.05)
    async with serving(page=page(dump("seed"))) as files, bot(slack, tmp_path, Analyst()):
        monkeypatch.setattr(Jobs, "counts", away)
        await until(lambda: "not known: DatabaseUnreachable" in caplog.text)
        monkeypatch.undo()
        said = slack.workspace.say(CRASHES, ANNA, f"{BOT} what is {files.url('/page')}")
        await until(lambda: is_told(slack, said))


async def test_every_event_twice_is_one_answer(slack: StandIn, tmp_path: Path) -> None:
    slack.faults.redeliver = True
    analyst = Analyst()
    async with serving(page=page(dump("seed"))) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, f"{BOT} what is {files.url('/page')}")
        await until(lambda: is_told(slack, said))
        await until(lambda: all(delivery.acked_after is not None for delivery in slack.deliveries.all))
    assert len(slack.deliveries.all) >= 4
    assert len(replies(slack, said)) == 6
    assert analyst.runs == 1


async def test_events_are_acknowledged_in_time_while_an_analysis_runs(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=60)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        for number in range(50):
            slack.workspace.say(CRASHES, ANNA, f"chatter {number}")
        await until(lambda: all(delivery.acked_after is not None for delivery in slack.deliveries.all))
        assert not is_done(slack, said)
    assert all(delivery.attempts == 1 for delivery in slack.deliveries.all)


async def test_slow_answers_delay_neither_acknowledgements_nor_the_end(slack: StandIn, tmp_path: Path) -> None:
    slack.faults.slow_seconds = 0.15
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert len(replies(slack, said)) == 6
    assert all(delivery.attempts == 1 for delivery in slack.deliveries.all)


async def test_a_proxy_of_the_environment_is_not_asked_for_an_address_on_this_machine(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert goes_direct("http://localhost:1/api/")
    assert not goes_direct("https://slack.com/api/")


async def test_the_log_says_how_it_stands(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.serve.HEALTH_SECONDS", 0.1)
    with caplog.at_level("INFO"):
        async with bot(slack, tmp_path, Analyst()):
            await until(lambda: "health: socket connected, jobs 0 waiting" in caplog.text)


async def test_while_slack_answers_429_nothing_is_lost_and_nothing_doubled(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst()
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        slack.faults.rate_limit(2.2, retry_after=1)
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    refused = [call for call in slack.calls if call.error == "ratelimited"]
    assert 2 <= len(refused) <= 12, "Retry-After is kept, not hammered against"
    assert len(replies(slack, said)) == 6
    assert "rassstp.sys" in replies(slack, said)[0].text
    assert list(said.reactions) == ["white_check_mark"]


async def test_a_start_during_429_waits_and_then_works(slack: StandIn, tmp_path: Path) -> None:
    slack.faults.rate_limit(2.5, retry_after=1)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert any(call.error == "ratelimited" for call in slack.calls_of("auth.test", ok=False))


async def test_progress_gives_way_under_the_budget_and_the_verdict_does_not(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(seconds=2)):
        slack.faults.rate_limit(1.5, retry_after=1, method="chat.update")
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert len([call for call in slack.calls if call.error == "ratelimited"]) <= 3
    assert replies(slack, said)[0].text.startswith("rassstp.sys")


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update", "files.completeUploadExternal", "reactions.add"])
async def test_an_answer_that_is_lost_is_not_a_second_message(slack: StandIn, tmp_path: Path, method: str) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        slack.faults.lose_answer(method, times=1)
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert len(replies(slack, said)) == 6
    assert len(keys(slack)) == len(set(keys(slack)))


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update", "files.getUploadURLExternal"])
async def test_a_passing_fault_of_slack_is_waited_out(slack: StandIn, tmp_path: Path, method: str) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        slack.faults.fail(method, "internal_error", times=2)
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_told(slack, said))
    assert len(replies(slack, said)) == 6


async def test_blocks_that_slack_refuses_go_out_as_text(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst(seconds=1)):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: replies(slack, said))
        slack.faults.fail("chat.postMessage", "invalid_blocks")
        await until(lambda: is_told(slack, said))
    assert replies(slack, said)[1].blocks == []
    assert "nt!PiEngineLock" in replies(slack, said)[1].text


async def test_uploads_that_are_refused_cost_only_the_files(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, Analyst()):
        slack.faults.fail("files.getUploadURLExternal", "missing_scope", times=99)
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: is_done(slack, said) and len(replies(slack, said)) == 4)


async def test_a_socket_that_is_cut_comes_back_and_nothing_is_lost(
    slack: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.serve.PING_SECONDS", 1.0)
    analyst = Analyst(seconds=1)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("deadlock"))}
    async with serving(**routes) as files, bot(slack, tmp_path, analyst):
        first = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        await slack.socket_mode.drop_all()
        second = slack.workspace.say(CRASHES, ANNA, files.url("/b.dmp"))
        await until(lambda: is_told(slack, first) and is_told(slack, second), 30)
    assert len(replies(slack, first)) == 6
    assert len(replies(slack, second)) == 6
    assert analyst.runs == 2


async def test_a_reply_that_somebody_deleted_is_told_again(slack: StandIn, tmp_path: Path) -> None:
    analyst = Analyst(seconds=1)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files, bot(slack, tmp_path, analyst):
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await analyst.running.wait()
        slack.workspace.delete(slack.workspace.channels[CRASHES], replies(slack, said)[0])
        await until(lambda: is_told(slack, said))
    assert "rassstp.sys holds" in replies(slack, said)[0].text


async def test_refused_tokens_are_said_in_one_line(slack: StandIn, tmp_path: Path) -> None:
    slack.faults.invalid_auth = True
    with pytest.raises(CannotServe, match="refuses the bot token: invalid_auth"):
        await serve(settings(slack, tmp_path))
    slack.faults.invalid_auth = False
    with pytest.raises(CannotServe, match="refuses the app token: invalid_auth"):
        await serve(settings(slack, tmp_path, slack_app_token="xapp-other"))
    with pytest.raises(CannotServe, match="and PILEUP_SLACK_SIGNING_SECRET"):
        await serve(settings(slack, tmp_path, transport="http"))
    with pytest.raises(CannotServe, match="PILEUP_SLACK_BOT_TOKEN"):
        await serve(settings(slack, tmp_path, slack_bot_token=None))
    await slack.stop()
    with pytest.raises(CannotServe, match="cannot be reached"):
        await serve(settings(slack, tmp_path))


async def test_a_history_that_cannot_be_opened_is_said_in_one_line(slack: StandIn, tmp_path: Path) -> None:
    (tmp_path / "pileup.sqlite").write_bytes(b"this is no database, and long enough to be read as one" * 20)
    with pytest.raises(CannotServe, match=r"history in .*pileup\.sqlite cannot be opened: file is not a database"):
        await serve(settings(slack, tmp_path))


async def test_a_graceful_stop_gives_the_job_back_and_the_next_start_finishes_it(
    slack: StandIn, tmp_path: Path
) -> None:
    slow = Analyst(seconds=30)
    async with serving(**{"a.dmp": page(dump("seed"))}) as files:
        async with bot(slack, tmp_path, slow):
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await slow.running.wait()
        assert not is_done(slack, said)
        async with bot(slack, tmp_path, Analyst()):
            await until(lambda: is_told(slack, said), 5)
    assert len(replies(slack, said)) == 6


@asynccontextmanager
async def served(
    slack: StandIn, home: Path, seconds: float | None, **more: str
) -> AsyncIterator["asyncio.subprocess.Process"]:
    """The bot in a process of its own, connected; killed at the end if it still runs. ``more`` are settings."""
    before = len(slack.calls_of("apps.connections.open"))
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PILEUP_HOME": str(home),
        "PILEUP_SLACK_BOT_TOKEN": BOT_TOKEN,
        "PILEUP_SLACK_APP_TOKEN": APP_TOKEN,
        "PILEUP_SLACK_API_URL": slack.api_url,
        "PILEUP_ALLOW_PRIVATE_ADDRESSES": "true",
    }
    environment |= more
    if seconds is not None:
        environment["ANALYSIS_TAKES"] = str(seconds)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bot.served", env=environment, cwd=home)
    try:
        await until(lambda: len(slack.calls_of("apps.connections.open")) > before and slack.socket_mode.connections)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


KILLED_WHEN = {
    "between the summary and the details": lambda slack, said: any("rassstp" in m.text for m in replies(slack, said)),
    "in the middle of the details": lambda slack, said: len(replies(slack, said)) >= 3,
}


@pytest.mark.parametrize(
    "moment",
    ["between the summary and the details", pytest.param("in the middle of the details", marks=pytest.mark.slow)],
)
async def test_after_kill_9_the_job_finishes_in_one_thread_without_a_double_post(
    slack: StandIn, tmp_path: Path, moment: str
) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files:
        async with served(slack, tmp_path, 0) as process:
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda: KILLED_WHEN[moment](slack, said))
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert not is_told(slack, said)
        async with served(slack, tmp_path, 0) as process:
            await until(lambda: is_told(slack, said) and is_done(slack, said), 30)
            process.terminate()
            assert await process.wait() == 0
    words = [shown(message) for message in replies(slack, said)]
    assert len(words) == 6, words
    assert len(keys(slack)) == len(set(keys(slack))) == 4
    assert "rassstp.sys holds nt!PiEngineLock" in words[0]
    assert "First time seen here." in words[0]


def _analysing(bot: int) -> int | None:
    # The bot's child that has its dump mapped: it is in the middle of its work.
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == bot and "/downloads/job-" in (status.parent / "maps").read_text():
                return int(status.parent.name)
    return None


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
async def test_after_kill_9_in_the_middle_of_a_real_analysis_the_job_finishes(slack: StandIn, tmp_path: Path) -> None:
    sample = unpack(tmp_path)
    async with serving(**{"a.dmp": page(sample.dump.read_bytes())}) as files:
        async with served(slack, tmp_path, None) as process:
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await until(lambda: _analysing(process.pid), poll=0.003)
            child = _analysing(process.pid)
            assert child is not None, "the analysis was over before it could be stopped"
            os.kill(child, signal.SIGSTOP)
            await until(lambda: any("Analysing" in message.text for message in replies(slack, said)))
            process.send_signal(signal.SIGKILL)
            await process.wait()
            os.kill(child, signal.SIGCONT)
        async with served(slack, tmp_path, None) as process:
            await until(lambda: is_told(slack, said) and is_done(slack, said), 30)
            process.terminate()
            assert await process.wait() == 0
        await until(lambda: not _runs(child))  # the orphan ends by itself: nobody reads what it says
    words = [shown(message) for message in replies(slack, said)]
    assert len(words) == 6, words
    assert len(keys(slack)) == len(set(keys(slack))) == 4
    assert "rassstp.sys did not return" in words[0]
    assert "First time seen here." in words[0]
    assert list((tmp_path / "downloads").iterdir()) == []


def _runs(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_killed_between_post_and_note_the_message_is_found_not_sent_again(slack: StandIn, tmp_path: Path) -> None:
    async with serving(**{"a.dmp": page(dump("seed"))}) as files:
        async with served(slack, tmp_path, 0) as process:
            slack.workspace.listeners.insert(0, lambda what, _, message: _kill_on_bot_post(process, what, message))
            said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
            await process.wait()
            slack.workspace.listeners.pop(0)
        assert len(replies(slack, said)) == 1
        async with served(slack, tmp_path, 0):
            await until(lambda: is_told(slack, said), 30)
    assert len(replies(slack, said)) == 6
    assert len(keys(slack)) == len(set(keys(slack)))


def _kill_on_bot_post(process: "asyncio.subprocess.Process", what: str, message: Message) -> None:
    # In the very moment in which Slack has the message and the bot does not know yet.
    if what == "posted" and message.bot_id and process.returncode is None:
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(("transport", "is_lost"), [("socket", False), ("socket", True), ("http", False)])
async def test_what_was_to_stand_below_a_message_that_is_gone_never_stands_in_the_channel(
    slack: StandIn, tmp_path: Path, transport: str, is_lost: bool
) -> None:
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), transport=transport),
    ):
        slack.faults.rate_limit(0.5, retry_after=1, method="chat.postMessage")
        if is_lost:
            slack.faults.lose_answer("chat.postMessage")
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: any(call.error == "ratelimited" for call in slack.calls))
        del slack.workspace.channels[CRASHES].messages[said.ts]  # and nobody hears of it
        with Store.open(tmp_path / "pileup.sqlite") as store:
            await until(lambda: store.jobs.counts()["failed"] == 1)
    assert len(slack.calls_of("chat.postMessage")) == len(slack.calls_of("chat.delete")) == 1 + is_lost
    assert list(slack.workspace.channels[CRASHES].messages) == []
