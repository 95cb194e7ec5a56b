"""Reactions to messages."""

from bot.sandbox.arguments import Arguments
from bot.sandbox.calling import Answer, Caller, Method, message_of, writable
from bot.sandbox.errors import SlackError


def reactions_add(caller: Caller, arguments: Arguments) -> Answer:
    channel = writable(caller, arguments)
    message = message_of(channel, arguments["timestamp"])
    if not caller.workspace.react(channel, message, caller.workspace.bot.id, arguments["name"], add=True):
        raise SlackError("already_reacted")
    return {}


def reactions_remove(caller: Caller, arguments: Arguments) -> Answer:
    channel = writable(caller, arguments)
    message = message_of(channel, arguments["timestamp"])
    if not caller.workspace.react(channel, message, caller.workspace.bot.id, arguments["name"], add=False):
        raise SlackError("no_reaction")
    return {}


METHODS: dict[str, Method] = {
    "reactions.add": Method(reactions_add, "reactions:write", "channel! timestamp! name!"),
    "reactions.remove": Method(reactions_remove, "reactions:write", "channel! timestamp! name!"),
}
