"""Who asks the API: the token that a request bears, what it may do, and how often."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from bot.web.api.problems import Problem
from bot.web.guard import Access, Rates
from bot.web.visitors import LOCAL
from storage import Store
from storage.sight import EVERYTHING, Sight
from storage.tokens import Scope

GUESSES, GUESSES_A_SECOND = 10.0, 0.2  # wrong tokens from one address: at once, and then


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by what history they see and by the place in it that their uploads belong to."""

    name: str
    sight: Sight
    owner: str


@dataclass(slots=True)
class Bearers:
    """Checks what requests bear. ``per_minute`` requests a token; who is on this machine may read without one, where
    no secret keeps the pages."""

    store: Store
    access: Access
    per_minute: int = 120
    rates: Rates = field(init=False)
    guesses: Rates = field(default_factory=lambda: Rates(GUESSES, GUESSES_A_SECOND))

    def __post_init__(self) -> None:
        self.rates = Rates(float(self.per_minute), self.per_minute / 60)

    async def caller(self, request: Request, scope: Scope) -> Caller:
        """Who asks, if they may do this now. Raises: Problem."""
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if not secret and self.access.secret is None and scope == "read":
            return Caller(LOCAL, EVERYTHING, LOCAL)
        found = None
        if kind.lower() == "bearer" and secret:
            found = await asyncio.to_thread(self.store.tokens.of, secret.strip())
        if found is None:
            self._count_guess(request)
            raise Problem(401, "This needs a valid token: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"})
        if not self.rates.allow(f"token {found.id}"):
            wait = max(1, round(60 / self.per_minute))
            said = f"This token may ask {self.per_minute} times a minute."
            raise Problem(429, said, {"Retry-After": str(wait)})
        if scope not in found.scopes:
            said = f"This token has not the scope {scope}."
            raise Problem(403, said, {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'})
        owner = f"token:{found.id}"
        seen = None if found.channels is None else found.channels | {owner}
        return Caller(found.name, Sight(seen), owner)

    def _count_guess(self, request: Request) -> None:
        address = request.client.host if request.client else ""
        if not self.guesses.allow(address):
            raise Problem(429, "Too many requests without a valid token from this address.", {"Retry-After": "60"})
