"""The bot's web pages as an ASGI application of their own: mounted by a server of its own, or beside Slack's events.

Everything is read-only, made on the server, and works without script. Queries run in threads: a slow one keeps no
event of Slack waiting.
"""

import asyncio
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import fastjsonschema
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from bot.web import history, links
from bot.web.api.application import api_site
from bot.web.api.description import description, operations
from bot.web.api.tokens import Bearers
from bot.web.crash import crash_values
from bot.web.doors import Doors, Rules
from bot.web.failures import group, groups
from bot.web.guard import COOKIE, MAX_TOKENS, Access, Guard, Rates, tokens
from bot.web.health.pages import HealthPages
from bot.web.metrics import metrics_text
from bot.web.signin.flow import BEGIN, SignIn, local
from bot.web.subjects import KINDS, MAX_PAGE, subject, subjects
from bot.web.templates import ICON, STYLE_SHEET, page
from bot.web.uploads.pages import UploadPages
from bot.web.visitors import Visitor, Visitors
from storage import Store
from storage.clock import Clock, utc_now
from storage.errors import StorageError
from storage.routes import Route as RoutingRule

MAX_QUESTION = 500
DENIED = "This page needs a link from Slack: open “Open report” below a verdict. Links end after some time."
DENIED_SIGNED_OUT = "This page is for those who may see it in Slack: sign in, or open “Open report” below a verdict."
MISSING = "There is no such page, or it belongs to a channel from which you have no link."


def create_site(
    store: Store,
    access: Access,
    clock: Clock = utc_now,
    rates: Rates | None = None,
    doors: Doors | None = None,
) -> ASGIApp:
    """The site over one history, with the ways into it."""
    doors = doors or Doors()
    sign_in = doors.sign_in
    sight_of, premises = None if sign_in is None else sign_in.sight_of, doors.premises
    visitors = Visitors(store, access, clock, sight_of, premises, has_uploads=doors.intake is not None)
    site = _Site(store, access, clock, visitors, doors.rules, can_sign_in=sign_in is not None)
    bearers = Bearers(store, access, doors.per_minute)
    routes = [
        Route("/", site.dashboard),
        Route("/crashes", site.search),
        Route("/crashes/{number:int}", site.crash),
        Route("/crashes/{number:int}.json", site.document),
        Route("/groups", site.groups),
        Route("/groups/{signature:path}", site.group),
        *(Route(f"/{kind}", site.subjects) for kind in KINDS),
        *(Route(f"/{kind}/{{name:path}}", site.subject) for kind in KINDS),
        Route("/open/{token}", site.open),
        Route("/open/{token}/{number:int}", site.open),
        Route("/static/pages.css", site.style),
        Route("/static/icon.svg", site.icon),
        Route("/healthz", site.health),
        Route("/readyz", site.ready),
        Route("/metrics", site.metrics),
        Route("/api", site.api),
        Mount("/api", api_site(store, bearers, access.page_link, clock, doors.intake)),
    ]
    if doors.intake is not None:
        routes += UploadPages(store, visitors, doors.intake).routes()
    if premises is not None:
        routes += HealthPages(store, visitors, premises, clock).routes()
    if sign_in is not None:
        routes += SignIn(store, sign_in, visitors, clock).routes()
    app = Starlette(routes=routes, exception_handlers={HTTPException: site.problem})
    return Guard(app, access, rates or Rates())


