"""``pileup demo``: the whole path on this machine alone, as a user and an operator would see it.

Four parts run: the stand-in for Slack, a web server with the sample dump that is its symbol server too, the bot with
its worker (a process of its own, set up by environment variables only), and this script, which posts as a person and
prints what the channel shows. Nothing listens or connects beyond loopback, and nothing stays behind.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.demo_screen import Screen
from bot.sandbox import Message, StandIn
from bot.sandbox.page import add_pages
from bot.sandbox.sample import NoSample, Sample, unpack
from bot.sandbox.server import APP_TOKEN, BOT_TOKEN

CHANNEL, PERSON = "C0CRASHES1", "U0ANNA0001"
STORY_SECONDS = 90.0  # ten on a machine that does nothing else
STOP_SECONDS = 5.0
DOWNLOAD_SECONDS = 2.0  # the server is slowed down, or no one would see the progress
CHUNKS = 40
STORE = "/symbols"  # where the same server is a symbol server
# A proxy must not be asked for loopback, and the operator's own settings are not the demo's.
_NOT_OURS = ("PILEUP_", "_NT_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_ROOT = str(Path(__file__).resolve().parents[1])
_BOT = "import sys; from bot.cli import main; sys.exit(main())"


class DemoFailed(Exception):
    """The demo did not reach its end; the text says where it stopped."""


def run(*, stay: bool = False) -> int:
    """Play the demo; the exit status. ``stay`` keeps everything up until Ctrl-C."""
    try:
        asyncio.run(_play(stay=stay))
    except (DemoFailed, NoSample) as problem:
        print(f"pileup: {problem}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


async def _play(*, stay: bool) -> None:
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pileup-demo-")))
        sample = await asyncio.to_thread(unpack, home)
        slack = await stack.enter_async_context(StandIn(pages=add_pages))
        screen = Screen(slack.workspace)
        link = await stack.enter_async_context(_file_server(sample))
        _stop_on_sigterm()
        screen.say(f"Slack stand-in at {slack.base} — the bot knows it as its API address only")
        if stay:
            screen.say(f"Chat page: {slack.base}")
        servers = link.rpartition("/")[0]
        bot = await stack.enter_async_context(_bot(slack, home, f"srv*{servers}{STORE}"))
        slack.workspace.listeners.append(screen.changed)
        story = asyncio.create_task(_story(slack, screen, link))
        await _beside(bot, story, home / "bot.log")
        screen.say("The demo is over." if not stay else f"The demo is over; {slack.base} stays up until Ctrl-C.")
        if stay:
            await _beside(bot, asyncio.create_task(asyncio.Event().wait()), home / "bot.log", seconds=None)


async def _story(slack: StandIn, screen: Screen, link: str) -> None:
    await _until(lambda: bool(slack.socket_mode.connections))
    screen.say("\n1. A link is posted.\n")
    first = slack.workspace.say(CHANNEL, PERSON, f"the lab machine hung again: <{link}>")
    await _until(lambda: _report(slack, first) is not None and _is_settled(first))
    screen.say("2. The same link again.\n")
    second = slack.workspace.say(CHANNEL, PERSON, f"and what about this one? <{link}>")
    await _until(lambda: _is_settled(second))
    screen.say("3. A question about the past.\n")
    asked = slack.workspace.say(CHANNEL, PERSON, _question(slack, _report(slack, first) or {}))
    await _until(lambda: len(_thread(slack, asked)) > 1)
    await asyncio.sleep(0.2)


def _question(slack: StandIn, report: dict[str, Any]) -> str:
    culprit = (report["verdict"]["culprit"] or {}).get("module")
    name = culprit.rpartition(".")[0] if culprit else report["bugcheck"]["code"]
    crashed = report["system"]["crash_time"]
    since = f" since {datetime.fromisoformat(crashed):%B %Y}" if crashed else ""
    return f"<@{slack.workspace.bot.id}> have we seen {name}{since}?"


def _thread(slack: StandIn, parent: Message) -> list[Message]:
    return slack.workspace.channels[CHANNEL].thread(parent.ts)


def _is_settled(parent: Message) -> bool:
    return bool(parent.reactions) and "eyes" not in parent.reactions


def _report(slack: StandIn, parent: Message) -> dict[str, Any] | None:
    # The last part of a story is the report as a file.
    for message in _thread(slack, parent):
        for file in message.files:
            if file.name.endswith(".json"):
                found: dict[str, Any] = json.loads(file.content)
                return found
    return None


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # the stand-in's state changes from many places
        await asyncio.sleep(0.05)


async def _beside(
    bot: asyncio.subprocess.Process,
    task: "asyncio.Task[Any]",
    log: Path,
    seconds: float | None = STORY_SECONDS,
) -> None:
    # Waits for the task, unless the bot ends first or the time is up.
    ended = asyncio.create_task(bot.wait())
    done, late = await asyncio.wait({task, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for waiting in late:
        waiting.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    if task in done:
        await task
        return
    reason = f"the bot ended with status {bot.returncode}" if ended in done else f"no end after {seconds:g} s"
    said = await asyncio.to_thread(log.read_text, "utf-8", "replace")
    raise DemoFailed("\n".join([f"{reason}; the end of its log:", *said.splitlines()[-15:]]))


@asynccontextmanager
async def _bot(slack: StandIn, home: Path, symbols: str) -> AsyncIterator[asyncio.subprocess.Process]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_NOT_OURS)}
    environment = kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, kept.get("PYTHONPATH")))),
        "PILEUP_HOME": str(home / "home"),
        "PILEUP_SLACK_API_URL": slack.api_url,
        "PILEUP_SLACK_BOT_TOKEN": BOT_TOKEN,
        "PILEUP_SLACK_APP_TOKEN": APP_TOKEN,
        "PILEUP_ALLOW_PRIVATE_ADDRESSES": "true",
        "PILEUP_SYMBOLS": symbols,
    }
    with (home / "bot.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", _BOT, "serve",
            env=environment, cwd=home, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    # Politely first, so that the bot ends its own children; its own group means Ctrl-C reaches it only through us.
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
        return
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@asynccontextmanager
async def _file_server(sample: Sample) -> AsyncIterator[str]:
    dump = sample.dump
    app = web.Application()

    async def send(request: web.Request) -> web.StreamResponse:
        return await _send(request, dump)

    app.router.add_get(f"/{dump.name}", send)
    app.router.add_static(STORE, sample.store)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/{dump.name}"
    finally:
        await runner.cleanup()


async def _send(request: web.Request, dump: Path) -> web.StreamResponse:
    size = dump.stat().st_size  # noqa: ASYNC240  # the demo's own small file
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size), "ETag": f'"sample-{size}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers={"ETag": headers["ETag"]})
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    with dump.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, size // CHUNKS + 1):
            await response.write(chunk)
            await asyncio.sleep(DOWNLOAD_SECONDS / CHUNKS)
    await response.write_eof()
    return response


def _stop_on_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
