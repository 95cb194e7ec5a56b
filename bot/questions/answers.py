"""Answers from history: a few lines of text and the crashes they speak of, for the terminal and for Slack alike."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.questions.grammar import Kind, Question, read_question
from bot.questions.naming import Named, code_text, name_words, narrow
from bot.wording import count as counted
from storage import Query, Span, Store, StoredReport, Thread
from storage.search import Column

EXAMPLES = (
    "have we seen storport since May?",
    "last 5 crashes",
    "0x9f",
    "how often did ndis.sys crash in the last 2 months?",
    "which hosts hit 0x133 this week?",
    "top 5 drivers in Q2",
    "crashes before June 3",
)
SHOWN_HOSTS = 5
SHOWN_ROWS = 5
COUNTED: dict[str, Column] = {
    "driver": "module",
    "module": "module",
    "code": "code",
    "bugcheck": "code",
    "stop": "code",
    "stop code": "code",
    "lock": "lock",
    "device": "device",
    "service": "service",
    "build": "build",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One crash in an answer: what it was, when, and the thread that told it first."""

    report: StoredReport
    thread: Thread | None

    @property
    def text(self) -> str:
        """The crash in one line, without its time: "0x9F ndis.sys, nt!IopDeviceTreeLock, on PC-7"."""
        crash = self.report
        code = f"0x{int(crash.code, 16):X}" if crash.code else crash.kind
        parts = [f"{code} {crash.module or 'no culprit'}", crash.lock, f"on {crash.host}" if crash.host else None]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say. ``understood`` is false when the lines say what was not, with examples of what can be asked.

    The lines are plain text and may quote names from dumps and words of the question: escape them.
    """

    lines: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    understood: bool = True


def ask(store: Store, text: str, now: datetime, about: int | None = None) -> Answer:
    """Answer a question about the past; ``now`` is what "since May" counts from.

    ``about`` is the number of the report that the conversation is about: what "have we seen this before?" means.
    """
    question = read_question(text, now)
    if question.kind == "help":
        return help_answer()
    if question.kind == "unclear":
        return _unclear(f"I did not understand “{_quoted(text)}”.", text)
    if question.unknown_date is not None:
        return _unclear(f"I do not know when “{_quoted(question.unknown_date)}” is.", text)
    if question.points:
        return _pointed(store, question, about)
    names = name_words(
        question.subject,
        store.search.vocabulary(),
        lambda word: bool(store.search.find(Query(words=word, live=True), limit=1)),
    )
    query = narrow(names, Query(since=question.since, until=question.until))
    asked = _Asked(store, question, names, query)
    said = _ANSWERS[question.kind](asked)
    return dataclasses.replace(said, lines=(*_corrections(names), *said.lines))


def _pointed(store: Store, question: Question, about: int | None) -> Answer:
    crash = None if about is None else store.reports.get(about)
    if crash is None:
        return Answer(("I do not know which crash you mean: ask in its thread, or name a driver or a code.",))
    name = f"this failure ({crash.failure_bucket})"
    query = Query(signature=crash.signature, since=question.since, until=question.until, live=crash.live)
    return _ANSWERS[question.kind](_Asked(store, question, [Named("words", name, name)], query))


def help_answer() -> Answer:
    """What can be asked."""
    return Answer(("You can ask for example:", *(f"• {example}" for example in EXAMPLES)))


@dataclass(frozen=True, slots=True)
class _Asked:
    store: Store
    question: Question
    names: list[Named]
    query: Query

    @property
    def subject(self) -> str:
        # What the answer is about: "ndis.sys with 0x9F DRIVER_POWER_STATE_FAILURE on PC-7".
        words = {"code": "with ", "host": "on ", "module": "", "words": ""}
        order = ("module", "words", "code", "host")
        said = [words[kind] + name.spoken for kind in order for name in self.names if name.kind == kind]
        text = " ".join(said)
        if text.startswith("with "):
            return text.removeprefix("with ")
        return f"a crash {text}" if text.startswith("on ") else text

    @property
    def time(self) -> str:
        return f" {self.question.phrase}" if self.question.phrase else ""

    def rows(self, limit: int) -> tuple[Row, ...]:
        found = self.store.search.find(self.query, limit)
        return tuple(Row(line, self.store.threads.first(line.id)) for line in found)


def _seen(asked: _Asked) -> Answer:
    asked, mentioned = _widened(asked)
    span = asked.store.search.span(asked.query)
    if not span.count:
        return _never(asked)
    verb = "was mentioned in" if mentioned else "was seen"
    times = _crashes(span.count) if mentioned else _times(span.count)
    first = f"Yes: {asked.subject} {verb} {times}{asked.time}{_hosts(span, asked)}{_days(span, asked)}."
    return Answer((first, *_most_often(asked)), asked.rows(SHOWN_ROWS))


def _count(asked: _Asked) -> Answer:
    asked, _ = _widened(asked)
    span = asked.store.search.span(asked.query)
    if not asked.names:
        said = f"{_crashes(span.count)}{asked.time}{_hosts(span, asked)}{_days(span, asked)}."
        return Answer((said,), asked.rows(SHOWN_ROWS))
    if not span.count:
        return _never(asked)
    said = f"{asked.subject}: {_times(span.count)}{asked.time}{_hosts(span, asked)}{_days(span, asked)}."
    return Answer((said, *_most_often(asked)), asked.rows(SHOWN_ROWS))


def _last(asked: _Asked) -> Answer:
    asked, _ = _widened(asked)
    rows = asked.rows(asked.question.limit)
    if not rows:
        return _never(asked)
    about = f" of {asked.subject}" if asked.names else ""
    total = asked.store.search.span(asked.query).count
    if total > len(rows):
        return Answer((f"The last {len(rows)} of {_crashes(total)}{about}{asked.time}:",), rows)
    said = f"The only crash{about}{asked.time}:" if total == 1 else f"All {_crashes(total)}{about}{asked.time}:"
    return Answer((said,), rows)


def _which_hosts(asked: _Asked) -> Answer:
    asked, _ = _widened(asked)
    span = asked.store.search.span(asked.query)
    if not span.count:
        return _never(asked)
    top = asked.store.search.top(asked.query, "host")
    nameless = span.count - sum(number for _, number in top)
    listed = ", ".join(f"{host} ({number})" for host, number in top[:20])
    about = f" with {asked.subject}" if asked.names else ""
    lines = [f"{counted(len(top), 'host')}{about}{asked.time}: {listed}."] if top else []
    if nameless:
        lines.append(f"{_crashes(nameless)} name{'s' if nameless == 1 else ''} no host: such dumps do not hold it.")
    return Answer(tuple(lines), asked.rows(SHOWN_ROWS))


def _top(asked: _Asked) -> Answer:
    nouns = [noun.removesuffix("s") for noun in asked.question.nouns]
    column: Column = next((COUNTED[noun] for noun in nouns if noun in COUNTED), "module")
    noun = next((noun for noun in nouns if noun in COUNTED), "driver")
    found = asked.store.search.top(asked.query, column, asked.question.limit)
    if not found:
        return _never(asked)
    listed = ", ".join(f"{code_text(value) if column == 'code' else value} ({number})" for value, number in found)
    return Answer((f"Most frequent {noun}s{asked.time}: {listed}.",))


_ANSWERS: dict[Kind, Callable[[_Asked], Answer]] = {
    "seen": _seen,
    "count": _count,
    "last": _last,
    "hosts": _which_hosts,
    "top": _top,
}


def _widened(asked: _Asked) -> tuple[_Asked, bool]:
    # A driver that is nobody's culprit may still stand in a stack: then say where it is mentioned.
    module = asked.query.module
    if module is None or asked.store.search.span(asked.query).count:
        return asked, any(not name.is_known for name in asked.names)
    words = " ".join(filter(None, (module, asked.query.words)))
    wider = dataclasses.replace(asked.query, module=None, words=words)
    return dataclasses.replace(asked, query=wider), True


def _never(asked: _Asked) -> Answer:
    always = dataclasses.replace(asked.query, since=None, until=None)
    other = asked.store.search.span(always)
    about = asked.subject or "no crash"
    said = f"No: {about} was not seen{asked.time}." if asked.names else f"No crash{asked.time}."
    lines = [said]
    if asked.question.phrase and other.count:
        when = f", last on {day(other.last_seen)}" if other.last_seen else ""
        lines.append(f"At other times: {_times(other.count)}{when}.")
        return Answer(tuple(lines), dataclasses.replace(asked, query=always).rows(SHOWN_ROWS))
    if not asked.store.reports.count():
        lines.append("History is empty so far.")
    elif any(not name.is_known for name in asked.names):
        lines.append("It is no driver, bugcheck, lock or host in history. “help” shows what can be asked.")
    return Answer(tuple(lines))


def _most_often(asked: _Asked) -> tuple[str, ...]:
    # A bugcheck is named with its drivers, a driver with its bugchecks.
    kinds = {name.kind for name in asked.names}
    if kinds == {"code"}:
        top = asked.store.search.top(asked.query, "module", 3)
        return (f"Culprits: {', '.join(f'{value} ({number})' for value, number in top)}.",) if top else ()
    if kinds == {"module"}:
        codes = asked.store.search.top(asked.query, "code", 3)
        return (f"Bugchecks: {', '.join(f'{code_text(value)} ({number})' for value, number in codes)}.",)
    return ()


def _unclear(said: str, text: str) -> Answer:
    from rapidfuzz import fuzz, process

    near = process.extract(text.lower(), EXAMPLES, scorer=fuzz.token_set_ratio, limit=3)
    return Answer((said, "You can ask for example:", *(f"• {example}" for example, _, _ in near)), understood=False)


def _corrections(names: list[Named]) -> list[str]:
    return [f"I took “{_quoted(name.taken_for)}” for {name.spoken}." for name in names if name.taken_for]


def _quoted(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 80 else words[:79] + "…"


def _times(number: int) -> str:
    return "once" if number == 1 else counted(number, "time")


def _crashes(number: int) -> str:
    return "1 crash" if number == 1 else f"{number or 'no'} crashes"


def _hosts(span: Span, asked: _Asked) -> str:
    if not span.hosts or asked.query.host is not None:
        return ""
    listed = ", ".join(span.hosts[:SHOWN_HOSTS]) + (", …" if len(span.hosts) > SHOWN_HOSTS else "")
    return f", on {counted(len(span.hosts), 'host')} ({listed})"


def _days(span: Span, asked: _Asked) -> str:
    if span.first_seen is None or span.last_seen is None:
        return ""
    first, last = day(span.first_seen), day(span.last_seen)
    since = asked.query.since
    # A crash of February counts as seen "since May" when it was reported then: without a word that reads like a slip.
    older = " by the dump's own clock (reported later)" if since is not None and span.first_seen < since else ""
    return f", on {first}{older}" if first == last else f", first on {first}{older}, last on {last}"


def day(moment: datetime) -> str:
    """A day in words: "3 May 2026" (in UTC)."""
    return f"{moment.day} {moment:%B %Y}"
