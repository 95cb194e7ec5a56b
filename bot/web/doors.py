"""The ways into the pages, from the settings: signing in with Slack, where everything that it needs is set."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.settings import Settings
from bot.tools import Tools
from bot.web.health.premises import Premises, premises_of
from bot.web.signin.flow import BACK, Terms
from bot.web.signin.issuer import Client, Issuer
from bot.web.uploads.intake import Intake
from bot.workspaces import Workspace, Workspaces
from storage.routes import Route
from storage.sight import Sight
from storage.uploads import Quota

Rules = Callable[[str], tuple[Route, ...]]


@dataclass(frozen=True, slots=True)
class Doors:
    """``sign_in`` is how people sign in, None where they cannot; ``per_minute`` the requests of one token; ``intake``
    where dumps come in, None where none do; ``premises`` what the page of health tells, None where there is no such
    page; ``rules`` are the routing rules of a workspace, of the one of the settings where it is not named."""

    sign_in: Terms | None = None
    per_minute: int = 120
    intake: Intake | None = None
    premises: Premises | None = None
    rules: Rules = lambda _team: ()


def doors_of(settings: Settings, workspaces: Workspaces, tools: Tools, announce: Callable[[], None]) -> Doors:
    """The ways in that the settings open; ``announce`` tells the workers that there is something to do."""
    quota = Quota(settings.uploads_at_once, settings.uploads_a_day)
    team = workspaces.nobody.team
    intake = Intake(
        *(tools.store, tools.uploads, settings.fetch_limits, quota, team, settings.channels, announce),
        shelf=tools.shelf,
    )

    def rules(asked: str) -> tuple[Route, ...]:
        return tools.choices.routes(asked or team)

    premises = premises_of(settings, workspaces, tools)
    return Doors(sign_in_terms(settings, workspaces), settings.api_per_minute, intake, premises, rules)


def sign_in_terms(settings: Settings, workspaces: Workspaces) -> Terms | None:
    """How people of our workspaces sign in; None where a setting for it is missing."""
    secret, address = settings.web_secret, settings.web_url
    if not (settings.slack_client_id and settings.slack_client_secret and secret and address):
        return None

    async def is_ours(other: str) -> bool:
        return await _ours(workspaces, other) is not None

    async def sight_of(other: str, person: str) -> Sight:
        workspace = await _ours(workspaces, other)
        return Sight(frozenset()) if workspace is None else await workspace.sight_of(person)

    client = Client(
        settings.web_issuer,
        settings.slack_client_id,
        settings.slack_client_secret.get_secret_value(),
        f"{address}{BACK}",
    )
    lasts = timedelta(hours=settings.web_session_hours)
    return Terms(Issuer(client), secret.get_secret_value(), is_ours, sight_of, lasts)


async def _ours(workspaces: Workspaces, team: str) -> Workspace | None:
    found = await workspaces.of(team)
    return found if found is not None and found.team == team else None
