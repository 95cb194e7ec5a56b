"""The addresses for machines that post their own dumps. A token sees its own uploads and what came of them."""

import asyncio
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bot.posted import Wishes
from bot.web.api import asked, shapes
from bot.web.api.problems import Problem
from bot.web.api.reading import tagged
from bot.web.api.shapes import Json
from bot.web.api.tokens import Bearers, Caller
from bot.web.uploads.intake import Intake
from bot.web.uploads.outcome import Dump, outcome
from bot.web.uploads.receiving import Unwelcome
from storage import Store
from storage.clock import stamp
from storage.jobs import Job
from storage.uploads import Upload

MAX_WAIT = 60
AGAIN_SECONDS = 2  # after which it may be worth asking how it stands
NAMES = ("wait", "name", "channel")
NO_UPLOAD = "There is no such analysis, or it is another token's."


@dataclass(frozen=True, slots=True)
class Posting:
    """The posting half of the API."""

    store: Store
    bearers: Bearers
    page: shapes.PageOf
    intake: Intake

    def routes(self) -> list[Route]:
        """The addresses below ``/api``."""
        return [
            Route("/analyze", self.analyze, methods=["POST"]),
            Route("/analyses/{upload}", self.analysis),
        ]

    async def analyze(self, request: Request) -> Response:
        """Take a dump; 202 and where to ask, or 200 and what was found, where it was found in time."""
        caller = await self.bearers.caller(request, "analyze")
        asked.check_names(request.query_params, NAMES)
        wait = asked.number(request.query_params, "wait", 0, MAX_WAIT)
        wished = request.query_params.get("channel")

        def judge(fields: dict[str, str]) -> Wishes:
            return self._wishes(caller, fields.get("channel") or wished)

        try:
            made = await self.intake.take(request, caller.owner, judge)
        except Unwelcome as error:
            headers = {"Retry-After": "60"} if error.status == 429 else {}
            raise Problem(error.status, error.line, headers) from error
        except ClientDisconnect:
            return Response(status_code=400)
        return await self._told(request, caller, made, wait, first=True)

    async def analysis(self, request: Request) -> Response:
        """How one upload stands."""
        caller = await self.bearers.caller(request, "analyze")
        asked.check_names(request.query_params, ("wait",))
        wait = asked.number(request.query_params, "wait", 0, MAX_WAIT)
        return await self._told(request, caller, request.path_params["upload"], wait)

    async def _told(self, request: Request, caller: Caller, number: str, wait: int, *, first: bool = False) -> Response:
        upload = await asyncio.to_thread(self.store.uploads.get, number)
        if upload is None or upload.owner != caller.owner:
            raise Problem(404, NO_UPLOAD)
        job = await self.intake.ended(number, wait)
        said = await asyncio.to_thread(self._said, caller, upload, job)
        is_over = said["state"] in ("done", "failed")
        answer = tagged(request, said, 202 if first and not is_over else 200)
        if not is_over:
            answer.headers["Retry-After"] = str(AGAIN_SECONDS)
        if first:
            answer.headers["Location"] = said["url"]
        return answer

    def _said(self, caller: Caller, upload: Upload, job: Job | None) -> Json:
        seen = self.store.seen_as(caller.sight)
        found = outcome(seen, upload, job)
        return {
            "id": upload.id,
            "url": f"/api/analyses/{upload.id}",
            "name": upload.name,
            "size": upload.size,
            "at": stamp(upload.at),
            "state": found.state,
            "error": None if found.error is None else {"kind": found.error[0], "detail": found.error[1]},
            "dumps": [self._dump(seen, dump) for dump in found.dumps],
        }

    def _dump(self, seen: Store, dump: Dump) -> Json:
        crash = dump.crash
        return {
            "name": dump.name,
            "crash": None if crash is None else shapes.crash(crash, self.page),
            "report": None if crash is None else seen.reports.document(crash.id),
            "error": dump.line or None,
        }

    def _wishes(self, caller: Caller, channel: str | None) -> Wishes:
        # Who sees it: the token, and the channels that the token was made for; or the one channel that is told.
        seen = caller.sight.channels or frozenset({caller.owner})
        if channel is None:
            return Wishes(tuple(sorted(seen | {caller.owner})), caller.name, self.intake.team)
        is_seen = caller.sight.channels is None or channel in caller.sight.channels
        if channel == caller.owner or not is_seen or (self.intake.channels and channel not in self.intake.channels):
            raise Unwelcome(403, "This token may not tell that channel.")
        team = self.intake.team or self.store.channels.team_of(channel)
        if team is None:
            raise Unwelcome(403, "It is not known to which workspace that channel belongs: the bot must be in it.")
        return Wishes((caller.owner,), caller.name, team, channel)
