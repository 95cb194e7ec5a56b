"""The addresses that read history. Each sees what the caller's token sees."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import get_args

import fastjsonschema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.standing import known_json
from bot.web.api import asked, shapes
from bot.web.api.problems import Problem
from bot.web.api.shapes import Json
from bot.web.api.tokens import Bearers
from bot.web.paging import place_of
from storage import Query, Store
from storage.clock import Clock, stamp
from storage.search import Column

PICKING = ("q", "module", "code", "host", "signature", "since", "until")
COLUMNS: tuple[Column, ...] = get_args(Column)
MAX_DAYS = 3660
MAX_VALUES = 100
NO_CRASH = "There is no such crash, or this token does not see it."
Read = Callable[[Store, Request], Json]


@dataclass(frozen=True, slots=True)
class Reading:
    """The reading half of the API. ``page`` is the address of a crash's page, where there is a public one."""

    store: Store
    bearers: Bearers
    page: shapes.PageOf
    clock: Clock

    def routes(self) -> list[Route]:
        """The addresses below ``/api``."""
        return [
            Route("/crashes", self._answering(self._crashes, (*PICKING, "limit", "cursor"))),
            Route("/crashes/{number:int}", self._answering(self._crash)),
            Route("/groups", self._answering(self._groups, ("days", "limit"))),
            Route("/groups/{signature:path}", self._answering(self._group)),
            Route("/top", self._answering(self._top, (*PICKING, "by", "limit"))),
            Route("/health", self._answering(self._health)),
        ]

    def _answering(self, read: Read, names: tuple[str, ...] = ()) -> Callable[[Request], "asyncio.Future[Response]"]:
        async def answer(request: Request) -> Response:
            caller = await self.bearers.caller(request, "read")
            asked.check_names(request.query_params, names)
            said = await asyncio.to_thread(read, self.store.seen_as(caller.sight), request)
            return tagged(request, said)

        return answer  # type: ignore[return-value]  # a coroutine function, as Starlette takes it

    def _crashes(self, store: Store, request: Request) -> Json:
        given = request.query_params
        limit = asked.number(given, "limit", asked.LIMIT, asked.MAX_LIMIT)
        after = asked.cursor(given)
        query, said = asked.query_of(store, given, self.clock())
        found = store.search.page(query, after, limit + 1)
        shown = found[:limit]
        return {
            "answer": list(said),
            "items": [shapes.crash(line, self.page) for line in shown],
            "next": place_of(shown[-1]) if len(found) > limit else None,
        }

    def _crash(self, store: Store, request: Request) -> Json:
        number = request.path_params["number"]
        line = store.reports.get(number)
        document = None if line is None else store.reports.document(number)
        if line is None or document is None:
            raise Problem(404, NO_CRASH)
        return {
            "crash": shapes.crash(line, self.page),
            "threads": shapes.threads(store, number),
            "report": document,
        }

    def _groups(self, store: Store, request: Request) -> Json:
        given = request.query_params
        since = self.clock() - timedelta(days=asked.number(given, "days", 28, MAX_DAYS))
        found = store.overview.problems(since, asked.number(given, "limit", asked.LIMIT, asked.MAX_LIMIT))
        return {"since": stamp(since), "items": [shapes.failure(problem, self.page) for problem in found]}

    def _group(self, store: Store, request: Request) -> Json:
        signature = request.path_params["signature"]
        query = Query(signature=signature, live=True)
        latest = next(iter(store.search.find(query, 1)), None)
        if latest is None:
            raise Problem(404, "There is no such failure, or this token sees no crash of it.")
        span = store.search.span(query)
        try:
            report = store.reports.report(latest.id)
        except fastjsonschema.JsonSchemaException:  # a document of another version of the contract
            report = None
        return {
            "signature": latest.signature,
            "count": span.count,
            "first_seen": None if span.first_seen is None else stamp(span.first_seen),
            "last_seen": None if span.last_seen is None else stamp(span.last_seen),
            "hosts": shapes.counts(store.search.top(query, "host", MAX_VALUES)),
            "builds": shapes.counts(store.search.top(query, "build", MAX_VALUES)),
            "known": None if report is None else known_json(store.known(report)),
            "latest": shapes.crash(latest, self.page),
        }

    def _top(self, store: Store, request: Request) -> Json:
        given = request.query_params
        by = next((column for column in COLUMNS if column == given.get("by", "module")), None)
        if by is None:
            raise Problem(400, f"by must be one of: {', '.join(COLUMNS)}.")
        limit = asked.number(given, "limit", 10, MAX_VALUES)
        query, _ = asked.query_of(store, given, self.clock())
        return {"by": by, "items": shapes.counts(store.search.top(query, by, limit))}

    def _health(self, store: Store, _request: Request) -> Json:
        return {
            "status": "ok",
            "version": version("pileup"),
            "crashes": store.search.count(Query(live=True)),
            "jobs": dict(store.jobs.counts()),
            "webhooks": store.webhooks.counts(),
        }


def tagged(request: Request, said: Json, status: int = 200) -> Response:
    """The answer with its ETag; nothing but that where the caller has this very answer already."""
    body = json.dumps(said, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    held = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if status == 200 and (tag in held or "*" in held):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, "application/json")
