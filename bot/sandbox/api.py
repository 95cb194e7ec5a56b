"""The Web API as it is called: token, scope and arguments checked, faults played, every call noted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

from bot.sandbox.arguments import Arguments, read_arguments, typed
from bot.sandbox.calling import Caller
from bot.sandbox.errors import SlackError
from bot.sandbox.faults import Faults
from bot.sandbox.grants import APP_TOKEN, BOT_TOKEN, Grants
from bot.sandbox.methods import METHODS
from bot.sandbox.workspace import Workspace

__all__ = ["APP_TOKEN", "BOT_TOKEN", "Api", "Call", "token_of"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method as it was answered. ``at`` is monotonic seconds; ``error`` is None for ok."""

    at: float
    method: str
    arguments: Arguments = field(repr=False)
    error: str | None
    answer: dict[str, Any] = field(repr=False)


class Api:
    """The methods over a workspace. ``scopes`` None grants everything; ``open_ticket`` is for a new connection."""

    def __init__(
        self, workspace: Workspace, faults: Faults, open_ticket: Callable[[], str], scopes: frozenset[str] | None
    ) -> None:
        self.calls: list[Call] = []
        self.used_scopes: set[str] = set()
        self.grants = Grants(workspace, scopes, time.time)
        self._workspace = workspace
        self._faults = faults
        self._open_ticket = open_ticket

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        method = request.match_info["method"]
        if self._faults.slow_seconds:
            await asyncio.sleep(self._faults.slow_seconds)
        wait = self._faults.retry_after(method)
        if wait is not None:
            self._record(method, {}, "ratelimited", {})
            return _limited(wait)
        planned = self._faults.planned(method)
        arguments: Arguments = {}
        try:
            arguments = await read_arguments(request)
            if planned is not None and not planned.after_doing:
                if planned.status is not None:
                    self._record(method, arguments, planned.error, {})
                    return _broken(planned.status) if planned.retry_after is None else _limited(planned.retry_after)
                raise SlackError(planned.error)  # noqa: TRY301  # one way out for every refusal
            answer = {"ok": True} | self._answer(method, token_of(request, arguments), arguments)
        except SlackError as error:
            self._record(method, arguments, error.word, {})
            refused: dict[str, Any] = {"ok": False, "error": error.word}
            if error.messages:
                refused["response_metadata"] = {"messages": list(error.messages)}
            return web.json_response(refused, headers=self._headers(token_of(request, arguments)))
        self._record(method, arguments, None, answer)
        if planned is not None and planned.status is not None:
            return _broken(planned.status)
        if planned is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response(answer, headers=self._headers(token_of(request, arguments)))

    def _answer(self, method: str, token: str, given: Arguments) -> dict[str, Any]:
        if method == "apps.connections.open":
            self._check_token(token, APP_TOKEN)
            address = self._workspace.base.replace("http://", "ws://")
            return {"url": f"{address}link/?ticket={self._open_ticket()}&app_id={self._workspace.app_id}"}
        if method == "oauth.v2.access":
            return self.grants.access(given)
        known = METHODS.get(method)
        if known is None and method != "auth.revoke":
            raise SlackError("unknown_method")
        self._check_token(token, BOT_TOKEN)
        if known is None:
            return self.grants.revoke(token)
        grant = self.grants.of(token)
        caller = Caller(grant.workspace, self._workspace.base, grant.scopes, self.used_scopes)
        if known.scope is not None:
            caller.need(known.scope)
        return known.run(caller, typed(given, known.kinds, known.required))

    def _check_token(self, token: str, wanted: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if self._faults.invalid_auth:
            raise SlackError("invalid_auth")
        if token != APP_TOKEN:
            self.grants.of(token)
        if (token == APP_TOKEN) != (wanted == APP_TOKEN):
            raise SlackError("not_allowed_token_type")

    def _record(self, method: str, arguments: Arguments, error: str | None, answer: dict[str, Any]) -> None:
        shown = {name: value for name, value in arguments.items() if name != "token"}
        self.calls.append(Call(time.monotonic(), method, shown, error, answer))

    def need(self, scope: str) -> None:
        """Something else of the app takes a scope. Raises: SlackError, where it lacks it."""
        Caller(self._workspace, "", self.grants.all[0].scopes, self.used_scopes).need(scope)

    def wait_for_files(self) -> int | None:
        """The ``Retry-After`` of downloads that are limited right now, as the method "files.download"."""
        planned = self._faults.planned("files.download")
        return self._faults.retry_after("files.download") if planned is None else planned.retry_after

    def may_read_files(self, request: web.Request) -> bool:
        """Whether who asks for a file may have it."""
        try:
            grant = self.grants.of(token_of(request, {}))
            Caller(grant.workspace, "", grant.scopes, self.used_scopes).need("files:read")
        except SlackError:
            return False
        return request.match_info["file"] in grant.workspace.files

    def _headers(self, token: str) -> dict[str, str]:
        # With each answer come the scopes of the token, and the time there.
        now = formatdate(time.time() + self._faults.clock_ahead, usegmt=True)
        try:
            scopes = self.grants.of(token).scopes
        except SlackError:
            scopes = None
        return {"Date": now} | ({} if scopes is None else {"X-OAuth-Scopes": ",".join(sorted(scopes))})


def _limited(wait: int) -> web.Response:
    limited = {"ok": False, "error": "ratelimited"}
    return web.json_response(limited, status=429, headers={"Retry-After": str(wait)})


def _broken(status: int) -> web.Response:
    page = "<html><body>The server is temporarily unable to handle your request</body></html>"
    return web.Response(status=status, text=page, content_type="text/html")


def token_of(request: web.Request, arguments: Arguments) -> str:
    """The token of a request, from its header or its arguments; empty where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else str(arguments.get("token", ""))
