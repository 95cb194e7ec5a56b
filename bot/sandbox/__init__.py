"""A stand-in for Slack: Web API, Socket Mode and a page to read and write on, for the demo and the tests.

The bot does not know that it talks to it: only the API address and the tokens differ. Nothing here imports the
bot, so that a wrong idea of Slack's rules cannot be cancelled by the same wrong idea in the bot.
"""

from bot.sandbox.faults import Faults
from bot.sandbox.server import StandIn
from bot.sandbox.workspace import Channel, Message, User, Workspace

__all__ = ["Channel", "Faults", "Message", "StandIn", "User", "Workspace"]
