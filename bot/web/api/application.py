"""The API as an application of its own, below ``/api`` of the site."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.web.api.description import description
from bot.web.api.posting import Posting
from bot.web.api.problems import Problem, told
from bot.web.api.reading import Reading, tagged
from bot.web.api.shapes import PageOf
from bot.web.api.tokens import Bearers
from bot.web.uploads.intake import Intake
from storage import Store
from storage.clock import Clock


def api_site(store: Store, bearers: Bearers, page: PageOf, clock: Clock, intake: Intake | None) -> Starlette:
    """The API over one history; ``page`` is the address of a crash's page, ``intake`` where dumps come in."""

    async def described(request: Request) -> Response:
        return tagged(request, description())

    routes = [Route("/openapi.json", described), *Reading(store, bearers, page, clock).routes()]
    if intake is not None:
        routes += Posting(store, bearers, page, intake).routes()
    return Starlette(routes=routes, exception_handlers={Problem: told, HTTPException: told, Exception: told})
