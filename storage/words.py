"""Text as the full-text index and questions cut it: symbols are split by us, the same way on both sides.

The index never sees punctuation: ``nt!KiSwapContext+0x76`` goes in as ``nt kiswapcontext 0x76 ki swap context``, so
that "KiSwapContext", "nt!KiSwapContext", "kiswap" and "swap context" all find it.
"""

import re
from collections.abc import Iterable

from analysis.verdict.report import Report
from storage.columns import lock_name
from storage.database import Dialect

_PIECE = re.compile(r"[^\W_]+(?:_[^\W_]+)*")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
MAX_WORDS = 4000
MAX_LEXEME = 500  # characters of a word in PostgreSQL's index


def pieces(text: str) -> list[str]:
    """The searchable pieces of a text in lower case: what stands between punctuation."""
    return [piece.lower() for piece in _PIECE.findall(text)]


def index_text(texts: Iterable[str | None]) -> str:
    """What goes into the index for these texts: each word's pieces, then the parts of its compound names."""
    words: list[str] = []
    for text in texts:
        for word in (text or "").split():
            whole = pieces(word)
            parts = [part.lower() for piece in _PIECE.findall(word) for part in _parts(piece)]
            words += whole + [part for part in parts if part not in whole]
    return " ".join(words[:MAX_WORDS])


def match_query(text: str) -> str | None:
    """The FTS5 query that wants every word of the text, each from its start; None when there is no word in it."""
    phrases = [f'"{" ".join(found)}"*' for word in text.split() if (found := pieces(word))]
    return " AND ".join(phrases) or None


def tsquery(text: str) -> str | None:
    """The same for PostgreSQL, as text of a tsquery."""
    phrases = [
        " <-> ".join(f"'{piece[:MAX_LEXEME]}'" for piece in found) + ":*"
        for word in text.split()
        if (found := pieces(word))
    ]
    return " & ".join(f"({phrase})" for phrase in phrases) or None


def says(text: str, dialect: Dialect) -> tuple[str, list[str]]:
    """A condition on rows of ``reports`` that say every word of the text, and its values; never true without a word."""
    if dialect == "sqlite":
        match, condition = match_query(text), "id IN (SELECT rowid FROM words WHERE words MATCH ?)"
    else:
        match, condition = tsquery(text), "id IN (SELECT rowid FROM words WHERE lexemes @@ CAST(? AS tsquery))"
    return (condition, [match]) if match else ("1 = 0", [])


def report_words(report: Report) -> str:
    """Everything of a report that a person may look for, as index text."""
    verdict, bugcheck, culprit = report.verdict, report.bugcheck, report.verdict.culprit
    return index_text(
        [
            culprit.module if culprit else None,
            culprit.function if culprit else None,
            culprit.device if culprit else None,
            culprit.service if culprit else None,
            culprit.vendor if culprit else None,
            bugcheck.code if bugcheck else None,
            bugcheck.name if bugcheck else None,
            verdict.stack_culprit,
            verdict.device_culprit,
            lock_name(report),
            report.system.computer_name,
            report.system.build,
            report.system.hardware,
            report.bucket.failure_bucket_id,
            report.dump.source,
            verdict.summary,
            verdict.impact,
            *(thread.process for thread in report.blocking.blocked_threads),
            *(frame.symbol for thread in report.threads for frame in thread.stack),
        ]
    )


def _parts(piece: str) -> list[str]:
    # "KiSwapContext" → Ki, Swap, Context; "DRIVER_POWER_STATE_FAILURE" → its words; a hash or number stays whole.
    if piece[:2].lower() == "0x":
        return []
    parts = [part for word in piece.split("_") for part in _CAMEL.findall(word)]
    return parts if len(parts) > 1 else []
