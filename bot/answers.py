"""Questions in a mention or a direct message, answered from history; as a table, too, where that is asked for."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot import blocks
from bot.acts import EXPORT
from bot.conversation import Place
from bot.outbound import Message
from bot.questions import EXAMPLES, Answer, ask, exported, help_answer
from bot.questions.grammar import read_question
from bot.sending import Upload
from bot.slack_text import render
from bot.tables import crash_table
from storage.sight import Sight
from storage.store import Store
from storage.threads import Thread

AS_TABLE = "as CSV"

PageOf = Callable[[Thread], str | None]


def no_page(_: Thread) -> None:
    """Where there are no pages."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said to a question, and the file that was asked for with it."""

    message: Message
    file: Upload | None = None


def answer(
    store: Store, clock: Callable[[], datetime], question: str, place: Place, sight: Sight, *, page: PageOf = no_page
) -> Reply:
    """The answer to a question of a person in Slack; an empty one is answered with what can be asked. It tells what
    ``sight`` sees, which is for everybody who reads it there; ``page`` is the address of a report's page for them.

    In the thread of a dump, "this" is that dump's failure; of several dumps, the last one told.
    """
    told = store.threads.at(place.team, place.channel, place.thread)
    about = told[-1].report_id if told else None
    seen, now = store.seen_as(sight), clock()
    said = ask(seen, question, now, about) if question else help_answer()
    if said == help_answer():
        return Reply(render("help", examples=EXAMPLES))
    people = said.stands.people.union(*(row.stands.people for row in said.rows))
    message = render("answer", people, lines=said.lines, rows=said.rows, standing=said.stands, page=page)
    if not said.rows:
        return Reply(message)
    if read_question(question, now).as_table:
        return Reply(message, _file(seen, said, question, now, about))
    return Reply(blocks.with_buttons(message, (blocks.button(EXPORT, question),)))


def _file(store: Store, said: Answer, question: str, now: datetime, about: int | None) -> Upload:
    # All that matches; of a question that is about other things, the crashes that its answer speaks of.
    wanted = exported(store, question, now, about)
    crashes = [row.report for row in said.rows] if wanted is None else store.search.find(*wanted)
    found = len(crashes) if wanted is None else min(wanted[1], store.search.count(wanted[0]))
    first: dict[int, Thread] = {}
    for thread in store.threads.of_reports([crash.id for crash in crashes]):
        if thread.form != "pointer":
            first.setdefault(thread.report_id, thread)
    content = crash_table((crash, first.get(crash.id)) for crash in crashes).encode()
    name = f"pileup-crashes-{hashlib.sha256(content).hexdigest()[:8]}.csv"
    return Upload(name, content, "Crashes", render("table", shown=len(crashes), found=found).text)
