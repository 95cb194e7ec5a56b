"""Questions in a mention or a direct message, answered from history."""

from collections.abc import Callable
from datetime import datetime

from bot.conversation import Place
from bot.outbound import Message
from bot.questions import EXAMPLES, ask, help_answer
from bot.slack_text import render
from storage.sight import Sight
from storage.store import Store


def answer(store: Store, clock: Callable[[], datetime], question: str, place: Place, sight: Sight) -> Message:
    """The answer to a question of a person in Slack; an empty one is answered with what can be asked. It tells what
    ``sight`` sees, which is for everybody who reads it there.

    In the thread of a dump, "this" is that dump's failure; of several dumps, the last one told.
    """
    told = store.threads.at(place.team, place.channel, place.thread)
    about = told[-1].report_id if told else None
    said = ask(store.seen_as(sight), question, clock(), about) if question else help_answer()
    if said == help_answer():
        return render("help", examples=EXAMPLES)
    people = said.stands.people.union(*(row.stands.people for row in said.rows))
    return render("answer", people, lines=said.lines, rows=said.rows, standing=said.stands)
