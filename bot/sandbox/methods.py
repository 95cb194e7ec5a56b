"""The Web API methods that the bot may use: the tables of the files that know them, joined."""

from bot.sandbox import chat, conversations, files, people, reactions, rooms, unfurls, views
from bot.sandbox.calling import Method

METHODS: dict[str, Method] = {
    **people.METHODS,
    **chat.METHODS,
    **reactions.METHODS,
    **conversations.METHODS,
    **rooms.METHODS,
    **files.METHODS,
    **views.METHODS,
    **unfurls.METHODS,
}
