"""Webhooks: who is told of which verdicts, signed how, how often, and where nothing is ever sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Oracle
from standardwebhooks.webhooks import WebhookVerificationError
from typer.testing import CliRunner

from analysis.verdict.report import Report
from bot.cli import app
from bot.sandbox import StandIn
from bot.webhooks.delivering import PAUSES, Deliverer
from bot.webhooks.owing import owe
from bot.webhooks.payloads import headers
from bot.webhooks.sending import mistake_in, post
from storage import Store
from storage.clock import utc_now
from storage.webhooks import ATTEMPTS
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, is_told, until
from tests.bot.server import page, serving
from tests.bot.web.sites import HUNG, PRIVATE, STORED, history
from tests.storage.samples import Clock, report


@dataclass
class Receiver:
    """A program that is told: keeps what comes, and answers as it is asked to."""

    answers: list[bytes] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")[1:-2]
        said = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.got.append((said, await reader.readexactly(int(said.get("content-length", "0")))))
        answer = self.answers.pop(0) if self.answers else b"204 No Content\r\n"
        writer.write(b"HTTP/1.1 " + answer + b"Connection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiver(*answers: bytes) -> AsyncIterator[Receiver]:
    made = Receiver(list(answers))
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=1"
    async with server:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock(utc_now())


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with history(tmp_path, clock) as opened:
        yield opened


def deliverer(store: Store, clock: Clock) -> Deliverer:
    return Deliverer(store, lambda number: f"https://pileup.example/crashes/{number}", allow_private=True, clock=clock)


async def test_a_verdict_is_told_once_and_again_when_it_changes(store: Store, clock: Clock) -> None:
    async with receiver() as heard:
        store.webhooks.add(heard.url)
        assert [owe(store, STORED), owe(store, STORED)] == [1, 0]
        await _all(deliverer(store, clock))
        second = store.reports.report(STORED)
        assert second is not None
        store.remember(_blaming(second, "other.sys"))
        assert owe(store, STORED) == 1
        await _all(deliverer(store, clock))
        store.remember(second)
        assert owe(store, STORED) == 1
        await _all(deliverer(store, clock))
    assert [(one["type"], one["data"]["crash"]["module"]) for one in heard.bodies] == [
        ("verdict.created", "rassstp.sys"),
        ("verdict.updated", "other.sys"),
        ("verdict.updated", "rassstp.sys"),
    ]
    crash = heard.bodies[0]["data"]["crash"]
    assert crash["summary"] == "rassstp.sys held nt!PiEngineLock"
    assert crash["page"] == f"https://pileup.example/crashes/{STORED}"
    assert heard.bodies[0]["data"]["threads"] == [f"https://slack.example/C1/{STORED}"]
    assert store.webhooks.counts() == {"waiting": 0, "done": 3, "failed": 0}


def _blaming(found: Report, module: str) -> Report:
    assert found.verdict.culprit is not None
    return replace(found, verdict=replace(found.verdict, culprit=replace(found.verdict.culprit, module=module)))


async def test_what_comes_is_signed_as_another_library_checks_it(store: Store, clock: Clock) -> None:
    async with receiver() as heard:
        _, secret = store.webhooks.add(heard.url)
        owe(store, HUNG)
        await _all(deliverer(store, clock))
    ((said, body),) = heard.got
    assert Oracle(secret).verify(body, said)
    for name in ("webhook-id", "webhook-timestamp"):
        with pytest.raises(WebhookVerificationError):
            Oracle(secret).verify(body, said | {name: said[name] + "1"})
    with pytest.raises(WebhookVerificationError):
        Oracle(secret).verify(body.replace(b"rassstp", b"another"), said)
    with pytest.raises(WebhookVerificationError):
        Oracle("whsec_" + "A" * 44).verify(body, said)


def test_an_old_delivery_is_known_for_old() -> None:
    secret = "whsec_" + "A" * 44
    old = int((utc_now() - timedelta(minutes=10)).timestamp())
    with pytest.raises(WebhookVerificationError):
        Oracle(secret).verify(b"{}", headers(secret, "msg_1", old, b"{}"))


async def test_a_webhook_of_a_channel_is_told_what_its_members_saw(store: Store, clock: Clock) -> None:
    async with receiver() as heard:
        store.webhooks.add(heard.url, ["C1"])
        assert [owe(store, number) for number in (HUNG, STORED, PRIVATE)] == [1, 1, 0]
        store.remember(report("untold", module="untold.sys"))
        assert owe(store, 4) == 0
        store.uploads.show([4], "T1", ["C1"], "x.dmp")
        assert owe(store, 4) == 1
        await _all(deliverer(store, clock))
    assert {one["data"]["crash"]["module"] for one in heard.bodies} == {"rassstp.sys", "untold.sys"}


async def test_what_may_no_longer_be_told_is_not(store: Store, clock: Clock) -> None:
    async with receiver() as heard:
        store.webhooks.add(heard.url, ["C1"])
        owe(store, HUNG)
        owe(store, STORED)
        store.threads._database.change("DELETE FROM threads WHERE report_id = ?", [HUNG])
        store.reports.forget(STORED)
        await _all(deliverer(store, clock))
    assert heard.got == []
    assert store.webhooks.counts() == {"waiting": 0, "done": 0, "failed": 1}
    assert store.jobs.active() == []


async def test_what_fails_is_tried_again_after_longer_and_longer_pauses_then_given_up(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiver(*[b"500 No\r\n"] * 20) as heard:
        hook, _ = store.webhooks.add(heard.url)
        owe(store, HUNG)
        made = deliverer(store, clock)
        for pause in PAUSES:
            assert await made.step()
            clock.turn(seconds=pause * 0.89)
            assert not await made.step()
            clock.turn(seconds=pause * 0.22)
        assert await made.step()
        clock.turn(days=30)
        assert not await made.step()
    assert len(heard.got) == ATTEMPTS == len(PAUSES) + 1
    assert len({said["webhook-id"] for said, _ in heard.got}) == 1
    assert f"webhook {hook.id} is not told of crash {HUNG}: it answered 500" in caplog.text
    (standing,) = store.webhooks.standings()
    assert (standing.waiting, standing.error) == (0, "it answered 500")


async def test_a_delivery_that_was_interrupted_is_made_again_under_the_same_id(store: Store, clock: Clock) -> None:
    async with receiver() as heard:
        store.webhooks.add(heard.url)
        owe(store, HUNG)
        dead = store.jobs.take("dead", 60, ("webhook",))  # and it dies after the post, before it notes anything
        assert dead is not None
        made = deliverer(store, clock)
        assert not await made.step()
        clock.turn(seconds=61)
        assert await made.step()
        assert heard.got[0][0]["webhook-id"] == dead.payload["delivery"]


async def test_a_receiver_that_says_gone_is_told_nothing_more(store: Store, clock: Clock) -> None:
    async with receiver(b"410 Gone\r\n") as heard:
        store.webhooks.add(heard.url)
        owe(store, HUNG)
        await _all(deliverer(store, clock))
        assert owe(store, STORED) == 0
    (hook,) = store.webhooks.all()
    assert (hook.ended_by or "").startswith("the receiver said 410")
    assert len(heard.got) == 1


async def test_a_receiver_may_ask_to_be_left_alone_for_a_while_but_not_for_ever(store: Store, clock: Clock) -> None:
    async with receiver(b"429 Slow\r\nRetry-After: 300\r\n", b"503 No\r\nRetry-After: 999999\r\n") as heard:
        store.webhooks.add(heard.url)
        owe(store, HUNG)
        made = deliverer(store, clock)
        assert await made.step()
        clock.turn(seconds=299)
        assert not await made.step()
        clock.turn(seconds=2)
        assert await made.step()
        clock.turn(seconds=3601)
        assert await made.step()
    assert len(heard.got) == 3


async def test_a_redirect_is_not_followed(store: Store, clock: Clock) -> None:
    async with receiver() as other, receiver(b"302 Found\r\nLocation: " + other.url.encode() + b"\r\n") as heard:
        store.webhooks.add(heard.url)
        owe(store, HUNG)
        assert await deliverer(store, clock).step()
        assert (len(heard.got), other.got) == (1, [])
        assert store.webhooks.standings()[0].error == "it answered 302"


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/x", "https://localhost/x", "https://[::1]/x", "https://169.254.169.254/latest/meta-data",
     "https://10.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://2130706433/", "https://0x7f.1/", "https://0/"],
)  # fmt: skip
async def test_a_private_address_is_never_asked(url: str) -> None:
    answered = await post(url, b"{}", {}, allow_private=False)
    assert "private" in (answered.error or "") or "not known" in (answered.error or "")


async def test_a_metadata_address_is_not_asked_even_where_private_ones_are_allowed() -> None:
    answered = await post("http://169.254.169.254/latest/", b"{}", {}, allow_private=True)
    assert "private or reserved" in (answered.error or "")


async def test_without_leave_nothing_goes_out_in_the_clear_or_to_this_machine() -> None:
    async with receiver() as heard:
        assert (await post(heard.url, b"{}", {}, allow_private=False)).error == "it must begin with https://"
        assert heard.got == []


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://", "https:///x", "https://user:secret@example.com/",
     "https://example.com/#part", "https://example.com/a b", "https://example.com/\r\nX: y", "https://exämple.com/",
     "https://example.com:0/", "https://example.com:99999/", "https://example.com\\@evil/", "https://" + "a" * 3000,
     "javascript:alert(1)", "//example.com"],
)  # fmt: skip
def test_an_address_that_makes_no_sense_is_none(url: str) -> None:
    assert mistake_in(url, allow_private=False) is not None


def test_an_address_that_makes_sense_is_one() -> None:
    assert mistake_in("https://hooks.example.com:8443/a/b?key=1", allow_private=False) is None
    assert mistake_in("http://10.0.0.1:8080/", allow_private=True) is None


async def _all(made: Deliverer) -> None:
    while await made.step():
        pass


async def test_the_bot_tells_what_it_told_in_slack(tmp_path: Path) -> None:
    async with StandIn() as slack, receiver() as heard:
        with Store.open(tmp_path / "pileup.sqlite") as store:
            store.webhooks.add(heard.url, [CRASHES])
            running = bot(slack, tmp_path, Analyst(), webhook_private_addresses=True)
            async with serving(**{"a.dmp": page(dump("seed"))}) as files, running:
                said = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp"))
                await until(lambda: is_told(slack, said))
                await until(lambda: heard.got)
                again = slack.workspace.say(CRASHES, ANNA, files.url("/a.dmp?again"))
                await until(lambda: is_done(slack, again))
                await until(lambda: not store.jobs.active())
    (body,) = heard.bodies
    assert (body["type"], body["data"]["crash"]["module"]) == ("verdict.created", "rassstp.sys")
    assert body["data"]["threads"]


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["webhook", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    monkeypatch.setenv("PILEUP_WEBHOOK_PRIVATE_ADDRESSES", "true")
    return tmp_path


def test_the_secret_is_printed_once_and_lists_show_neither_it_nor_the_path(home: Path) -> None:
    status, secret, said = run("add", "https://hooks.example.com/a-secret-path", "--channels", "C1")
    assert status == 0
    assert secret.startswith("whsec_")
    assert said.startswith("1: hooks.example.com is told of crashes of C1")
    listed = run("list")[1]
    assert "0 waiting, 0 given up in 7 days" in listed
    assert secret.strip() not in listed + run("list", "--json")[1]
    assert "a-secret-path" not in listed
    assert (run("remove", "1")[0], run("remove", "1")[0], run("test", "1")[0]) == (0, 2, 2)
    assert "ended: removed by the operator" in run("list")[1]


async def test_an_address_is_tried(home: Path) -> None:
    async with receiver(b"200 OK\r\n", b"500 No\r\n") as heard:
        secret = (await asyncio.to_thread(run, "add", heard.url))[1].strip()
        assert (await asyncio.to_thread(run, "test", "1"))[:2] == (0, "it was taken\n")
        assert (await asyncio.to_thread(run, "test", "1"))[:2] == (1, "it was not taken: it answered 500\n")
    said, body = heard.got[0]
    assert Oracle(secret).verify(body, said)
    assert heard.bodies[0]["type"] == "ping"


@pytest.mark.parametrize("arguments", [("add", "ftp://x"), ("add", "https://x.example", "--channels", "general")])
def test_what_cannot_be_told_is_refused(home: Path, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2
    assert run("list")[1] == ""
