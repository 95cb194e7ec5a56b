"""The upload form and the page that says how an upload stands. Both work without script."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.posted import Wishes
from bot.web.templates import page
from bot.web.uploads.intake import Intake
from bot.web.uploads.outcome import Outcome, outcome
from bot.web.uploads.receiving import Unwelcome
from bot.web.visitors import Visitor, Visitors
from storage import Store

FORM, UPLOADS = "/upload", "/uploads"
REFRESH_SECONDS = 3
FORM_SECONDS = 24 * 3600
NO_OWNER = "Only who signed in may upload dumps."
_CHANNEL = re.compile(r"[A-Z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class UploadPages:
    """The pages of one site."""

    store: Store
    visitors: Visitors
    intake: Intake

    def routes(self) -> list[Route]:
        """What the site adds to its own."""
        return [
            Route(FORM, self.form, methods=["GET"]),
            Route(FORM, self.post, methods=["POST"]),
            Route(f"{UPLOADS}/{{upload}}", self.upload),
        ]

    async def form(self, request: Request) -> Response:
        """The form, made for this very browser."""
        return self._form(request, await self._owner(request))

    async def post(self, request: Request) -> Response:
        """Take what the form sends; on to the page that says how it stands."""
        visitor = await self._owner(request)

        def judge(fields: dict[str, str]) -> Wishes:
            if not self.visitors.is_our_form(visitor, fields.get("form", "")):
                raise Unwelcome(403, "This form is not from this session: load the page again.")
            return self._wishes(visitor, fields.get("channel", "").strip())

        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise HTTPException(415)
        try:
            made = await self.intake.take(request, str(visitor.owner), judge)
        except Unwelcome as error:
            return self._form(request, visitor, error.line, error.status)
        except ClientDisconnect:
            return Response(status_code=400)
        return RedirectResponse(f"{UPLOADS}/{made}", 303)

    async def upload(self, request: Request) -> Response:
        """How an upload stands; the page asks again by itself until it is over."""
        visitor = await self._owner(request)
        found = await asyncio.to_thread(self.store.uploads.get, request.path_params["upload"])
        if found is None or found.owner != visitor.owner:
            raise HTTPException(404)
        job = await self.intake.ended(found.id, 0)
        seen = self.store.seen_as(visitor.sight)
        said: Outcome = await asyncio.to_thread(outcome, seen, found, job)
        html = page("upload_status", **self._around(request, visitor), upload=found, said=said)
        is_over = said.state in ("done", "failed")
        return HTMLResponse(html, headers={} if is_over else {"Refresh": str(REFRESH_SECONDS)})

    def _form(self, request: Request, visitor: Visitor, mistake: str = "", status: int = 200) -> Response:
        held = visitor
        made = ""
        if not visitor.holder:  # a browser without a session holds something that ties the form to it
            made = secrets.token_urlsafe(24)
            held = Visitor(visitor.sight, visitor.owner, holder=made)
        around = self._around(request, visitor)
        html = page(
            "upload",
            **around,
            form=self.visitors.form_token(held),
            mistake=mistake,
            can_tell=visitor.session is not None,
            most=self.intake.limits.max_bytes,
        )
        answer = HTMLResponse(html, status)
        if made:
            answer.set_cookie(
                self.visitors.form_cookie, made, max_age=FORM_SECONDS, path="/", secure=self.visitors.is_secure,
                httponly=True, samesite="strict",
            )  # fmt: skip
        return answer

    def _around(self, request: Request, visitor: Visitor) -> dict[str, Any]:
        about = self.visitors.about(visitor)
        return {"css": None, "policy": None, "path": request.url.path, "visitor": about}

    async def _owner(self, request: Request) -> Visitor:
        visitor = await self.visitors.of(request)
        if visitor.owner is None:
            raise HTTPException(403, NO_OWNER)
        return visitor

    def _wishes(self, visitor: Visitor, channel: str) -> Wishes:
        owner, session = str(visitor.owner), visitor.session
        if session is None and not channel:
            return Wishes((owner,), "somebody at this machine", self.intake.team)
        team = self.intake.team if session is None else session.team
        if session is not None and not channel:
            return Wishes((owner,), session.name, team, person=session.person)
        if session is None or not _CHANNEL.fullmatch(channel) or not self._may_tell(visitor, team, channel):
            raise Unwelcome(403, "You cannot tell that channel from here: you must see it in Slack, and the bot, too.")
        return Wishes((owner,), session.name, team, channel, session.person)

    def _may_tell(self, visitor: Visitor, team: str, channel: str) -> bool:
        if self.intake.channels and channel not in self.intake.channels:
            return False
        if channel in visitor.rooms:
            return True
        room = self.store.channels.get(team, channel)
        return room is not None and room.kind == "public" and visitor.sight.public_of == team
