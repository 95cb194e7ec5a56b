"""The way of a sign-in: to Slack with a state that this browser holds, back with a code, into a new session.

What the browser holds on its way (state, nonce, the verifier of PKCE, where it wanted to go) is sealed and ends after
ten minutes; a state is good for one return. A session begins with a new secret, whatever the browser brought.
"""

import asyncio
import base64
import hashlib
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.web.forms import small_form
from bot.web.sealed import seal_json, unseal_json
from bot.web.signin.identity import Person, identify
from bot.web.signin.issuer import Issuer, SignInFailed
from bot.web.visitors import SightOf, Visitors, is_nothing
from storage import Store
from storage.clock import Clock

log = logging.getLogger(__name__)

BEGIN, BACK, OUT = "/signin", "/signin/callback", "/signout"
WAY_SECONDS = 600
MAX_NEXT = 1000
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")  # printable ASCII without a backslash
_ENDED = SignInFailed("state", "This sign-in has ended, or was begun in another browser: begin anew.")


@dataclass(frozen=True, slots=True)
class Terms:
    """How people sign in. ``is_ours`` says whether a workspace is one of ours, ``secret`` seals what is on its way."""

    issuer: Issuer
    secret: str
    is_ours: Callable[[str], Awaitable[bool]]
    sight_of: SightOf
    lasts: timedelta


class SignIn:
    """The three addresses of signing in and out."""

    def __init__(self, store: Store, terms: Terms, visitors: Visitors, clock: Clock) -> None:
        self._store = store
        self._terms = terms
        self._visitors = visitors
        self._clock = clock

    def routes(self) -> list[Route]:
        """What the site adds to its own."""
        return [Route(BEGIN, self.begin), Route(BACK, self.back), Route(OUT, self.out, methods=["POST"])]

    async def begin(self, request: Request) -> Response:
        """Send the visitor to Slack."""
        issuer = self._terms.issuer
        try:
            endpoints = await issuer.endpoints()
        except SignInFailed as failed:
            raise _told(failed) from failed
        way = {
            "state": secrets.token_urlsafe(24),
            "nonce": secrets.token_urlsafe(24),
            "next": local(request.query_params.get("next", "/")),
            "until": int(self._clock().timestamp()) + WAY_SECONDS,
        }
        asked = {
            "response_type": "code",
            "client_id": issuer.client.id,
            "scope": "openid profile",
            "redirect_uri": issuer.client.redirect,
            "state": way["state"],
            "nonce": way["nonce"],
        }
        if endpoints.has_pkce:
            way["verifier"] = secrets.token_urlsafe(48)
            asked |= {"code_challenge": _challenge(str(way["verifier"])), "code_challenge_method": "S256"}
        join = "&" if "?" in endpoints.authorize else "?"
        answer = RedirectResponse(f"{endpoints.authorize}{join}{urlencode(asked)}", 303)
        sealed = seal_json(self._terms.secret, "signin", way)
        self._set(answer, self._way_cookie, sealed, WAY_SECONDS)
        return answer

    async def back(self, request: Request) -> Response:
        """Take the visitor back: a session, or a refusal in words."""
        try:
            way = await self._way(request)
            person = await self._person(request, way)
        except SignInFailed as failed:
            log.warning("nobody signed in: %s", failed.kind)
            await self._note("sign in", "", "", failed.kind, allowed=False)
            raise _told(failed) from failed
        old = self._visitors.secret_of(request)
        if old is not None:
            await asyncio.to_thread(self._store.sessions.end, old)
        secret = await asyncio.to_thread(
            self._store.sessions.begin, person.team, person.id, person.name, self._terms.lasts
        )
        await self._note("sign in", person.id, person.team)
        answer = RedirectResponse(local(str(way["next"])), 303)
        seconds = int(self._terms.lasts.total_seconds())
        self._set(answer, self._visitors.cookie, self._visitors.sealed(secret), seconds)
        self._set(answer, self._way_cookie, "", 0)
        return answer

    async def out(self, request: Request) -> Response:
        """End the session, if the visitor's own page asks for it."""
        visitor = await self._visitors.of(request)
        form = await small_form(request)
        if not self._visitors.is_our_form(visitor, form.get("form", "")):
            raise HTTPException(403, "This form is not from this session: load the page again.")
        secret = self._visitors.secret_of(request)
        if secret is not None:
            await asyncio.to_thread(self._store.sessions.end, secret)
        if visitor.session is not None:
            await self._note("sign out", visitor.session.person, visitor.session.team)
        answer = RedirectResponse("/", 303)
        self._set(answer, self._visitors.cookie, "", 0)
        return answer

    async def _way(self, request: Request) -> dict[str, str | int]:
        # What this browser took along, if this return belongs to it and is the first.
        held = unseal_json(self._terms.secret, "signin", request.cookies.get(self._way_cookie, ""))
        state = request.query_params.get("state", "")
        if held is None or held["until"] <= self._clock().timestamp():
            raise _ENDED
        if not secrets.compare_digest(str(held["state"]).encode(), state.encode("utf-8", "replace")):
            raise _ENDED
        name = hashlib.sha256(state.encode()).hexdigest()
        if not await asyncio.to_thread(self._store.events.first, f"signin:{name}"):
            raise _ENDED
        return held

    async def _person(self, request: Request, way: dict[str, str | int]) -> Person:
        asked, issuer = request.query_params, self._terms.issuer
        if asked.get("error"):
            raise SignInFailed("denied", "Slack did not let you sign in.")
        if asked.get("iss", issuer.client.issuer) != issuer.client.issuer:
            raise SignInFailed("another-issuer", "This answer is not from where we asked: begin anew.")
        verifier = way.get("verifier")
        person = await identify(
            issuer, asked.get("code", ""), None if verifier is None else str(verifier), str(way["nonce"])
        )
        if not await self._terms.is_ours(person.team):
            raise SignInFailed("another-team", "Your workspace is not one that this Pileup belongs to.")
        if is_nothing(await self._terms.sight_of(person.team, person.id)):
            raise SignInFailed("nobody", "Slack does not know you as somebody who may see anything here.")
        return person

    async def _note(self, deed: str, person: str, team: str, detail: str = "", *, allowed: bool = True) -> None:
        await asyncio.to_thread(lambda: self._store.audit.note(deed, person, team=team, detail=detail, allowed=allowed))

    @property
    def _way_cookie(self) -> str:
        return "__Host-pileup-signin" if self._visitors.is_secure else "pileup-signin"

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        # Lax: the return from Slack is a link that is followed, and no form of another site brings these along.
        answer.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._visitors.is_secure, httponly=True, samesite="lax"
        )


def local(address: str) -> str:
    """A path on this very site; the front page for anything that could lead elsewhere."""
    is_way = address.startswith((BEGIN, OUT))
    return address if len(address) <= MAX_NEXT and _LOCAL.fullmatch(address) and not is_way else "/"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _told(failed: SignInFailed) -> HTTPException:
    return HTTPException(403, failed.line)
