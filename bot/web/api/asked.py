"""What a request asks for, read from its query: strictly, each mistake named."""

import dataclasses
import re
from collections.abc import Collection
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from bot.questions import match
from bot.web.api.problems import Problem
from bot.web.paging import Place, read_place
from storage import Query, Store
from storage.clock import moment

LIMIT, MAX_LIMIT = 50, 200
MAX_TEXT = 500
FILTERS = ("module", "code", "host", "signature")
_CODE = re.compile(r"(?:0x)?([0-9a-fA-F]{1,8})")


def check_names(given: QueryParams, known: Collection[str]) -> None:
    """Raises: Problem, for a parameter that there is not, or that stands twice."""
    for name, _ in given.multi_items():
        if name not in known:
            raise Problem(400, f"There is no parameter {name[:40]!r} here; there are: {', '.join(sorted(known))}.")
        if len(given.getlist(name)) > 1:
            raise Problem(400, f"The parameter {name} stands there twice.")


def number(given: QueryParams, name: str, usual: int, most: int) -> int:
    """A count from 1. Raises: Problem."""
    text = given.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= most):
        raise Problem(400, f"{name} must be a number from 1 to {most}.")
    return int(text)


def query_of(store: Store, given: QueryParams, now: datetime) -> tuple[Query, tuple[str, ...]]:
    """Which crashes are asked for: by a question in words, narrowed by what else is given; and what is said of it.

    Raises:
        Problem: the question is not understood, or is none about crashes.
    """
    question = _text(given, "q") or ""
    said: tuple[str, ...] = ()
    query = Query(live=True)
    if question.strip():
        matched = match(store, question, now, stands=False)
        if not matched.answer.understood:
            raise Problem(400, " ".join(matched.answer.lines)[:1000])
        if matched.query is None:
            raise Problem(400, "This question is about no list of crashes; one crash is at /api/crashes/{id}.")
        query, said = matched.query, matched.answer.lines
    narrowed = {name: value for name in FILTERS if (value := _text(given, name)) is not None}
    if "code" in narrowed:
        code = _CODE.fullmatch(narrowed["code"])
        if code is None:
            raise Problem(400, "code must be a bugcheck code, as 0x9f.")
        narrowed["code"] = f"0x{int(code[1], 16):x}"
    times = {name: when for name in ("since", "until") if (when := _time(given, name)) is not None}
    return dataclasses.replace(query, **narrowed, **times), said  # type: ignore[arg-type]  # FILTERS are field names


def cursor(given: QueryParams) -> Place | None:
    """Where a list goes on. Raises: Problem, for what is no cursor of ours."""
    text = given.get("cursor")
    if text is None:
        return None
    found = read_place(text)
    if found is None:
        raise Problem(400, "cursor is not one that this API gave.")
    return found


def _text(given: QueryParams, name: str) -> str | None:
    text = given.get(name)
    if text is not None and len(text) > MAX_TEXT:
        raise Problem(400, f"{name} may have {MAX_TEXT} characters.")
    return text


def _time(given: QueryParams, name: str) -> datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        when = moment(text[:40])
    except ValueError as error:
        raise Problem(400, f"{name} must be a time of ISO 8601, as 2026-05-01 or 2026-05-01T12:00:00Z.") from error
    return when.astimezone(UTC)
