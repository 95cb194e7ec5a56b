"""A question in words as a Question: what is wanted, about what, and of which time."""

import dataclasses
import functools
import html
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from lark import Lark, Token, Tree, UnexpectedInput

from bot.questions.dates import Period, period

GRAMMAR_FILE = Path(__file__).with_name("question.lark")
MAX_QUESTION, MAX_WORD, MAX_SUBJECT = 400, 80, 6
DEFAULT_LIMIT, MAX_LIMIT = 5, 20

Kind = Literal[
    "seen", "last", "count", "hosts", "top", "help", "unclear", "order", "number", "trend", "fresh", "versions",
    "clean", "memory", "holder", "blocked", "why", "stack", "sure", "advice", "opinion",
]  # fmt: skip
# Asked of one crash: its report answers.
OF_ONE_CRASH: tuple[Kind, ...] = ("stack", "why", "holder", "blocked", "sure", "advice", "opinion")
# What a question is when it holds several keywords: the first of these.
BY_WEIGHT: tuple[Kind, ...] = (
    *("order", "number", "memory", *OF_ONE_CRASH, "clean", "versions", "trend", "fresh"),
    *("hosts", "top", "count", "last", "help"),
)
KEYWORDS = frozenset(BY_WEIGHT)

NUMBERS = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "ten": "10"}
COUNTING = frozenset({"last", "latest", "past", "recent", "newest", "previous", "top"})

POINTERS = frozenset({"this", "it", "that"})
UNIT = re.compile(r"(?i)(day|week|month|quarter|year)s?$")

