"""Who comes to the pages, and what each may see: whoever signed in, whoever holds links, whoever is on this machine."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import HTTPConnection

from bot.web.guard import Access, is_loopback
from bot.web.health.premises import Premises
from bot.web.sealed import mac, seal, unseal
from storage import Store
from storage.clock import Clock
from storage.sessions import Session
from storage.sight import EVERYTHING, Sight

SightOf = Callable[[str, str], Awaitable[Sight]]  # of a workspace and a person in it
LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. ``owner`` is the place in history that their uploads belong to, None for those who upload nothing.

    ``holder`` is what ties a form to this browser. ``rooms`` are the channels that they are in: who holds a link to
    another reads there, and says nothing. ``is_operator``: how the installation does is their business.
    """

    sight: Sight
    owner: str | None = None
    session: Session | None = None
    holder: str = ""
    rooms: frozenset[str] = frozenset()
    is_operator: bool = False

    @property
    def is_stranger(self) -> bool:
        """Whether there is nothing that may be shown."""
        return is_nothing(self.sight)


def is_nothing(sight: Sight) -> bool:
    """Whether nothing can be seen that way."""
    return sight.channels == frozenset() and sight.public_of is None


class Visitors:
    """Tells who asks. ``sight_of`` is asked at each page, so that who leaves a channel no longer sees it; it keeps its
    answers for some minutes. ``premises`` say who of those that signed in looks after the installation, beside whoever
    is at this machine; without them nobody is told how it does."""

    def __init__(
        self,
        store: Store,
        access: Access,
        clock: Clock,
        sight_of: SightOf | None = None,
        premises: Premises | None = None,
        *,
        has_uploads: bool = False,
    ) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._sight_of = sight_of
        self._premises = premises
        self._has_uploads = has_uploads
        self._key = access.secret or secrets.token_urlsafe(32)

    @property
    def cookie(self) -> str:
        """The cookie of a session. Over https no other host may set one of this name."""
        return "__Host-pileup-session" if self.is_secure else "pileup-session"

    @property
    def form_cookie(self) -> str:
        """The cookie of a browser that is no session's."""
        return "__Host-pileup-form" if self.is_secure else "pileup-form"

    @property
    def is_secure(self) -> bool:
        """Whether cookies are for https alone."""
        return (self._access.url or "").startswith("https:")

    async def of(self, connection: HTTPConnection) -> Visitor:
        """Who asks, believed by what the browser holds and by where it is."""
        visitor = await self._held_by(connection)
        return (
            visitor
            if self._premises is None
            else replace(visitor, is_operator=await self._is_operator(connection, visitor.session, self._premises))
        )

    async def _is_operator(self, connection: HTTPConnection, session: Session | None, premises: Premises) -> bool:
        if self._access.secret is None or is_loopback(connection.client.host if connection.client else ""):
            return True
        if session is None or premises.is_admin is None:
            return False
        return await premises.is_admin(session.team, session.person)

    async def _held_by(self, connection: HTTPConnection) -> Visitor:
        form = connection.cookies.get(self.form_cookie, "")
        if self._access.secret is None:
            return Visitor(EVERYTHING, LOCAL, holder=form)
        links = self._access.channels(connection, self._clock()) or frozenset()
        secret = self.secret_of(connection)
        session = None if secret is None else await asyncio.to_thread(self._store.sessions.of, secret)
        if session is None or secret is None or self._sight_of is None:
            return Visitor(Sight(links), holder=form)
        sight = await self._sight_of(session.team, session.person)
        if is_nothing(sight):  # who left the workspace sees no more than a stranger
            return Visitor(Sight(links), holder=form)
        owner = f"person:{session.team}/{session.person}"
        seen = None if sight.channels is None else sight.channels | links | {owner}
        return Visitor(replace(sight, channels=seen), owner, session, secret, sight.channels or frozenset())

    def secret_of(self, connection: HTTPConnection) -> str | None:
        """The secret of the session that a browser holds, if we gave it."""
        sealed = connection.cookies.get(self.cookie, "")
        return unseal(self._key, "session", sealed) if sealed else None

    def sealed(self, secret: str) -> str:
        """The value of a session's cookie."""
        return seal(self._key, "session", secret)

    def form_token(self, visitor: Visitor) -> str:
        """What a form of ours carries, so that it is known for ours when it comes back from this browser."""
        return mac(self._key, "form", visitor.holder)

    def about(self, visitor: Visitor) -> dict[str, Any]:
        """What the head of a page says of who signed in, and what it leads to."""
        name = None if visitor.session is None else visitor.session.name
        can_upload = self._has_uploads and visitor.owner is not None
        form = self.form_token(visitor)
        return {"name": name, "form": form, "is_operator": visitor.is_operator, "can_upload": can_upload}

    def is_our_form(self, visitor: Visitor, token: str) -> bool:
        """Whether a form that came back was given to this very browser."""
        return bool(visitor.holder) and secrets.compare_digest(
            self.form_token(visitor).encode(), token.encode("utf-8", "replace")
        )
