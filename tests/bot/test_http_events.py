"""Events over HTTP: only what Slack signed, of the last five minutes, and of a bearable size."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.http_events import MAX_BODY
from bot.sandbox import StandIn
from bot.sandbox.signed_http import SignedHttp
from tests.bot.kit import ANNA, CRASHES, SECRET, Analyst, bot, dump, free_port, is_told, replies, settings, until
from tests.bot.server import page, serving


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


def event(link: str) -> bytes:
    said = {"type": "message", "channel": CRASHES, "user": ANNA, "ts": "1.000001", "text": link}
    return json.dumps({"type": "event_callback", "event_id": "Ev1", "team_id": "T", "event": said}).encode()


async def test_only_what_slack_signed_of_late_is_heard(slack: StandIn, tmp_path: Path) -> None:
    port = free_port()
    now, url = int(time.time()), f"http://127.0.0.1:{port}/slack/events"
    signed, forged = SignedHttp(url, SECRET), SignedHttp(url, "another secret")
    async with (
        serving(**{"a.dmp": page(dump("seed"))}) as files,
        bot(slack, tmp_path, Analyst(), transport="http", http_port=port),
        httpx.AsyncClient(headers={"Content-Type": "application/json"}) as client,
    ):
        body = event(files.url("/a.dmp"))
        refused = {
            "no signature": {},
            "another secret": forged.signature(body, now),
            "too old": signed.signature(body, now - 301),
            "from the future": signed.signature(body, now + 400),
            "another body": signed.signature(body + b" ", now),
            "another time": signed.signature(body, now) | {"X-Slack-Request-Timestamp": str(now - 1)},
            "no number": signed.signature(body, now) | {"X-Slack-Request-Timestamp": "soon"},
        }
        answers = {
            why: (await client.post(url, content=body, headers=headers)).status_code for why, headers in refused.items()
        }
        assert answers == dict.fromkeys(refused, 401)
        odd = [(b"X-Slack-Request-Timestamp", str(now).encode()), (b"X-Slack-Signature", b"v0=\xe4")]
        assert (await client.post(url, content=body, headers=odd)).status_code == 401
        for bad, status in ((b"x" * (MAX_BODY + 1), 413), (b"\xff\xfe", 400)):
            assert (await client.post(url, content=bad, headers=signed.signature(bad, now))).status_code == status
        assert (await client.get(url)).status_code == 405
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).text == "ok"
        assert files.requests == []
        said = slack.workspace.say(CRASHES, ANNA, "hello")
        body = body.replace(b"1.000001", said.ts.encode())
        for _ in range(2):
            answer = await client.post(url, content=body, headers=signed.signature(body, now - 280))
            assert answer.status_code == 200
        await until(lambda: is_told(slack, said))
        assert len(files.requests) == 1
    assert len(replies(slack, said)) == 6


async def test_an_event_that_was_not_acknowledged_comes_again_and_is_answered_once(
    slack: StandIn, tmp_path: Path
) -> None:
    routes = {"a.dmp": page(dump("seed"))}
    async with serving(**routes) as files, bot(slack, tmp_path, Analyst(), transport="http"):
        slack.faults.deaf = True
        said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
        await until(lambda: slack.deliveries.all[0].attempts == 2)
        slack.faults.deaf = False
        await until(lambda: is_told(slack, said))
        assert len(files.requests) == 1
    assert len(replies(slack, said)) == 6


def test_it_needs_a_signing_secret(slack: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bot.serve import run

    assert run(settings(slack, tmp_path, transport="http", http_port=free_port())) == 2
    assert "PILEUP_SLACK_SIGNING_SECRET" in capsys.readouterr().err
