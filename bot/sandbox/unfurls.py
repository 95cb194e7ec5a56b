"""What an app shows below somebody's message with a link to one of its domains.

Source: docs.slack.dev/reference/methods/chat.unfurl.
"""

from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.block_rules import block_problems
from bot.sandbox.calling import Answer, Caller, Method
from bot.sandbox.errors import SlackError
from bot.sandbox.events import domain_of, links_in

_KEYS = {"blocks", "color", "fallback", "hide_color", "preview"}


def chat_unfurl(caller: Caller, arguments: Arguments) -> Answer:
    workspace = caller.workspace
    if not ("channel" in arguments and "ts" in arguments):
        if "unfurl_id" in arguments or "source" in arguments:
            raise SlackError("cannot_unfurl_message")  # of drafts there is none here
        raise SlackError("missing_channel" if "channel" not in arguments else "missing_ts")
    channel = workspace.channels.get(arguments["channel"])
    if channel is None:
        raise SlackError("cannot_find_channel")
    message = channel.messages.get(arguments["ts"])  # whether the app is in that channel or not
    if message is None:
        raise SlackError("cannot_unfurl_message")
    unfurls = arguments["unfurls"]
    if not isinstance(unfurls, dict) or not unfurls:
        raise SlackError("missing_unfurls")
    for url, shown in unfurls.items():
        if url not in links_in(message) or domain_of(workspace, url) is None:
            raise SlackError("cannot_unfurl_url")
        _check(shown)
    workspace.unfurl(channel, message, unfurls)
    return {}


def _check(shown: Any) -> None:
    if not isinstance(shown, dict) or not set(shown) <= _KEYS or not isinstance(shown.get("blocks", []), list):
        raise SlackError("invalid_unfurls_format")
    if list(block_problems(shown.get("blocks", []))):
        raise SlackError("invalid_blocks")


METHODS: dict[str, Method] = {
    "chat.unfurl": Method(
        chat_unfurl,
        "links:write",
        "unfurls:json! channel ts unfurl_id source user_auth_required:bool user_auth_message user_auth_url "
        "user_auth_blocks:json",
    ),
}
