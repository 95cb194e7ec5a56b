"""Questions in a mention or a direct message, answered from history."""

from bot.conversation import Place
from bot.outbound import Message
from bot.slack_text import render
from storage.store import Store


def answer(_store: Store, _question: str, _place: Place) -> Message:
    """The answer to a question of a person in Slack."""
    return render("help")
