"""The page of health and the same as JSON: for whoever looks after the installation, and nobody else."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from bot.web.health.looking import Looking
from bot.web.health.premises import Premises
from bot.web.templates import page
from bot.web.visitors import Visitor, Visitors
from storage import Store
from storage.clock import Clock
from storage.jobs import Job

NOT_YOURS = "This page is for who looks after this Pileup: admins of the workspace, and whoever is at its machine."


@dataclass(frozen=True, slots=True)
class HealthPages:
    """The pages of one site."""

    store: Store
    visitors: Visitors
    premises: Premises
    clock: Clock

    def routes(self) -> list[Route]:
        """What the site adds to its own."""
        return [Route("/health", self.page), Route("/health.json", self.document)]

    async def page(self, request: Request) -> Response:
        """For people."""
        visitor = await self.visitors.of(request)
        values = await self._values(visitor)
        about = self.visitors.about(visitor)
        return HTMLResponse(page("health", css=None, policy=None, path=request.url.path, visitor=about, **values))

    async def document(self, request: Request) -> Response:
        """For programs."""
        return JSONResponse(await self._values(await self.visitors.of(request)))

    async def _values(self, visitor: Visitor) -> dict[str, Any]:
        if not visitor.is_operator:
            raise HTTPException(403, NOT_YOURS)
        looking = Looking(self.store, self.premises)
        return await asyncio.to_thread(looking.values, self.clock(), lambda job: self._sees(visitor, job))

    def _sees(self, visitor: Visitor, job: Job) -> bool:
        # Whoever is at the machine reads the database anyway; an admin of the workspace is no member of every channel.
        team, channel = (str(job.payload.get(name, "")) for name in ("team", "channel"))
        return visitor.session is None or self.store.channels.is_seen(visitor.sight, team, channel)
