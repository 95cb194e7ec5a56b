"""The way of a workspace to the bot: ``/slack/install`` sends its admin to Slack, ``/slack/oauth_redirect`` takes what
Slack sends back.

What goes out with the browser must come back with the same browser, once, within ten minutes. Installations for a whole
organisation are refused, and what Slack gave for one is revoked at once: history is kept by workspace.
Source: docs.slack.dev/authentication/installing-with-oauth.
"""

import logging
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.clients import bare_client, oauth_access, reading_client
from bot.install.installations import STATE_SECONDS, InstallationStore, StateStore
from bot.install.scopes import bot_scopes
from bot.install.wanted import wanted_features
from bot.settings import Settings
from bot.slack_calls import word
from bot.web.guard import Rates
from bot.web.templates import page, policy_with_own_style, style
from storage.store import Store

log = logging.getLogger(__name__)

INSTALL, BACK = "/slack/install", "/slack/oauth_redirect"
_FAULTS = (SlackApiError, SlackClientError, aiohttp.ClientError, OSError, TimeoutError)


class Refusal(Exception):
    """Why there is no installation: ``kind`` picks the words, ``status`` is for programs."""

    def __init__(self, kind: str, status: int = 400) -> None:
        super().__init__(kind)
        self.kind = kind
        self.status = status


def install_routes(settings: Settings, store: Store) -> list[BaseRoute]:
    """The two addresses."""
    site = _Site(settings, store)
    return [Route(INSTALL, site.begin), Route(BACK, site.end)]


class _Site:
    def __init__(self, settings: Settings, store: Store) -> None:
        assert settings.installs is not None  # noqa: S101  # it is what calls this
        self._settings = settings
        self._keys = settings.installs
        self._scopes = ",".join(bot_scopes(wanted_features(settings)))
        self._store = store
        self._installations = InstallationStore(store, settings.vault)
        self._states = StateStore(store)
        self._rates = Rates(burst=20.0, per_second=0.2)

    async def begin(self, request: Request) -> Response:
        if not self._rates.allow(request.client.host if request.client else ""):
            return PlainTextResponse("Too many requests: slow down.", 429, {"Retry-After": "5"})
        state = await self._states.async_issue()
        asked = {"client_id": self._keys[0], "scope": self._scopes, "user_scope": "", "state": state}
        answer = RedirectResponse(f"{self._authorize}?{urlencode(asked | self._redirect)}", 302)
        answer.set_cookie(
            self._cookie,
            state,
            max_age=int(STATE_SECONDS),
            path="/" if self._is_secure else BACK,
            secure=self._is_secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def end(self, request: Request) -> Response:
        try:
            name = await self._installed(request)
        except Refusal as refusal:
            log.warning("an installation was refused: %s", refusal.kind)
            answer = self._page(refusal.kind, refusal.status)
        else:
            answer = self._page("done", 200, name)
        answer.delete_cookie(self._cookie, path="/" if self._is_secure else BACK, secure=self._is_secure)
        return answer

    async def _installed(self, request: Request) -> str:
        given, held = request.query_params.get("state", ""), request.cookies.get(self._cookie, "")
        if not given or given != held or not await self._states.async_consume(given):
            raise Refusal("state", 403)
        if request.query_params.get("error"):
            raise Refusal("cancelled")
        code = request.query_params.get("code")
        if not code:
            raise Refusal("code")
        client = bare_client(self._settings.slack_api_url)
        try:
            answer = await oauth_access(client, self._keys, code=code, **self._redirect)
            return await self._keep(client, answer)
        except SlackApiError as error:
            log.warning("Slack refuses an installation: %s", word(error))
            raise Refusal("refused") from error
        except _FAULTS as error:
            raise Refusal("unreachable", 502) from error

    async def _keep(self, client: AsyncWebClient, answer: Any) -> str:
        team, token = answer.get("team") or {}, str(answer.get("access_token") or "")
        if answer.get("is_enterprise_install") or not team.get("id") or answer.get("token_type") != "bot":
            await client.auth_revoke(token=token)
            raise Refusal("organisation", 403)
        if self._settings.teams and team["id"] not in self._settings.teams:
            await client.auth_revoke(token=token)
            raise Refusal("team", 403)
        me = await reading_client(token, self._settings.slack_api_url).auth_test()
        lasts = answer.get("expires_in")
        by = str((answer.get("authed_user") or {}).get("id") or "")
        installation = Installation(
            app_id=answer.get("app_id"),
            team_id=team["id"],
            team_name=team.get("name"),
            bot_token=token,
            bot_id=me.get("bot_id"),
            bot_user_id=answer.get("bot_user_id") or me.get("user_id"),
            bot_scopes=answer.get("scope") or "",
            bot_refresh_token=answer.get("refresh_token"),
            bot_token_expires_at=None if lasts is None else int(time.time()) + int(lasts),
            user_id=by,
            custom_values={"url": _with_slash(str(me.get("url") or ""))},
        )
        await self._installations.async_save(installation)
        self._store.audit.note("install", by, team=team["id"], detail=str(team.get("name") or ""))
        log.info("workspace %s has installed the bot", team["id"])
        return str(team.get("name") or team["id"])

    @property
    def _authorize(self) -> str:
        # Beside the Web API, whose address is https://slack.com/api/.
        return f"{self._settings.slack_api_url.removesuffix('/').removesuffix('/api')}/oauth/v2/authorize"

    @property
    def _redirect(self) -> dict[str, str]:
        return {"redirect_uri": f"{self._settings.http_url}{BACK}"} if self._settings.http_url else {}

    @property
    def _is_secure(self) -> bool:
        return (self._settings.http_url or "").startswith("https:")

    @property
    def _cookie(self) -> str:
        return "__Host-pileup-install" if self._is_secure else "pileup-install"

    def _page(self, kind: str, status: int, name: str = "") -> HTMLResponse:
        html = page("install", css=style(), policy=policy_with_own_style(), kind=kind, workspace=name, again=INSTALL)
        return HTMLResponse(html, status, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def _with_slash(url: str) -> str:
    return url if url.endswith("/") else f"{url}/"
