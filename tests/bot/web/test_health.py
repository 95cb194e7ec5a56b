"""The page of health: what it tells those who look after the installation, and that nobody else reads it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from pydantic import SecretStr

from analysis.verdict.report import Analyzer
from bot.permissions import ADMINS
from bot.settings import Settings
from bot.web.doors import Doors
from bot.web.guard import Access
from bot.web.health import looking
from bot.web.health.premises import Premises, premises_of, shown
from bot.web.pages import create_site
from bot.workspaces import OneWorkspace
from storage import Store
from storage.clock import utc_now
from storage.columns import storable
from storage.jobs import NewJob
from storage.sight import Sight
from storage.sources import Said
from tests.bot.web.documents import HOSTILE, parsed
from tests.bot.web.issuer import Fake
from tests.bot.web.sites import SECRET, history
from tests.bot.web.test_sign_in import ACCESS, URL, Members, sign_in, terms
from tests.storage.samples import NOON, Clock

ELSEWHERE = "203.0.113.7"
SYMBOLS = "https://symbols.example/store"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with history(tmp_path, Clock()) as opened:
        yield opened


def premises(home: Path, **more: object) -> Premises:
    given = {"symbol_path": (("/srv/cache", SYMBOLS),), "rules": lambda: "r1", **more}
    return Premises(home, "/var/lib/pileup/pileup.sqlite", **given)  # type: ignore[arg-type]  # its own fields


@asynccontextmanager
async def site(
    store: Store, doors: Doors, access: Access | None = None, address: str = ELSEWHERE, clock: Clock | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    made = create_site(store, access or Access(SECRET, URL), clock or Clock(), doors=doors)
    transport = httpx.ASGITransport(made, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=URL, follow_redirects=False) as client:
        yield client


def fail(store: Store, channel: str, line: str) -> int:
    store.jobs.enqueue(NewJob(line, {"team": "T1", "channel": channel}))
    job = store.jobs.take("host:1:0:", 60)
    assert job is not None
    store.jobs.fail(job, "not-there", line)
    return job.id


async def test_who_is_at_the_machine_reads_how_everything_stands(store: Store, tmp_path: Path) -> None:
    clock = Clock()
    store.workers.sign_in("build7:4711:0:abc", "9.9", 2)
    store.jobs.enqueue(NewJob("a", {"channel": "G9"}))
    store.jobs.enqueue(NewJob("b", {"channel": "G9"}))
    store.jobs.take("build7:4711:1:abc", 60)
    store.sources.note("build7", [Said(SYMBOLS, "found", "ntkrnlmp.pdb", 7)])
    store.webhooks.add("https://hooks.example/secret-part")
    clock.turn(7200)
    async with site(store, Doors(premises=premises(tmp_path)), Access(), "127.0.0.1", clock) as client:
        client.base_url = "http://127.0.0.1"
        answer = await client.get("/health")
        said = (await client.get("/health.json")).json()
    text = parsed(answer.text).text.replace(" ,", ",")
    assert answer.status_code == 200
    for words in (
        "Jobs of kind analyze wait since 2 h; no worker is there.",
        "Worker build7:4711 gave no sign of life for 2 h.",
        "1 waiting, 1 running, 0 done, 0 failed.",
        f"/srv/cache, then {SYMBOLS}",
        f"{SYMBOLS} build7 found, 2 h ago: ntkrnlmp.pdb 7 found, 0 missing, 0 failed",
        "/var/lib/pileup/pileup.sqlite, SQLite 3.",
        "3 reports",
        "hooks.example",
    ):
        assert words in text, words
    assert "secret-part" not in answer.text
    (worker,) = said["workers"]
    assert (worker["name"], worker["version"], worker["running"]) == ("build7:4711", "9.9", 1)
    assert (worker["silent_seconds"], worker["is_alive"]) == (7200, False)
    (kind,) = said["queue"]["kinds"]
    assert (kind["waiting"], kind["running"], kind["waiting_seconds"]) == (1, 1, 7200)
    assert said["queue"]["running"][0]["lease_seconds"] == 60 - 7200
    assert said["symbols"]["sources"][0]["times"] == {"found": 7}
    assert said["versions"]["rules"] == "r1"
    assert said["disks"][0]["free"] > 0


@pytest.mark.parametrize("path", ["/health", "/health.json"])
async def test_who_only_has_a_link_is_no_operator(store: Store, tmp_path: Path, path: str) -> None:
    async with site(store, Doors(premises=premises(tmp_path))) as client:
        assert (await client.get(path)).status_code == 403
        client.cookies.set("pileup", f"C1.{int((NOON + timedelta(days=1)).timestamp())}.forged")
        assert (await client.get(path)).status_code == 403
    async with site(store, Doors(premises=premises(tmp_path)), address="127.0.0.1") as client:
        assert (await client.get(path)).status_code == 200


async def test_without_premises_there_is_no_such_page(store: Store) -> None:
    async with site(store, Doors(), address="127.0.0.1") as client:
        assert (await client.get("/health")).status_code == 404


class Admins(Members):
    """U9 is an admin, U1 is none."""

    async def is_admin(self, team: str, person: str) -> bool:
        return (team, person) == ("T1", "U9")

    async def sight_of(self, team: str, person: str) -> Sight:
        return Sight((await super().sight_of(team, person)).channels, "T1")


async def test_an_admin_reads_it_and_only_what_failed_in_channels_that_they_see(tmp_path: Path) -> None:
    clock = Clock(utc_now())
    fake, members = Fake(), Admins()
    members.channels["U9"] = frozenset({"C1"})
    with history(tmp_path, clock) as store:
        store.channels.note("T1", "C5", "public")
        for channel, line in (("C1", "mine"), ("C5", "open"), ("G9", "hidden"), ("C6", "unknown")):
            fail(store, channel, f"the {line} dump is gone")
        doors = Doors(terms(fake, members), premises=premises(tmp_path, is_admin=members.is_admin))
        async with site(store, doors, ACCESS, clock=clock) as client:
            await sign_in(client, fake)
            assert (await client.get("/health")).status_code == 403
            assert "/health" not in parsed((await client.get("/")).text).values("href")
            fake.person = "U9"
            await sign_in(client, fake)
            assert "/health" in parsed((await client.get("/")).text).values("href")
            page = parsed((await client.get("/health")).text)
            said = (await client.get("/health.json")).json()
    assert "the mine dump is gone" in page.text
    assert "the open dump is gone" in page.text
    assert "the hidden dump" not in page.text
    assert "the unknown dump" not in page.text
    assert "G9" not in page.text
    assert [one["detail"] is None for one in said["failures"]] == [True, True, False, False]
    assert [one["error"] for one in said["failures"]] == ["not-there"] * 4


async def test_what_machines_and_servers_call_themselves_is_no_more_than_text(store: Store, tmp_path: Path) -> None:
    for number, hostile in enumerate(HOSTILE):
        text = storable(hostile)
        store.workers.sign_in(f"{text}:{number}", text, 1)
        store.sources.note(text, [Said(f"{text}{number}", "failed", text)])
        fail(store, "C1", f"{text}{number}")
    async with site(store, Doors(premises=premises(tmp_path)), address="::1") as client:
        page = parsed((await client.get("/health")).text)
    assert not {"script", "img", "style", "iframe"} & {tag for tag, _ in page.elements}
    assert not [name for _, a in page.elements for name in a if name.startswith("on") or name == "style"]


async def test_the_lists_of_the_page_end(store: Store, tmp_path: Path) -> None:
    for number in range(3 * looking.SHOWN):
        fail(store, "C1", str(number))
        store.webhooks.add(f"https://h{number}.example")
    for number in range(3 * looking.SHOWN):
        store.jobs.enqueue(NewJob(f"r{number}", {}))
        store.jobs.take("host:1:0:", 60)
    async with site(store, Doors(premises=premises(tmp_path)), address="127.0.0.1") as client:
        said = (await client.get("/health.json")).json()
    lists = (said["failures"], said["webhooks"], said["queue"]["running"])
    assert [len(one) for one in lists] == [looking.SHOWN] * 3


def test_a_password_of_a_symbol_server_is_not_shown() -> None:
    assert shown("https://anna:hunter2@symbols.example/store/") == SYMBOLS
    assert shown(Path("/srv/symbols")) == "/srv/symbols"


class Room:
    """A workspace's people: one is an admin."""

    async def is_one_of(self, person: str, names: frozenset[str]) -> bool:
        return person in names or (ADMINS in names and person == "U-ADMIN")


