"""Answers from history: a few lines of text and the crashes they speak of, for the terminal and for Slack alike."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.questions.grammar import OF_ONE_CRASH, Kind, Question, read_question
from bot.questions.machines import memory
from bot.questions.naming import Named, code_text, name_words, narrow
from bot.questions.one_crash import about_crash
from bot.questions.parts import SHOWN_ROWS, Answer, Asked, Row, crashes, day, stands_of, times
from bot.questions.trends import clean, fresh, trend, versions
from bot.standing import UNKNOWN, standing
from bot.wording import count as counted
from storage import Query, Span, Store
from storage.search import Column

EXAMPLES = (
    "have we seen storport since May?",
    "last 5 crashes",
    "0x9f",
    "how often did ndis.sys crash in the last 2 months?",
    "which hosts hit 0x133 this week?",
    "is 0x133 getting worse?",
    "what is new this week?",
    "which versions of acmevpn crash?",
    "which machines have bad memory?",
    "who held the lock? (in the thread of a crash)",
    "show me the wininit stack (in the thread of a crash)",
    "top 5 drivers in Q2",
    "crashes before June 3",
    "0x9f this month as CSV",
)
SHOWN_HOSTS = 5
MAX_EXPORTED = 10_000  # crashes of one table
TOO_MANY_UNKNOWN = 3  # words of which history knows none: a question about something else
WHICH_CRASH = "I do not know which crash you mean: ask in its thread, or name a driver or a code."
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
class Matched:
    """The answer to a question, and the query for all crashes that match it; None where it is about anything else.
    ``names`` are what its words name, ``kind`` is what was asked."""

    answer: Answer
    kind: Kind
    query: Query | None = None
    names: tuple[Named, ...] = ()


def ask(store: Store, text: str, now: datetime, about: int | None = None) -> Answer:
    """Answer a question about the past; ``now`` is what "since May" counts from.

    ``about`` is the number of the report that the conversation is about: what "have we seen this before?" means.
    """
    return match(store, text, now, about).answer


def match(
    store: Store, text: str, now: datetime, about: int | None = None, *, stands: bool = True, shown: int = SHOWN_ROWS
) -> Matched:
    """Answer a question, and tell the query behind it. Not ``stands``: without how the failures of its rows stand.
    ``shown`` is how many crashes stand below an answer that names no number."""
    question = read_question(text, now)
    found = _told(store, text, question, now, about)
    if found is not None:
        return Matched(found, question.kind)
    names = name_words(question.subject, store.search.vocabulary(), store.search.mentions)
    if len(names) >= TOO_MANY_UNKNOWN and not any(name.is_known for name in names):
        return Matched(_unclear(f"I did not understand “{_quoted(text)}”.", text), "unclear")
    query = narrow(names, Query(since=question.since, until=question.until))
    asked = Asked(store, question, names, query, now, stands=stands, shown=shown)
    said = _ANSWERS[question.kind](asked)
    corrected = dataclasses.replace(said, lines=(*_corrections(names), *said.lines))
    return Matched(corrected, question.kind, _widened(asked)[0].query, tuple(names))


def _told(store: Store, text: str, question: Question, now: datetime, about: int | None) -> Answer | None:
    # The answer to a question that is about no list of crashes; None for the others.
    if question.kind == "help":
        return help_answer()
    if question.kind == "unclear":
        return _unclear(f"I did not understand “{_quoted(text)}”.", text)
    if question.kind == "order":
        return _unclear("I only answer questions: nothing in history is changed from here.", text)
    if question.kind in OF_ONE_CRASH:
        return _of_one(store, question, about)
    if question.kind == "number":
        return _numbered(store, question.number or 0)
    if question.unknown_date is not None:
        return _unclear(f"I do not know when “{_quoted(question.unknown_date)}” is.", text)
    return _pointed(store, question, about, now) if question.points else None


def exported(store: Store, text: str, now: datetime, about: int | None = None) -> tuple[Query, int] | None:
    """The query behind a question for a table, and how many crashes of it were asked for at most; None for a question
    that is not about crashes."""
    question = read_question(text, now)
    crash = None if about is None else store.reports.get(about)
    if question.points and crash is not None and question.kind in _ANSWERS:
        query = Query(signature=crash.signature, since=question.since, until=question.until, live=crash.live)
        return query, MAX_EXPORTED
    found = match(store, text, now, about, stands=False).query
    if found is None or question.kind in ("top", "memory", "versions", "clean"):
        return None
    return found, question.limit if question.kind == "last" and question.counted else MAX_EXPORTED


def _of_one(store: Store, question: Question, about: int | None) -> Answer:
    report = None if about is None else store.reports.report(about)
    if report is None:
        return Answer((WHICH_CRASH,))
    return Answer(about_crash(report, question), stands=standing(store, report))


def _numbered(store: Store, number: int) -> Answer:
    crash, report = store.reports.get(number), store.reports.report(number)
    if crash is None or report is None:
        return Answer((f"History has no crash {number}.",))
    told = (report.verdict.summary, report.verdict.impact, f"Confidence {crash.confidence}, build {crash.build}.")
    row = Row(crash, store.threads.first(number))
    said = (f"Crash {number}: {row.text}, {day(crash.seen_at)}.", *filter(None, told))
    return Answer(said, (row,), stands=standing(store, report))


def _pointed(store: Store, question: Question, about: int | None, now: datetime) -> Answer:
    crash = None if about is None else store.reports.get(about)
    if crash is None:
        return Answer((WHICH_CRASH,))
    name = f"this failure ({crash.failure_bucket})"
    query = Query(signature=crash.signature, since=question.since, until=question.until, live=crash.live)
    said = _ANSWERS[question.kind](Asked(store, question, [Named("words", name, name)], query, now))
    rows = tuple(dataclasses.replace(row, stands=UNKNOWN) for row in said.rows)  # it is said once, of all of them
    return dataclasses.replace(said, rows=rows, stands=stands_of(store, crash.id))


def help_answer() -> Answer:
    """What can be asked."""
    return Answer(("You can ask for example:", *(f"• {example}" for example in EXAMPLES)))


def _seen(asked: Asked) -> Answer:
    asked, mentioned = _widened(asked)
    span = asked.store.search.span(asked.query)
    if not span.count:
        return _never(asked)
    verb = "was mentioned in" if mentioned else "was seen"
    how_often = crashes(span.count) if mentioned else times(span.count)
    first = f"Yes: {asked.subject} {verb} {how_often}{asked.time}{_hosts(span, asked)}{_days(span, asked)}."
    return Answer((first, *_most_often(asked)), asked.rows(asked.shown))


def _count(asked: Asked) -> Answer:
    asked, _ = _widened(asked)
    span = asked.store.search.span(asked.query)
    if not asked.names:
        said = f"{crashes(span.count)}{asked.time}{_hosts(span, asked)}{_days(span, asked)}."
        return Answer((said,), asked.rows(asked.shown))
    if not span.count:
        return _never(asked)
    said = f"{asked.subject}: {times(span.count)}{asked.time}{_hosts(span, asked)}{_days(span, asked)}."
    return Answer((said, *_most_often(asked)), asked.rows(asked.shown))


def _last(asked: Asked) -> Answer:
    asked, _ = _widened(asked)
    rows = asked.rows(asked.question.limit)
    if not rows:
        return _never(asked)
    about = f" of {asked.subject}" if asked.names else ""
    total = asked.store.search.count(asked.query)
    if total > len(rows):
        return Answer((f"The last {len(rows)} of {crashes(total)}{about}{asked.time}:",), rows)
    said = f"The only crash{about}{asked.time}:" if total == 1 else f"All {crashes(total)}{about}{asked.time}:"
    return Answer((said,), rows)


def _which_hosts(asked: Asked) -> Answer:
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
        lines.append(f"{crashes(nameless)} name{'s' if nameless == 1 else ''} no host: such dumps do not hold it.")
    return Answer(tuple(lines), asked.rows(asked.shown))


def _top(asked: Asked) -> Answer:
    nouns = [noun.removesuffix("s") for noun in asked.question.nouns]
    column: Column = next((COUNTED[noun] for noun in nouns if noun in COUNTED), "module")
    noun = next((noun for noun in nouns if noun in COUNTED), "driver")
    found = asked.store.search.top(asked.query, column, asked.question.limit)
    if not found:
        return _never(asked)
    listed = ", ".join(f"{code_text(value) if column == 'code' else value} ({number})" for value, number in found)
    return Answer((f"Most frequent {noun}s{asked.time}: {listed}.",))


_ANSWERS: dict[Kind, Callable[[Asked], Answer]] = {
    "seen": _seen,
    "count": _count,
    "last": _last,
    "hosts": _which_hosts,
    "top": _top,
    "trend": trend,
    "fresh": fresh,
    "versions": versions,
    "clean": clean,
    "memory": memory,
}


def _widened(asked: Asked) -> tuple[Asked, bool]:
    # A driver that is nobody's culprit may still stand in a stack: then say where it is mentioned.
    module = asked.query.module
    if module is None or asked.store.search.count(asked.query):
        return asked, any(not name.is_known for name in asked.names)
    words = " ".join(filter(None, (module, asked.query.words)))
    wider = dataclasses.replace(asked.query, module=None, words=words)
    return dataclasses.replace(asked, query=wider), True


def _never(asked: Asked) -> Answer:
    always = dataclasses.replace(asked.query, since=None, until=None)
    other = asked.store.search.span(always)
    about = asked.subject or "no crash"
    said = f"No: {about} was not seen{asked.time}." if asked.names else f"No crash{asked.time}."
    lines = [said]
    if asked.question.phrase and other.count:
        when = f", last on {day(other.last_seen)}" if other.last_seen else ""
        lines.append(f"At other times: {times(other.count)}{when}.")
        return Answer(tuple(lines), dataclasses.replace(asked, query=always).rows(SHOWN_ROWS))
    if not asked.store.reports.count():
        lines.append("History is empty so far." if asked.store.sees_all else "There is none yet that may be told here.")
    elif any(not name.is_known for name in asked.names):
        lines.append("It is no driver, bugcheck, lock or host in history. “help” shows what can be asked.")
    return Answer(tuple(lines))


def _most_often(asked: Asked) -> tuple[str, ...]:
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


def _hosts(span: Span, asked: Asked) -> str:
    if not span.hosts or asked.query.host is not None:
        return ""
    listed = ", ".join(span.hosts[:SHOWN_HOSTS]) + (", …" if len(span.hosts) > SHOWN_HOSTS else "")
    return f", on {counted(len(span.hosts), 'host')} ({listed})"


def _days(span: Span, asked: Asked) -> str:
    if span.first_seen is None or span.last_seen is None:
        return ""
    first, last = day(span.first_seen), day(span.last_seen)
    since = asked.query.since
    # A crash of February counts as seen "since May" when it was reported then: without a word that reads like a slip.
    older = " by the dump's own clock (reported later)" if since is not None and span.first_seen < since else ""
    return f", on {first}{older}" if first == last else f", first on {first}{older}, last on {last}"
