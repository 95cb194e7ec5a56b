"""The bot against a Slack that others wrote: threads, edits, files, questions, windows, scopes, installing.

``tests/second_slack`` says what that one knows, and what it takes though Slack does not.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from bot.install.scopes import bot_scopes
from bot.sandbox.signed_http import SignedHttp
from bot.serve import serve
from tests.bot.kit import SECRET, Analyst, dump, is_open, settings, until
from tests.bot.server import page, serving
from tests.second_slack.emulated import BOT, BOT_TOKEN, CLIENT_ID, CLIENT_SECRET, Emulated, emulated

NOT_THERE = {"users.conversations"}  # emulate has no such method; who sees what is then held to be less


@asynccontextmanager
async def listening(slack: Emulated, home: Path, analyst: Analyst | None = None, **more: Any) -> AsyncIterator[None]:
    """The bot, which takes the events of this Slack, until the block ends."""
    analyst = analyst or Analyst()
    given = {
        "transport": "http",
        "http_port": slack.bot_port,
        "slack_bot_token": BOT_TOKEN,
        "slack_app_token": None,
        "slack_signing_secret": SECRET,
    }
    stop = asyncio.Event()
    running = asyncio.create_task(
        serve(settings(slack, home, **(given | more)), analyse=analyst, stop=stop, pace_seconds=0.01)
    )
    try:
        await until(lambda: is_open(slack.bot_port) or running.done())
        await slack.subscribe(f"http://127.0.0.1:{slack.bot_port}/slack/events")
        yield
    finally:
        stop.set()
        await running


def done(slack: Emulated, ts: str) -> bool:
    """The bot has put its final reaction below a message and taken the first one away."""
    put = [given["name"] for method, given, _ in slack.calls if method == "reactions.add" and given["timestamp"] == ts]
    taken = [given for method, given, _ in slack.calls if method == "reactions.remove" and given["timestamp"] == ts]
    return bool({"white_check_mark", "x"} & set(put)) and bool(taken)


def whole(slack: Emulated) -> bool:
    """The report file, the last detail of a story, has arrived."""
    return any(
        file["name"].endswith(".json")
        for method, _, answer in slack.calls
        if method == "files.completeUploadExternal"
        for file in answer.get("files", [])
    )


async def test_a_thread_a_duplicate_and_a_question(tmp_path: Path) -> None:
    async with emulated() as slack, serving(**{"a.dmp": page(dump("seed"))}) as files, listening(slack, tmp_path):
        crashes = slack.channels["crashes"]
        said = await slack.say(crashes, f"the lab hung again: <{files.url('/a.dmp')}>")
        await until(lambda: done(slack, said) and whole(slack))
        told = await slack.thread(crashes, said)
        assert "rassstp.sys holds nt!PiEngineLock" in told[0]["text"]
        assert told[0]["edited"]["user"] == BOT  # one message, edited through its life
        assert {message["thread_ts"] for message in told} == {said}
        assert [Path(file["name"]).suffix for message in told for file in message.get("files", [])] == [".png", ".json"]
        again = await slack.say(crashes, f"and this? <{files.url('/a.dmp')}>")
        await until(lambda: done(slack, again))
        (pointer,) = await slack.thread(crashes, again)
        assert "This very dump was analysed" in pointer["text"]
        asked = await slack.say(crashes, f"<@{BOT}> have we seen rassstp?")
        await until(lambda: any(g.get("thread_ts") == asked for m, g, _ in slack.calls if m == "chat.postMessage"))
        assert "rassstp.sys was seen once" in (await slack.thread(crashes, asked))[0]["text"]
        assert {method for method, _ in slack.refused()} <= NOT_THERE
    posts = [given for method, given, _ in slack.calls if method == "chat.postMessage"]
    assert all((given["unfurl_links"], given["unfurl_media"]) == (False, False) for given in posts)


async def test_a_file_in_a_direct_message_is_fetched_and_a_question_there_answered(tmp_path: Path) -> None:
    async with emulated() as slack, listening(slack, tmp_path):
        opened = await slack.call("conversations.open", users=BOT)
        direct = opened["channel"]["id"]
        posted = await slack.upload(direct, "MEMORY.dmp", dump("seed"))
        await until(lambda: done(slack, posted) and whole(slack))
        assert "rassstp.sys holds nt!PiEngineLock" in (await slack.thread(direct, posted))[0]["text"]
        asked = await slack.say(direct, "help")
        await until(lambda: answered(slack, asked))
        # Its events do not say that this is a direct message; what asks for that needs a scope that we do not.
        assert {method for method, _ in slack.refused()} <= NOT_THERE | {"conversations.info"}


async def test_windows_and_the_home_tab_open_with_triggers_of_its_own(tmp_path: Path) -> None:
    async with emulated() as slack, serving(**{"a.dmp": page(dump("seed"))}) as files, listening(slack, tmp_path):
        crashes = slack.channels["crashes"]
        said = await slack.say(crashes, files.url("/a.dmp"))
        await until(lambda: done(slack, said) and whole(slack))
        summary = (await slack.thread(crashes, said))[0]
        await send(slack, pressed(slack, await slack.trigger(), crashes, summary, "known"))
        await until(lambda: views(slack, "views.update"))
        (form,) = views(slack, "views.update")
        assert form["title"]["text"] == "Known issue"
        values = {"note": "loses requests", "fixed_in": "99.1", "ticket": None}
        await send(slack, submitted(slack, form, values))
        await until(lambda: "Known issue: loses requests" in str(slack.calls[-1][1].get("blocks")))
        await send(slack, pressed(slack, await slack.trigger(), crashes, summary, "acknowledge"))
        await until(lambda: "acknowledged by" in str(slack.calls[-1][1].get("blocks")))
        await send(slack, pressed(slack, "a trigger of long ago", crashes, summary, "known"))
        await until(lambda: ("views.open", "invalid_trigger_id") in slack.refused())

        await send(slack, home_opened(slack), "events_api")
        await until(lambda: "Settings" in str(views(slack, "views.publish")))
        assert {method for method, _ in slack.refused()} <= NOT_THERE | {"views.open"}


async def test_messages_are_edited_deleted_and_their_channel_is_archived(tmp_path: Path) -> None:
    analyst = Analyst(seconds=0.2)
    routes = {"a.dmp": page(dump("seed")), "b.dmp": page(dump("exception")), "c.dmp": page(dump("deadlock"))}
    async with emulated() as slack, serving(**routes) as files, listening(slack, tmp_path, analyst):
        crashes, lab = slack.channels["crashes"], slack.channels["lab"]
        said = await slack.say(crashes, "the lab hung again")
        await slack.call("chat.update", channel=crashes, ts=said, text=f"here: <{files.url('/a.dmp')}>")
        await until(lambda: done(slack, said) and whole(slack))
        assert "rassstp.sys holds nt!PiEngineLock" in (await slack.thread(crashes, said))[0]["text"]

        analyst.seconds = 60.0
        analyst.running.clear()
        gone = await slack.say(crashes, files.url("/b.dmp"))
        await asyncio.wait_for(analyst.running.wait(), 20)
        await slack.call("chat.delete", channel=crashes, ts=gone)
        await until(lambda: ("reactions.remove", "message_not_found") in slack.refused())  # it gives up at once
        assert "amdppm" not in str(await slack.thread(crashes, gone))

        analyst.seconds = 0.5
        analyst.running.clear()
        shut = await slack.say(lab, files.url("/c.dmp"))
        await asyncio.wait_for(analyst.running.wait(), 20)
        await slack.call("conversations.archive", channel=lab)
        await until(lambda: ("chat.postMessage", "is_archived") in slack.refused())
        asked = await slack.say(crashes, f"<@{BOT}> last 5 crashes")
        await until(lambda: answered(slack, asked))  # it goes on, elsewhere
        assert "blocked" not in str(await slack.thread(lab, shut))


async def test_the_scopes_of_the_manifest_suffice_and_are_needed(tmp_path: Path) -> None:
    scopes = tuple(scope for scope in bot_scopes() if scope != "files:write")
    async with (
        emulated(scopes=scopes) as slack,
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        listening(slack, tmp_path),
    ):
        said = await slack.say(slack.channels["crashes"], files.url("/a.dmp"))
        await until(lambda: done(slack, said))
        await until(lambda: ("files.getUploadURLExternal", "missing_scope") in slack.refused())
        told = [message["text"] for message in await slack.thread(slack.channels["crashes"], said)]
        assert "rassstp.sys holds nt!PiEngineLock" in told[0]  # the verdict stands without its files


async def test_a_workspace_installs_the_bot(tmp_path: Path) -> None:
    async with emulated(seeded=False) as slack, serving(**{"a.dmp": page(dump("seed"))}) as files:
        own = f"http://127.0.0.1:{slack.bot_port}"
        keys: dict[str, Any] = {"slack_client_id": CLIENT_ID, "slack_client_secret": CLIENT_SECRET, "http_url": own}
        async with listening(slack, tmp_path, slack_bot_token=None, **keys):
            assert "It works in Second now" in await approve(f"{own}/slack/install")
            said = await slack.say(slack.channels["crashes"], files.url("/a.dmp"))
            await until(lambda: done(slack, said) and whole(slack))
            assert {method for method, _ in slack.refused()} <= NOT_THERE


async def approve(address: str) -> str:
    """What an admin reads in the browser after saying yes."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(address) as asking:
            html, where = await asking.text(), asking.url
        form = next(form for form in re.findall(r"<form.*?</form>", html, re.DOTALL) if "anna" in form.lower())
        given = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
        action = re.search(r'action="([^"]+)"', form)
        assert action is not None
        there = where.join(URL(action[1]))
        async with browser.post(there, data={name: unescape(value) for name, value in given.items()}) as back:
            return unescape(await back.text())


