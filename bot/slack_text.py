"""Slack messages from templates: ``templates/slack/NAME.j2`` in, text and blocks out.

A template prints ``{{ text }}`` before its fallback text and ``{{ header }}``, ``{{ section }}`` or ``{{ context }}``
before each block. Whatever ``{{ … }}`` prints is escaped unless a filter here made it markup: Jinja's own HTML escaping
turns a quote into ``&#34;``, which Slack shows as it stands.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2

from bot import timetable, wording
from bot.mrkdwn import Mrkdwn, call, channel, code, cut, date, escape, link, mention, plain, ticket
from bot.outbound import MAX_HEADER, MAX_SECTION, Block, Message

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "slack"
MAX_PIECES = 6  # one subject is cut there; the full report has the rest
TEXT_LENGTH = 2_000

# Markers between pieces. Control characters are taken out of every foreign string, so none can forge one.
_MARK = "\x1e"
_KINDS = ("text", "header", "section", "context")


def render(name: str, mentions: Iterable[str] = (), **values: Any) -> Message:
    """The message of one template. Empty pieces are left out. ``mentions`` are the Slack ids that it may name.

    Raises:
        jinja2.UndefinedError: the template names a value that was not given.
    """
    texts: list[str] = []
    blocks: list[Block] = []
    for kind, piece in _pieces(name, values):
        if kind == "text":
            texts.append(" ".join(piece.split()))
        elif kind == "header":
            blocks.append({"type": "header", "text": {"type": "plain_text", "text": plain(cut(piece, MAX_HEADER))}})
        elif kind == "context":
            blocks.append({"type": "context", "elements": [mrkdwn(cut(piece, MAX_SECTION))]})
        else:
            blocks.extend({"type": "section", "text": mrkdwn(part)} for part in split(piece))
    return Message(cut(" ".join(texts), TEXT_LENGTH), tuple(blocks), frozenset(mentions))


def mrkdwn(text: str) -> Block:
    """A text object in which Slack interprets nothing but what we wrote."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def split(text: str, limit: int = MAX_SECTION, most: int = MAX_PIECES) -> list[str]:
    """A long text in pieces of whole lines; what does not fit in ``most`` pieces is cut, and says so."""
    pieces: list[str] = []
    current = ""
    for line in text.split("\n"):
        shown = cut(line, limit)
        if current and len(current) + 1 + len(shown) > limit:
            pieces.append(current)
            current = shown
        else:
            current = f"{current}\n{shown}" if current else shown
    pieces.append(current)
    if len(pieces) > most:
        pieces = [*pieces[: most - 1], cut(pieces[most - 1], limit - 40) + "\n… more in the full report"]
    return pieces


def _pieces(name: str, values: dict[str, Any]) -> Iterable[tuple[str, str]]:
    whole = _environment().get_template(f"{name}.j2").render(**values)
    for piece in whole.split(_MARK)[1:]:
        kind, _, body = piece.partition("\n")
        stripped = body.strip()
        if stripped:
            yield kind, stripped


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # escaping is Slack's, in finalize; HTML escaping would be wrong
        finalize=_printed,
        trim_blocks=False,
        keep_trailing_newline=False,
    )
    environment.filters |= {
        "code": lambda value: code(str(value)),
        "link": link,
        "mention": mention,
        "call": call,
        "channel": channel,
        "hours": timetable.hours_of,
        "plan": timetable.plan_of,
        "person": mention,
        "ticket": ticket,
        "escaped": escape,
        "markup": Mrkdwn,  # what a macro gives is markup already, but Jinja hands it over as any text
        "when": wording.when,
        "at": date,
        "day": wording.day,
        "duration": wording.duration,
        "size": wording.size,
        "ordinal": wording.ordinal,
        "count": wording.count,
        "markup_join": lambda values, glue: Mrkdwn(glue.join(escape(value) for value in values)),
    }
    environment.globals |= {kind: Mrkdwn(f"{_MARK}{kind}\n") for kind in _KINDS}
    return environment


def _printed(value: Any) -> str:
    return "" if value is None else escape(value if isinstance(value, str) else str(value))