class _Site:
    def __init__(
        self, store: Store, access: Access, clock: Clock, visitors: Visitors, rules: Rules, *, can_sign_in: bool
    ) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._visitors = visitors
        self._rules = rules
        self._can_sign_in = can_sign_in

    async def dashboard(self, request: Request) -> Response:
        return await self._page(request, "dashboard", lambda store: history.dashboard(store, self._clock()))

    async def search(self, request: Request) -> Response:
        question = request.query_params.get("q", "")[:MAX_QUESTION]
        after = request.query_params.get("after", "")
        return await self._page(request, "search", lambda store: history.search(store, question, self._clock(), after))

    async def group(self, request: Request) -> Response:
        signature = request.path_params["signature"]
        after = request.query_params.get("after", "")
        return await self._page(request, "group", lambda store: group(store, signature, self._clock(), after))

    async def groups(self, request: Request) -> Response:
        page = _page_number(request)
        return await self._page(request, "groups", lambda store: groups(store, page))

    async def subject(self, request: Request) -> Response:
        kind, name = KINDS[request.url.path.split("/")[1]], request.path_params["name"]
        after = request.query_params.get("after", "")
        visitor = await self._visitors.of(request)
        routes = await asyncio.to_thread(self._routes, visitor) if kind.noun == "team" else ()
        return await self._page(
            request, "subject", lambda store: subject(store, kind, name, self._clock(), after=after, routes=routes)
        )

    async def subjects(self, request: Request) -> Response:
        kind, page = KINDS[request.url.path.strip("/")], _page_number(request)
        return await self._page(request, "subjects", lambda store: subjects(store, kind, page))

    def _routes(self, visitor: Visitor) -> tuple[RoutingRule, ...]:
        # The routing rules of the visitor's workspace, but for those of channels that they do not see.
        team = "" if visitor.session is None else visitor.session.team
        seen = self._store.channels.is_seen
        rules = self._rules(team)
        return tuple(rule for rule in rules if rule.channel is None or seen(visitor.sight, team, rule.channel))

    async def crash(self, request: Request) -> Response:
        number = request.path_params["number"]
        words = request.query_params.get("stack", "")[:MAX_QUESTION]

        def values(store: Store) -> dict[str, Any] | None:
            report = store.reports.report(number)
            if report is None:
                return None
            return {
                **crash_values(report, words),
                **history.around(store, number, report),
                "raw": f"/crashes/{number}.json",
            }

        return await self._page(request, "stored_crash", values)

    async def document(self, request: Request) -> Response:
        found = await asyncio.to_thread((await self._seen(request))[1].reports.document, request.path_params["number"])
        if found is None:
            raise HTTPException(404)
        name = f"pileup-{request.path_params['number']}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(json.dumps(found, indent=1), media_type="application/json", headers=headers)

    async def open(self, request: Request) -> Response:
        token, number = request.path_params["token"], request.path_params.get("number")
        secret, now = self._access.secret, self._clock()
        grant = None if secret is None else links.read(secret, token, now)
        if grant is None:
            raise HTTPException(403)
        answer = RedirectResponse("/" if number is None else f"/crashes/{number}", 303)
        held = [token, *(old for old in tokens(request) if old and old != token)][:MAX_TOKENS]
        seconds = grant.expires - int(now.timestamp())
        is_secure = (self._access.url or "").startswith("https:")
        answer.set_cookie(COOKIE, "~".join(held), max_age=seconds, secure=is_secure, httponly=True, samesite="lax")
        return answer

    async def style(self, _request: Request) -> Response:
        return PlainTextResponse(STYLE_SHEET.read_text("utf-8"), media_type="text/css")

    async def icon(self, _request: Request) -> Response:
        return PlainTextResponse(ICON.read_text("utf-8"), media_type="image/svg+xml")

    async def api(self, request: Request) -> Response:
        visitor = await self._visitors.of(request)
        about = description()["info"]
        return HTMLResponse(
            page(
                "api",
                css=None,
                policy=None,
                path=request.url.path,
                visitor=self._visitors.about(visitor),
                about=about,
                operations=operations(),
            )
        )

    async def health(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, _request: Request) -> Response:
        try:
            await asyncio.to_thread(self._store.jobs.counts)
        except StorageError as error:
            return JSONResponse({"history": type(error).__name__}, 503)
        return JSONResponse({"history": "ok"})

    async def metrics(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        if self._access.secret is not None and not self._access.is_operator(address):
            raise HTTPException(403)
        text = await asyncio.to_thread(metrics_text, self._store, self._clock())
        if text is None:
            raise HTTPException(404)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def _seen(self, request: Request) -> tuple[Visitor, Store]:
        # Who asks, and history as they may see it.
        visitor = await self._visitors.of(request)
        if visitor.is_stranger:
            raise HTTPException(403)
        return visitor, self._store.seen_as(visitor.sight)

    async def _page(self, request: Request, name: str, make: Callable[[Store], dict[str, Any] | None]) -> Response:
        visitor, visible = await self._seen(request)
        about = self._visitors.about(visitor)

        def drawn() -> str | None:
            values = make(visible)
            if values is None:
                return None
            return page(name, css=None, policy=None, path=request.url.path, visitor=about, **values)

        try:
            html = await asyncio.to_thread(drawn)
        except fastjsonschema.JsonSchemaException:  # a document of another version of the contract
            html = None
        if html is None:
            raise HTTPException(404)
        return HTMLResponse(html)

    async def problem(self, request: Request, error: Exception) -> Response:
        """What is said instead of a page."""
        assert isinstance(error, HTTPException)  # noqa: S101  # the only kind it is registered for
        usual = HTTPStatus(error.status_code).phrase
        said = {403: DENIED_SIGNED_OUT if self._can_sign_in else DENIED, 404: MISSING}.get(error.status_code, usual)
        sign_in = None
        if self._can_sign_in and error.status_code == HTTPStatus.FORBIDDEN:
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            sign_in = f"{BEGIN}?next={quote(local(wanted), safe='')}"
        visitor = await self._visitors.of(request)
        html = page(
            "problem",
            css=None,
            policy=None,
            path="",
            visitor=None if visitor.is_stranger else self._visitors.about(visitor),
            said=said if error.detail == usual else error.detail,
            sign_in=sign_in,
        )
        return HTMLResponse(html, error.status_code, error.headers)


def _page_number(request: Request) -> int:
    # Which page of a list is asked for. Raises: HTTPException, for what is none.
    asked = request.query_params.get("page", "1")
    page = int(asked) if re.fullmatch("[0-9]{1,3}", asked) else 0
    if not 1 <= page <= MAX_PAGE:
        raise HTTPException(404)
    return page
