"""What lists on the pages are made of: failures, crashes, and where each leads."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bot.questions import Row
from bot.questions.naming import code_text
from storage import Store, StoredReport
from storage.knowledge import Known
from storage.overview import Problem
from storage.spikes import Spike


@dataclass(frozen=True, slots=True)
class Failure:
    """One line about a failure: what people call it, how often, what they know of it, and whether it is a spike."""

    problem: Problem
    title: str
    link: str
    known: Known
    spike: Spike | None = None


def failure(store: Store, problem: Problem, spike: Spike | None = None) -> Failure:
    """A failure as a line."""
    known = store.knowledge.of({problem.signature} | store.grouping.merged(problem.signature))
    return Failure(problem, title_of(problem.latest), group_link(problem.signature), known, spike)


def title_of(crash: StoredReport) -> str:
    """What people call the failure of a crash: "ndis.sys: 0x9F DRIVER_POWER_STATE_FAILURE"."""
    code = code_text(crash.code) if crash.code else crash.kind
    return f"{crash.module or 'no culprit'}: {code}"


def row(said: Row) -> dict[str, Any]:
    """A crash as a row of a table, with its thread in Slack."""
    link = said.thread.permalink if said.thread else None
    return {"crash": said.report, "text": said.text, "thread": link if is_web(link) else None}


def rows(store: Store, found: list[StoredReport]) -> list[dict[str, Any]]:
    """Crashes as rows."""
    places = store.threads.firsts(line.id for line in found)
    return [row(Row(line, places.get(line.id))) for line in found]


def group_link(signature: str) -> str:
    """The page of a failure. A signature is any text: a name from a dump may be part of it."""
    return f"/groups/{quote(signature, safe='', errors='replace')}"


def subject_link(kind: str, name: str) -> str:
    """The page of a driver, a host, a build or a team. Its name is any text, too."""
    return f"/{kind}s/{quote(name, safe='', errors='replace')}"


def is_web(link: str | None) -> bool:
    """Whether an address may be a link: people and dumps write other things, too."""
    return link is not None and link.startswith(("https://", "http://"))
