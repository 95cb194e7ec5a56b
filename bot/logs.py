"""Log lines of ``serve`` and ``worker``: time, level, subject, message, on standard error; one line each, or one JSON
object each.

Whatever is logged while a job is worked on carries the job's number, and, once it is known, the crash's.
"""

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Literal

Form = Literal["text", "json"]

_NOISY = ("slack_bolt", "slack_sdk", "httpx", "httpcore", "asyncio", "aiohttp", "procrastinate", "psycopg")


class OneLine(logging.Formatter):
    """A record as one line: what it quotes can neither forge a second one nor paint a terminal. A traceback follows
    indented."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        first, *rest = [_printable(line) for line in super().format(record).splitlines()] or [""]
        return "\n".join([first, *(f"    {line}" for line in rest)])


class Structured(logging.Formatter):
    """A record as one JSON object: ``at``, ``level``, ``subject``, ``message``; where they apply ``job``, ``crash``,
    ``error`` (the traceback) and whatever else ``note`` said."""

    def format(self, record: logging.LogRecord) -> str:
        """The line. JSON itself keeps what is quoted from forging a second one."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        line: dict[str, str | int] = {"at": at, "level": record.levelname.lower(), "subject": record.name}
        line |= {"message": record.getMessage(), **about()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class _Marked(OneLine):
    # A text line begins its message with the ids that it does not name itself.
    def format(self, record: logging.LogRecord) -> str:
        known = {name: value for name, value in about().items() if f"{name} {value}" not in record.getMessage()}
        first, *rest = super().format(record).splitlines()
        marks = " ".join(f"{name}={value}" for name, value in known.items())
        return "\n".join([f"{first} ({marks})" if marks else first, *rest])


# What is worked on in this task and those that it starts; each job begins with a set of its own.
_ABOUT: ContextVar[dict[str, str | int] | None] = ContextVar("about", default=None)


def begin(**ids: str | int) -> None:
    """From here on, log lines of this task and of those that it starts carry these ids."""
    _ABOUT.set(dict(ids))


def note(**ids: str | int) -> None:
    """Add ids to those of the job that is worked on; nothing outside of one."""
    known = _ABOUT.get()
    if known is not None:
        known.update(ids)


def about() -> dict[str, str | int]:
    """The ids that a line logged here carries."""
    return dict(_ABOUT.get() or {})


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in line.replace("\t", " "))


def configure(level: str, form: Form = "text") -> None:
    """Log to standard error from that level on; libraries only from warning on."""
    handler = logging.StreamHandler(sys.stderr)
    plain = _Marked("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(Structured() if form == "json" else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
