"""The Web API as it is called: token, scope and arguments checked, faults played, every call noted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.sandbox.arguments import Arguments, read_arguments, typed
from bot.sandbox.calling import Caller
from bot.sandbox.errors import SlackError
from bot.sandbox.faults import Faults
from bot.sandbox.methods import METHODS
from bot.sandbox.workspace import Workspace

BOT_TOKEN = "xoxb-sandbox-bot"  # noqa: S105  # the stand-in's own, worth nothing elsewhere
APP_TOKEN = "xapp-sandbox-app"  # noqa: S105


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
        self._workspace = workspace
        self._faults = faults
        self._open_ticket = open_ticket
        self._scopes = scopes

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call."""
        method = request.match_info["method"]
        if self._faults.slow_seconds:
            await asyncio.sleep(self._faults.slow_seconds)
        wait = self._faults.retry_after(method)
        if wait is not None:
            self._record(method, {}, "ratelimited", {})
            limited = {"ok": False, "error": "ratelimited"}
            return web.json_response(limited, status=429, headers={"Retry-After": str(wait)})
        planned = self._faults.planned(method)
        arguments: Arguments = {}
        try:
            arguments = await read_arguments(request)
            if planned is not None and not planned.after_doing:
                raise SlackError(planned.error)  # noqa: TRY301  # one way out for every refusal
            answer = {"ok": True} | self._answer(method, token_of(request, arguments), arguments)
        except SlackError as error:
            self._record(method, arguments, error.word, {})
            refused: dict[str, Any] = {"ok": False, "error": error.word}
            if error.messages:
                refused["response_metadata"] = {"messages": list(error.messages)}
            return web.json_response(refused)
        self._record(method, arguments, None, answer)
        if planned is not None and request.transport is not None:
            request.transport.abort()
        return web.json_response(answer)

    def _answer(self, method: str, token: str, given: Arguments) -> dict[str, Any]:
        if method == "apps.connections.open":
            self._check_token(token, APP_TOKEN)
            address = self._workspace.base.replace("http://", "ws://")
            return {"url": f"{address}link/?ticket={self._open_ticket()}&app_id={self._workspace.app_id}"}
        known = METHODS.get(method)
        if known is None:
            raise SlackError("unknown_method")
        self._check_token(token, BOT_TOKEN)
        caller = Caller(self._workspace, self._workspace.base, self._scopes, self.used_scopes)
        if known.scope is not None:
            caller.need(known.scope)
        return known.run(caller, typed(given, known.kinds, known.required))

    def _check_token(self, token: str, wanted: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if self._faults.invalid_auth or token not in (BOT_TOKEN, APP_TOKEN):
            raise SlackError("invalid_auth")
        if token != wanted:
            raise SlackError("not_allowed_token_type")

    def _record(self, method: str, arguments: Arguments, error: str | None, answer: dict[str, Any]) -> None:
        shown = {name: value for name, value in arguments.items() if name != "token"}
        self.calls.append(Call(time.monotonic(), method, shown, error, answer))

    def may_read_files(self, request: web.Request) -> bool:
        """Whether who asks for a file may have it."""
        return token_of(request, {}) == BOT_TOKEN and (self._scopes is None or "files:read" in self._scopes)


def token_of(request: web.Request, arguments: Arguments) -> str:
    """The token of a request, from its header or its arguments; empty where there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else str(arguments.get("token", ""))
