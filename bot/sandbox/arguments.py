"""A method's arguments, from wherever the client put them: query string, form, JSON body.

Slack takes all three; slack_sdk uses all three. Unlike Slack, which mostly ignores what it does not know, an
unknown argument is an error here: a misspelt one must not go unnoticed.
"""

import json
from typing import Any

from aiohttp import web

from bot.sandbox.errors import SlackError

Arguments = dict[str, Any]


async def read_arguments(request: web.Request) -> Arguments:
    """Every argument of the call; later places win: query, form, JSON body.

    Raises:
        SlackError: the body is not what its content type says.
    """
    found: Arguments = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return found | body
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.post()
        found |= {name: value for name, value in form.items() if isinstance(value, str)}
    return found


def typed(given: Arguments, kinds: dict[str, str], required: frozenset[str]) -> Arguments:
    """The arguments with their types; kinds are ``str``, ``bool``, ``int`` and ``json``.

    Raises:
        SlackError: invalid_arguments with a line for each missing, unknown or mistyped one.
    """
    problems = [f"[ERROR] missing required field: {name}" for name in sorted(required) if given.get(name) in (None, "")]
    problems += [f"[ERROR] unknown argument: {name}" for name in sorted(set(given) - set(kinds))]
    values: Arguments = {}
    for name, value in given.items():
        if name not in kinds or value is None:
            continue
        try:
            values[name] = _typed(value, kinds[name])
        except ValueError:
            problems.append(f"[ERROR] {name} must be a {kinds[name]}")
    if problems:
        raise SlackError("invalid_arguments", tuple(problems))
    return values


def _typed(value: Any, kind: str) -> Any:
    if kind == "json":
        return json.loads(value) if isinstance(value, str) else value
    if kind == "bool":
        words = {"1": True, "true": True, "0": False, "false": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() not in words:
            raise ValueError(value)
        return words[str(value).lower()]
    if kind == "int":
        return int(value)
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004  # the caller reports every wrong value alike
    return value
