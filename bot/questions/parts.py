"""What an answer is made of: lines of text, and the crashes they speak of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.questions.grammar import Question
from bot.questions.naming import Named
from bot.standing import UNKNOWN, Standing, standing
from bot.wording import count as counted
from storage import Query, Store, StoredReport, Thread

SHOWN_ROWS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One crash in an answer: what it was, when, the thread that told it first, and what is known of its failure."""

    report: StoredReport
    thread: Thread | None
    stands: Standing = UNKNOWN

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

    The lines are plain text and may quote names from dumps and words of the question: escape them. ``stands`` is what
    is known of the failure that the answer is about, if it is about one.
    """

    lines: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    understood: bool = True
    stands: Standing = UNKNOWN


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what its words name, and the query that this comes to. Not ``stands``: nobody needs to know how
    the failures of its rows stand. ``shown`` is how many crashes stand below an answer."""

    store: Store
    question: Question
    names: list[Named]
    query: Query
    now: datetime
    stands: bool = True
    shown: int = SHOWN_ROWS

    @property
    def until(self) -> datetime:
        """The end of the time asked of: now, unless another is named."""
        return self.query.until or self.now

    @property
    def subject(self) -> str:
        """What the answer is about: "ndis.sys with 0x9F DRIVER_POWER_STATE_FAILURE on PC-7"."""
        words = {"code": "with ", "host": "on ", "module": "", "words": ""}
        order = ("module", "words", "code", "host")
        said = [words[kind] + name.spoken for kind in order for name in self.names if name.kind == kind]
        text = " ".join(said)
        if text.startswith("with "):
            return text.removeprefix("with ")
        return f"a crash {text}" if text.startswith("on ") else text

    @property
    def time(self) -> str:
        """When, as it was said, after a space; empty for all time."""
        return f" {self.question.phrase}" if self.question.phrase else ""

    def rows(self, limit: int) -> tuple[Row, ...]:
        """The latest crashes that match."""
        return self.of(self.store.search.find(self.query, limit))

    def of(self, found: Sequence[StoredReport]) -> tuple[Row, ...]:
        """Crashes of history as rows of the answer."""
        return rows_of(self.store, found, stands=self.stands)


def rows_of(store: Store, found: Sequence[StoredReport], *, stands: bool = True) -> tuple[Row, ...]:
    """Crashes of history as rows. Not ``stands``: without how the failures of each stand."""
    places = store.threads.firsts(crash.id for crash in found)
    known = [stands_of(store, crash.id) if stands else UNKNOWN for crash in found]
    return tuple(Row(crash, places.get(crash.id), how) for crash, how in zip(found, known, strict=True))


def stands_of(store: Store, number: int) -> Standing:
    """How the failure of a crash in history stands."""
    report = store.reports.report(number)
    return UNKNOWN if report is None else standing(store, report, whole=False)


def times(number: int) -> str:
    """ "once", "3 times"."""
    return "once" if number == 1 else counted(number, "time")


def crashes(number: int) -> str:
    """ "1 crash", "no crashes"."""
    return "1 crash" if number == 1 else f"{number or 'no'} crashes"


def day(moment: datetime) -> str:
    """A day in words: "3 May 2026" (in UTC)."""
    return f"{moment.day} {moment:%B %Y}"
