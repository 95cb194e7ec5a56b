"""What becomes of the line: cut before and after an event was taken, refreshed, refused; the same of HTTP."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiohttp

from tests.bot.kit import SECRET, bot, free_port, until
from tests.slack_faults.events import VERDICT
from tests.slack_faults.scene import PATIENCE, Case, Scene

GROUP = "line"


async def _before_ack(here: Scene) -> str:
    here.slack.faults.deaf = True
    said = here.post()
    await until(lambda: here.slack.deliveries.all and here.slack.deliveries.all[0].attempts >= 1)
    await here.slack.socket_mode.drop_all()
    here.slack.faults.deaf = False
    return await here.told(said)


async def _after_ack(here: Scene) -> str:
    said = here.post()
    await until(lambda: here.slack.deliveries.all[0].acked_after is not None)
    await here.slack.socket_mode.drop_all()
    return await here.told(said)


async def _mid_work(here: Scene) -> str:
    said = here.post()
    await here.analyst.running.wait()
    await here.slack.socket_mode.drop_all()
    late = here.post(1)
    await here.told(said)
    await here.done(late)
    return here.ending(said)


async def _nobody_there(here: Scene) -> str:
    await here.slack.socket_mode.drop_all()
    return await here.told(here.post())


async def _goodbye(here: Scene, reason: str) -> str:
    said = here.post()
    await here.analyst.running.wait()
    await here.slack.socket_mode.refresh_all(reason)
    await here.told(said)
    late = here.post(1)
    await here.done(late)
    return here.ending(said)


async def _refreshed(here: Scene) -> str:
    return await _goodbye(here, "refresh_requested")


async def _too_many(here: Scene) -> str:
    here.slack.faults.fail("apps.connections.open", "too_many_websockets", times=2)
    return await _goodbye(here, "too_many_websockets")


async def _link_disabled(here: Scene) -> str:
    here.slack.faults.fail("apps.connections.open", "not_allowed_token_type", times=1)
    return await _goodbye(here, "link_disabled")


async def _not_again(here: Scene) -> str:
    here.slack.faults.break_down("apps.connections.open", 503, times=2)
    await here.slack.socket_mode.drop_all()
    return await here.told(here.post())


async def _garbage(here: Scene) -> str:
    (socket,) = here.slack.socket_mode.connections
    for frame in ("", "no JSON", "[]", "{}", '{"type": "hello"}', '{"type": "unheard_of", "envelope_id": "1"}'):
        await socket.send_str(frame)
    return await here.told(here.post())


async def _deaf(here: Scene) -> str:
    here.slack.faults.deaf = True
    said = here.post()
    await here.told(said)
    here.slack.faults.deaf = False
    return here.ending(said)


async def _unanswered(here: Scene) -> str:
    here.slack.faults.deaf = True
    said = here.post()
    await until(lambda: here.slack.deliveries.all[0].attempts == 2, PATIENCE)
    here.slack.faults.deaf = False
    return await here.told(said)


async def _hung_up(here: Scene) -> str:
    # Slack's end breaks off in the middle of a request, then sends it whole.
    assert here.slack.deliveries.over_http is not None
    address = here.slack.deliveries.over_http.url
    port = int(address.rpartition(":")[2].partition("/")[0])
    for part in (
        b"POST /slack/events HTTP/1.1\r\n",
        b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(part)
        await writer.drain()
        writer.close()
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    return await here.told(here.post())


async def _restarted(here: Scene) -> str:
    # Nobody listens while a link is posted: over Socket Mode it waits for a line, over HTTP it is sent again.
    more: dict[str, Any] = (
        {"http_port": free_port(), "slack_signing_secret": SECRET} if here.transport == "http" else {}
    )
    async with bot(here.slack, here.home, here.analyst, transport=here.transport, **more):
        pass
    line = here.slack.deliveries.over_http
    if line is not None:
        here.slack.deliveries.over_http = replace(line, retries=(0.0, 4.0, 8.0))  # instead of minutes
    said = here.post()
    await until(lambda: line is None or here.slack.deliveries.all[0].attempts > 1)
    async with bot(here.slack, here.home, here.analyst, transport=here.transport, **more):
        return await here.told(said)


def cases() -> Iterator[Case]:
    """The rows."""
    for name, play in (
        ("cut before the event is acknowledged", _before_ack),
        ("cut after the event is acknowledged", _after_ack),
        ("cut while an event comes: nobody is connected", _nobody_there),
        ("cut, and Slack gives no new connection twice (503)", _not_again),
        ("refreshed while a dump is read", _refreshed),
        ("too many connections, refused twice", _too_many),
        ("Socket Mode switched off, refused once, and on again", _link_disabled),
        ("frames that are none", _garbage),
    ):
        verdicts = 2 if play in (_refreshed, _too_many, _link_disabled) else 1
        yield Case(
            GROUP,
            name,
            "a link" if verdicts == 1 else "two links",
            play,
            VERDICT,
            verdicts,
            "socket",
            seconds=0.5,
            refuses=frozenset({"not_allowed_token_type"}),
        )
    yield Case(GROUP, "cut while a dump is read", "two links", _mid_work, VERDICT, 2, "socket", seconds=0.5)
    yield Case(GROUP, "every acknowledgement is lost", "a link", _deaf, VERDICT, seconds=4, unheard=True)
    yield Case(GROUP, "not acknowledged in time, sent again", "a link", _unanswered, VERDICT)
    yield Case(GROUP, "requests that break off", "a link", _hung_up, VERDICT, only="http")
    yield Case(GROUP, "posted while the bot is away", "a link", _restarted, VERDICT, starts=False)