_MARKUP = re.compile(r"<[@#!][^>]*>")
_LINKED = re.compile(r"<[^|>]*\|([^>]*)>")
_ENDS = "?!.,;:'\"`*_~“”‘’()"


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked. ``subject`` are the words that name something, ``nouns`` what is counted.

    ``unknown_date`` is a time phrase that was not understood; ``phrase`` is the time as it was said. ``points`` is true
    when nothing is named but "this" or "it": the crash that the conversation is about. ``number`` is a crash's, as
    history counts them. ``counted``: so many were asked for. ``as_table``: all of it is wanted as CSV, too.
    """

    kind: Kind
    subject: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    phrase: str | None = None
    unknown_date: str | None = None
    limit: int = DEFAULT_LIMIT
    points: bool = False
    number: int | None = None
    counted: bool = False
    as_table: bool = False


def read_question(text: str, now: datetime) -> Question:
    """The question of a text (mentions and markup of Slack are ignored); kind "unclear" when there is none."""
    words = _words(text)
    wanted = _table_words(words)
    if wanted:
        return dataclasses.replace(_read(words[:-wanted], now), as_table=True)
    return _read(words, now)


def _table_words(words: list[str]) -> int:
    # How many words at the end ask for a table: "as csv", "as a csv file", "csv".
    end = " ".join(words).lower()
    match = re.search(r"(?:^| )((?:(?:as|in|to) )?(?:an? )?csv(?: file| table)?)$", end)
    return len(match[1].split()) if match else 0


def _read(words: list[str], now: datetime) -> Question:
    if not words:
        return Question("help")
    pointing = _points(words)
    try:
        text = " ".join(words)
        tree = _parser().parse(text)
    except UnexpectedInput:  # nothing but filler, or keywords in no order
        return Question("seen", points=True) if pointing else Question("unclear", tuple(words))
    question = _Reading(now, text).read(tree)
    if not pointing or question.subject or question.kind in ("top", "help", *OF_ONE_CRASH):
        return question
    kind: Kind = "seen" if question.kind in ("unclear", "last", "fresh") else question.kind
    return dataclasses.replace(question, points=True, kind=kind)


def _points(words: list[str]) -> bool:
    # "Have we seen this before?", but not "this week".
    return any(
        word.lower() in POINTERS and not UNIT.match(after) for word, after in zip(words, [*words[1:], ""], strict=True)
    )


class _Reading:
    # Collects the phrases of one question.

    def __init__(self, now: datetime, text: str) -> None:
        self.now, self.text = now, text
        self.kinds: list[Kind] = []
        self.subject: list[str] = []
        self.nouns: list[str] = []
        self.limit = DEFAULT_LIMIT
        self.counted = False
        self.since: datetime | None = None
        self.until: datetime | None = None
        self.phrases: list[str] = []
        self.unknown: str | None = None
        self.number: int | None = None

    def read(self, tree: "Tree[Any]") -> Question:
        for item in tree.children:
            self._item(item)
        if self.kinds == ["last"] and "crash" in self.nouns and not self.counted:  # "the last crash"
            self.limit = 1
        return Question(
            kind=self._kind(),
            subject=tuple(dict.fromkeys(self.subject))[:MAX_SUBJECT],
            nouns=tuple(self.nouns),
            since=self.since,
            until=self.until,
            phrase=" ".join(self.phrases) or None,
            unknown_date=self.unknown,
            limit=self.limit,
            number=self.number,
            counted=self.counted,
        )

    def _item(self, item: "Tree[Any]") -> None:
        tokens = [str(token) for token in item.children if isinstance(token, Token)]
        match item.data:
            case "how":
                self.kinds.append("count")
            case "number":
                self.kinds.append("number")
                self.number = int(tokens[0].rpartition("#")[2].split()[-1])
            case "top" | "last":
                self.kinds.append("top" if item.data == "top" else "last")
                self.counted = len(tokens) > 1
                if self.counted:
                    self.limit = max(1, min(MAX_LIMIT, int(tokens[1])))
            case "noun":
                self.nouns.append(tokens[0].lower())
            case "subject":
                self.subject.append(tokens[0])
            case keyword if keyword in KEYWORDS:
                self.kinds.append(keyword)
            case _:
                self._window(str(item.data), item, tokens)

    def _window(self, how: str, item: "Tree[Any]", tokens: list[str]) -> None:
        said = [_phrase(date) for date in item.find_pred(lambda tree: tree.data in ("date", "unknown_date"))]
        said.sort(key=lambda phrase: phrase[0])  # in the order of the text
        phrases = [phrase for _, phrase in said]
        if how in ("past", "this") or (how == "within" and not phrases):
            phrases = [" ".join(tokens)]
        if not phrases:  # "have we seen it before?" asks of all time
            return
        periods = [period(phrase, self.now) for phrase in phrases]
        if None in periods:
            start, phrase = said[periods.index(None)] if said else (0, phrases[0])
            # "since the last full moon": the word that was read as a date is not all of it.
            self.unknown = self.text[start:] if phrase.lower() in COUNTING else phrase
            return
        known = [found for found in periods if found is not None]
        self._narrow(how, known)
        self.phrases.append(_said(tokens[0].strip().lower() if how == "within" else how, phrases))

    def _narrow(self, how: str, periods: list[Period]) -> None:
        first, last = periods[0], periods[-1]
        if how == "since":
            self.since = first.start
        elif how == "after":
            self.since = first.end
        elif how == "before":
            self.until = first.start
        elif how == "until":
            self.until = first.end
        else:
            self.since, self.until = first.start, last.end

    def _kind(self) -> Kind:
        found = next((kind for kind in BY_WEIGHT if kind in self.kinds), None)
        if found is not None:
            return found
        if self.subject:
            return "seen"
        if self.nouns or self.phrases or self.unknown:
            return "last"
        return "unclear"


def _said(how: str, phrases: list[str]) -> str:
    # The time as an answer repeats it: "since May", "in the last 2 months", "last week".
    first = phrases[0].lower()
    if first.startswith(("last ", "past ")) and any(char.isdecimal() for char in first):
        return f"in the {first}" if how in ("past", "in") else f"{how} the {first}"
    if how in ("past", "this", first) or (how == "in" and first.startswith(("this ", "last "))):
        return first
    return f"{how} {' and '.join(phrases)}"


def _phrase(date: "Tree[Any]") -> tuple[int, str]:
    tokens = list(date.scan_values(lambda value: isinstance(value, Token)))
    tokens.sort(key=lambda token: token.start_pos or 0)
    return tokens[0].start_pos or 0, " ".join(str(token) for token in tokens)


def _words(text: str) -> list[str]:
    plain = html.unescape(_MARKUP.sub(" ", _LINKED.sub(r"\1", text[:MAX_QUESTION])))
    words = [word[:MAX_WORD] for raw in plain.split() if (word := raw.strip(_ENDS))]
    # "the last five crashes"; elsewhere "two" may be part of a name.
    after = ["", *(word.lower() for word in words)]
    return [
        NUMBERS.get(word.lower(), word) if before in COUNTING else word
        for before, word in zip(after, words, strict=False)
    ]


@functools.cache
def _parser() -> Lark:
    return Lark(GRAMMAR_FILE.read_text("utf-8"), parser="lalr", propagate_positions=True)
