"""Requests over HTTP that Slack did not sign, that are old, that come again; and the handshake."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx

from bot.sandbox.signed_http import SignedHttp
from tests.bot.kit import ANNA, CRASHES, SECRET, is_told, until
from tests.slack_faults.events import VERDICT
from tests.slack_faults.scene import PATIENCE, Case, Scene

GROUP = "signatures"
Headers = dict[str, str]
Sign = Callable[[SignedHttp, bytes], tuple[bytes, Headers]]


def _aged(seconds: int) -> Sign:
    return lambda http, body: (body, http.signature(body, int(time.time()) - seconds))


def _forged(http: SignedHttp, body: bytes) -> tuple[bytes, Headers]:
    return body, SignedHttp(http.url, "another secret").signature(body, int(time.time()))


def _changed(http: SignedHttp, body: bytes) -> tuple[bytes, Headers]:
    return body.replace(b"C0CRASHES1", b"C0GENERAL1"), http.signature(body, int(time.time()))


def _retimed(http: SignedHttp, body: bytes) -> tuple[bytes, Headers]:
    now = int(time.time())
    return body, http.signature(body, now - 400) | {"X-Slack-Request-Timestamp": str(now)}


def _no_signature(_http: SignedHttp, body: bytes) -> tuple[bytes, Headers]:
    return body, {}


def _half(http: SignedHttp, body: bytes) -> tuple[bytes, Headers]:
    signed = http.signature(body, int(time.time()))
    return body, signed | {"X-Slack-Signature": signed["X-Slack-Signature"][:20]}


async def _send(here: Scene, sign: Sign, times: int = 1) -> tuple[str, list[int]]:
    # A link's event as Slack would send it, signed so: the time stamp of its message, and the statuses.
    http = here.slack.deliveries.over_http
    assert http is not None
    here.slack.deliveries.hears = lambda _event: False  # it comes by our hand alone
    said = here.post()
    event = {"type": "message", "channel": CRASHES, "channel_type": "channel", "user": ANNA, "ts": said.ts,
             "text": said.text}  # fmt: skip
    whole = {"type": "event_callback", "event_id": "Ev1", "team_id": here.slack.workspace.team_id, "event": event}
    body, headers = sign(http, json.dumps(whole).encode())
    async with httpx.AsyncClient(headers={"Content-Type": "application/json"}) as client:
        return said.ts, [(await client.post(http.url, content=body, headers=headers)).status_code for _ in range(times)]


async def _refused(here: Scene, sign: Sign) -> str:
    ts, statuses = await _send(here, sign)
    await here.quiet()
    said = here.slack.workspace.channels[CRASHES].messages[ts]
    return f"status {statuses[0]}; {here.ending(said)}"


async def _taken(here: Scene, sign: Sign, times: int = 1) -> str:
    ts, statuses = await _send(here, sign, times)
    said = here.slack.workspace.channels[CRASHES].messages[ts]
    await until(lambda: is_told(here.slack, said), PATIENCE)
    return f"status {' '.join(map(str, statuses))}; {await here.told(said)}"


async def _handshake(here: Scene) -> str:
    http = here.slack.deliveries.over_http
    assert http is not None
    asked = {"type": "url_verification", "token": "t", "challenge": "3eZbrw1a"}
    status, answer = await http.post("events_api", asked, 0)
    other = SignedHttp(http.url, "another secret")
    refused, _ = await other.post("events_api", asked, 0)
    return f"status {status}, {answer}; with another secret {refused}"


async def _odd(here: Scene, body: bytes) -> str:
    http = here.slack.deliveries.over_http
    assert http is not None
    async with httpx.AsyncClient(headers={"Content-Type": "application/json"}) as client:
        answer = await client.post(http.url, content=body, headers=http.signature(body, int(time.time())))
    ending = await here.told(here.post())
    return f"status {answer.status_code}; then {ending}"


async def _limited(here: Scene) -> str:
    said = {"type": "app_rate_limited", "team_id": here.slack.workspace.team_id, "minute_rate_limited": 1, "token": "t",
            "api_app_id": here.slack.workspace.app_id}  # fmt: skip
    if here.slack.deliveries.over_http is not None:
        status, _ = await here.slack.deliveries.over_http.post("events_api", said, 0)
        assert status == 200, status
    else:
        told = here.slack.deliveries.interact(said, "events_api")
        await until(lambda: told.acked_after is not None, PATIENCE)
    return await here.told(here.post())


def cases() -> Iterator[Case]:
    """The rows."""
    assert SECRET
    for name, sign in (
        ("no signature", _no_signature),
        ("signed with another secret", _forged),
        ("half a signature", _half),
        ("the body was changed", _changed),
        ("the time was changed", _retimed),
        ("301 s old", _aged(301)),
        ("from 400 s ahead", _aged(-400)),
    ):
        yield Case(GROUP, name, "a link", partial(_refused, sign=sign), "status 401; nothing", 0, "http")
    yield Case(GROUP, "Slack's clock is 240 s behind", "a link", partial(_taken, sign=_aged(240)), VERDICT, only="http")
    yield Case(GROUP, "Slack's clock is 240 s ahead", "a link", partial(_taken, sign=_aged(-240)), VERDICT, only="http")
    replayed = partial(_taken, sign=_aged(60), times=3)
    yield Case(GROUP, "a request is recorded and sent again", "a link", replayed, VERDICT, only="http")
    yield Case(
        GROUP, "url_verification", "", _handshake, "200, {'challenge': '3eZbrw1a'}; with another secret 401", 0, "http"
    )
    yield Case(GROUP, "a body of 2 MB", "a link", partial(_odd, body=b"x" * (2 << 20)), "status 413", only="http")
    yield Case(GROUP, "a body that is no JSON", "a link", partial(_odd, body=b"\xff\xfe"), "status 400", only="http")
    yield Case(
        GROUP, "a body that is JSON, but no event", "a link", partial(_odd, body=b"[1]"), "status 400", only="http"
    )
    yield Case(GROUP, "app_rate_limited", "a link", _limited, VERDICT)