def workspaces() -> OneWorkspace:
    return OneWorkspace(SimpleNamespace(team="T1", membership=Room()))  # type: ignore[arg-type]  # all that is asked of it


def told(settings: Settings) -> Premises:
    tools = SimpleNamespace(analyzer=lambda: Analyzer("0.1.0", "r2"))
    return premises_of(settings, workspaces(), tools)  # type: ignore[arg-type]  # all that is asked of them


async def test_operators_are_the_admins_and_managers_and_nobody_of_a_workspace_that_installed_it(
    tmp_path: Path,
) -> None:
    is_admin = told(Settings(home=tmp_path, managers=frozenset({"U1", "everybody"}))).is_admin
    assert is_admin is not None
    asked = (("T1", "U-ADMIN"), ("T1", "U1"), ("T1", "U2"), ("T2", "U-ADMIN"))
    assert [await is_admin(team, person) for team, person in asked] == [True, True, False, False]
    several = Settings(home=tmp_path, slack_client_id="1.1", slack_client_secret=SecretStr("x" * 32))
    assert several.installs is not None
    assert told(several).is_admin is None


def test_the_premises_are_those_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    cache = tmp_path / "cache"
    path = f"srv*{cache}*https://anna:hunter2@symbols.example/store;/srv/more"
    found = told(Settings(home=tmp_path, symbols=path))
    assert found.symbol_path == ((str(cache), SYMBOLS), ("/srv/more",))
    assert (found.caches, found.cache_bytes) == ((cache,), 20_000_000_000)
    assert (found.home, found.rules(), found.database) == (tmp_path, "r2", str(tmp_path / "pileup.sqlite"))
