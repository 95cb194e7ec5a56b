"""The whole site at two loopback addresses, with every way in: a history, an issuer that lets people sign in, uploads.

The issuer has another name than the site ("localhost" and "127.0.0.1"): the browser takes them for two sites, as they
are in life.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.web.crash import crash_file
from bot.web.doors import Doors
from bot.web.guard import Access, Rates
from bot.web.health.premises import Premises
from bot.web.pages import create_site
from bot.web.running import open_socket, serve_pages
from bot.web.signin.flow import Terms
from bot.web.signin.issuer import Client, Issuer
from bot.web.templates import page, policy_with_own_style, style
from bot.web.uploads.intake import Intake
from storage import Store
from storage.jobs import NewJob
from storage.sight import Sight
from storage.sources import Said
from storage.uploads import Quota
from tests.bot.web.issuer import CLIENT, CLIENT_SECRET, Claims, Fake
from tests.bot.web.sites import SECRET
from tests.look.gallery import FORGED, OPEN, TEAM, Gallery, fill
from tests.storage.samples import Clock

ENDLESS = 1e9  # requests
PERSON = "U1"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the site is, and where what it has no address for by itself: pages of the installer, a page as a file.

    ``uploads`` are the ids of uploads by how they stand.
    """

    store: Store
    site: str
    beside: str
    gallery: Gallery
    uploads: dict[str, str]
    file: Path
    now: datetime


@asynccontextmanager
async def staged(home: Path, kinds: Sequence[str] = tuple(FORGED), rates: Rates | None = None) -> AsyncIterator[Stage]:
    """The site over the gallery, until the block ends. ``home`` is an empty directory."""
    clock = Clock(datetime.now(UTC))  # an issuer's signatures are good for minutes of the real clock
    with Store.open(home / "pileup.sqlite", clock) as store:
        gallery = fill(store, clock.now, tuple(kinds))
        place, beside = open_socket("127.0.0.1", 0), open_socket("127.0.0.1", 0)
        url = f"http://127.0.0.1:{place.getsockname()[1]}"
        others = f"http://localhost:{beside.getsockname()[1]}"
        fake = Fake(person=PERSON, team=TEAM, description=_at(others), claims=lambda said: said | {"iss": others})
        intake = Intake(store, home / "uploads", team=TEAM)
        site = create_site(
            store,
            Access(SECRET, url),
            clock,
            rates or Rates(burst=ENDLESS),
            Doors(_terms(fake, url, others), intake=intake, premises=_premises(store, home)),
        )
        file = home / "crash.html"
        report = store.reports.report(gallery.crashes["three" if "three" in gallery.crashes else "whole"])
        assert report is not None
        file.write_text(crash_file(report), "utf-8")
        async with AsyncExitStack() as stack:
            for app, listening in ((site, place), (_others(fake), beside)):
                await stack.enter_async_context(_served(app, listening))
            yield Stage(store, url, others, gallery, _uploads(store, gallery), file, clock.now)


@asynccontextmanager
async def _served(app: ASGIApp, place: object) -> AsyncIterator[None]:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve_pages(app, place, stop))  # type: ignore[arg-type]
    try:
        yield
    finally:
        stop.set()
        await serving


def _at(issuer: str) -> Callable[[Claims], Claims]:
    # The issuer is where the browser finds it; what the site asks of it itself goes nowhere.
    return lambda said: said | {"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize"}


def _terms(fake: Fake, url: str, issuer_url: str) -> Terms:
    async def is_ours(team: str) -> bool:
        return team == TEAM

    async def sight_of(team: str, person: str) -> Sight:
        return Sight(frozenset({OPEN}), public_of=team) if person == PERSON else Sight(frozenset())

    issuer = Issuer(Client(issuer_url, CLIENT, CLIENT_SECRET, f"{url}/signin/callback"), fake.http)
    return Terms(issuer, SECRET, is_ours, sight_of, timedelta(hours=12))


def _premises(store: Store, home: Path) -> Premises:
    # What the page of health has to tell: a worker, places of symbols that answered and one that did not.
    server = "https://symbols.example.com/download"
    store.workers.sign_in("build-7:4711:0:", "0.1.0", 2)
    store.webhooks.add("https://hooks.example.com/pileup")
    told = (Said(server, "found", "ntkrnlmp.pdb", 40), Said(server, "missing", "acme.pdb", 3))
    store.sources.note("build-7", (*told, Said("/srv/old", "failed", "acme.pdb in old is refused: another age")))
    return Premises(
        home, str(home / "pileup.sqlite"), ((str(home / "symbols"), server), ("/srv/old",)), (home,), 10**10
    )


def _others(fake: Fake) -> ASGIApp:
    # What stands at the issuer's: a page with one link. And the installer's last page, for each way it ends.
    async def authorize(request: Request) -> Response:
        back = fake.agree(str(request.url))
        return HTMLResponse(Markup('<!doctype html><title>Allow</title><a id="allow" href="{}">Allow</a>').format(back))

    async def installed(request: Request) -> Response:
        kind = request.path_params["kind"]
        own = {"css": style(), "policy": policy_with_own_style()}
        return HTMLResponse(page("install", **own, kind=kind, workspace="Acme", again="/slack/install"))

    return Starlette(routes=[Route("/authorize", authorize), Route("/installed/{kind}", installed)])


def _uploads(store: Store, gallery: Gallery) -> dict[str, str]:
    made = {}
    for state in ("failed", "done"):
        one = store.uploads.begin(f"person:{TEAM}/{PERSON}", "MEMORY.DMP", Quota())
        store.uploads.received(one, 8 << 20, NewJob(f"posted:{one}", {"channel": ""}))
        job = store.jobs.take("w", 60)
        assert job is not None
        if state == "failed":
            store.jobs.fail(job, "not-a-dump", "This is a PDF, not a dump that can be read here.")
        else:
            dumps = [["MEMORY.DMP", gallery.crashes["whole"], ""], ["readme.dmp", None, "it is no dump"]]
            store.jobs.remember(job, dumps=dumps)
            store.jobs.finish(job)
        made[state] = one
    return made
