"""The app's tokens: the one that a bot is started with, and those that workspaces give it by OAuth.

Source: docs.slack.dev/authentication/installing-with-oauth, docs.slack.dev/authentication/using-token-rotation.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import Answer
from bot.sandbox.errors import SlackError
from bot.sandbox.workspace import Workspace

BOT_TOKEN = "xoxb-sandbox-bot"  # noqa: S105  # the stand-in's own, worth nothing elsewhere
APP_TOKEN = "xapp-sandbox-app"  # noqa: S105
CLIENT_ID, CLIENT_SECRET = "1111.2222", "sandbox client secret"
LIFE_SECONDS = 12 * 3600


@dataclass(slots=True)
class Grant:
    """A token, for what and how long. ``scopes`` None is all of them, ``expires_at`` None for ever."""

    token: str
    workspace: Workspace
    scopes: frozenset[str] | None
    refresh: str | None = None
    expires_at: float | None = None
    is_revoked: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """What an approval sends back with the browser; it is exchanged once. ``redirect`` must come with it."""

    workspace: Workspace
    scopes: frozenset[str]
    redirect: str | None
    by: str
    for_organisation: bool = False


class Grants:
    """Every token of the app. ``rotating``: those given from now on end and are renewed."""

    def __init__(self, workspace: Workspace, scopes: frozenset[str] | None, clock: Callable[[], float]) -> None:
        self.all = [Grant(BOT_TOKEN, workspace, scopes)]
        self.rotating = False
        self.refreshes = 0
        self._codes: dict[str, Code] = {}
        self._clock = clock

    def of(self, token: str) -> Grant:
        """What a token is for. Raises: SlackError: it is none, has ended, or was revoked."""
        grant = next((grant for grant in self.all if grant.token == token), None)
        if grant is None:
            raise SlackError("invalid_auth")
        if grant.is_revoked:
            raise SlackError("token_revoked")
        if grant.expires_at is not None and grant.expires_at <= self._clock():
            raise SlackError("token_expired")
        return grant

    def in_workspace(self, workspace: Workspace) -> Grant | None:
        """The latest token of a workspace that holds."""
        mine = [grant for grant in self.all if grant.workspace is workspace and not grant.is_revoked]
        return mine[-1] if mine else None

    def approve(self, address: str, workspace: Workspace, by: str, *, for_organisation: bool = False) -> str:
        """An admin who was sent to this address says yes: with what the browser goes back. Raises: KeyError."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        if asked["client_id"] != CLIENT_ID:
            raise KeyError(asked["client_id"])
        code = secrets.token_hex(8)
        scopes = frozenset(asked["scope"].split(","))
        self._codes[code] = Code(workspace, scopes, asked.get("redirect_uri"), by, for_organisation)
        return urlencode({"code": code, "state": asked["state"]})

    def access(self, given: Arguments) -> Answer:
        """``oauth.v2.access``: a code, or a refresh token, for a token. Raises: SlackError."""
        if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise SlackError("invalid_client_id")
        if given.get("grant_type") == "refresh_token":
            return self._refreshed(str(given.get("refresh_token")))
        code = self._codes.pop(str(given.get("code")), None)
        if code is None:
            raise SlackError("invalid_code")
        if code.redirect != given.get("redirect_uri"):
            raise SlackError("bad_redirect_uri")
        about = self._given(self._new(code.workspace, code.scopes))
        team = {"id": code.workspace.team_id, "name": code.workspace.team_name}
        return about | {
            "app_id": code.workspace.app_id,
            "authed_user": {"id": code.by},
            "team": None if code.for_organisation else team,
            "enterprise": {"id": "E0ORG00001", "name": "Org"} if code.for_organisation else None,
            "is_enterprise_install": code.for_organisation,
        }

    def revoke(self, token: str) -> Answer:
        """``auth.revoke``. Raises: SlackError."""
        self.of(token).is_revoked = True
        return {"revoked": True}

    def _refreshed(self, refresh: str) -> Answer:
        old = next((grant for grant in self.all if grant.refresh == refresh and not grant.is_revoked), None)
        if old is None:
            raise SlackError("invalid_refresh_token")
        self.refreshes += 1
        old.refresh = None  # each is used once; the token itself holds to its end
        return self._given(self._new(old.workspace, old.scopes))

    def _new(self, workspace: Workspace, scopes: frozenset[str] | None) -> Grant:
        word = secrets.token_hex(8)
        grant = Grant(f"xoxb-{workspace.team_id}-{word}", workspace, scopes)
        if self.rotating:
            grant.token, grant.refresh = f"xoxe.xoxb-1-{workspace.team_id}-{word}", f"xoxe-1-{word}"
            grant.expires_at = self._clock() + LIFE_SECONDS
        self.all.append(grant)
        return grant

    def _given(self, grant: Grant) -> Answer:
        about = {
            "access_token": grant.token,
            "token_type": "bot",
            "scope": ",".join(sorted(grant.scopes or ())),
            "bot_user_id": grant.workspace.bot.id,
        }
        if grant.expires_at is not None:
            about |= {"refresh_token": grant.refresh or "", "expires_in": LIFE_SECONDS}  # type: ignore[dict-item]  # one number
        return about