def answered(slack: Emulated, ts: str) -> bool:
    """The bot has said something below a message."""
    return any(
        method == "chat.postMessage" and given.get("thread_ts") == ts and answer["ok"]
        for method, given, answer in slack.calls
    )


def views(slack: Emulated, method: str) -> list[dict[str, Any]]:
    """The views that a method was given and that were taken."""
    return [answer["view"] for called, _, answer in slack.calls if called == method and answer["ok"]]


async def send(slack: Emulated, payload: dict[str, Any], kind: str = "interactive") -> None:
    """Deliver what emulate itself does not send: presses, forms, a look at the home tab."""
    status, _ = await SignedHttp(f"http://127.0.0.1:{slack.bot_port}/slack/events", SECRET).post(kind, payload, 0)
    assert status == 200


def by_anna(slack: Emulated) -> dict[str, Any]:
    person = {"id": slack.people["anna"], "username": "anna", "team_id": slack.team}
    return {"user": person, "team": {"id": slack.team, "domain": "second"}, "token": "t", "api_app_id": "A0PILEUP02"}


def pressed(slack: Emulated, trigger: str, channel: str, message: dict[str, Any], action: str) -> dict[str, Any]:
    """A press on a button of a message."""
    place = {"type": "message", "message_ts": message["ts"], "channel_id": channel, "thread_ts": message["thread_ts"]}
    used = {"type": "button", "action_id": action, "block_id": "b", "value": "1", "action_ts": "1.1"}
    return by_anna(slack) | {
        "type": "block_actions",
        "trigger_id": trigger,
        "container": place,
        "channel": {"id": channel, "name": "crashes"},
        "message": message,
        "actions": [used],
    }


def submitted(slack: Emulated, form: dict[str, Any], values: dict[str, str | None]) -> dict[str, Any]:
    """A form that is sent."""
    blocks = [block for block in form["blocks"] if block["type"] == "input"]
    filled = {
        block["block_id"]: {
            block["element"]["action_id"]: {
                "type": block["element"]["type"],
                "value": values[block["block_id"]],
            }
        }
        for block in blocks
    }
    return by_anna(slack) | {"type": "view_submission", "view": form | {"state": {"values": filled}}}


def home_opened(slack: Emulated) -> dict[str, Any]:
    """Anna looks at the home tab."""
    event = {"type": "app_home_opened", "user": slack.people["anna"], "channel": "D0ANNA0002", "tab": "home"}
    return {"type": "event_callback", "event_id": "Ev2", "team_id": slack.team, "event": event | {"event_ts": "2.2"}}
