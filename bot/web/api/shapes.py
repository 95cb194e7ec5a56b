"""History as the API's JSON: the shapes that ``openapi.json`` describes."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from bot.web.lines import is_web
from storage import Store, StoredReport
from storage.clock import stamp
from storage.overview import Problem

Json = dict[str, Any]
OF_A_CRASH = (
    *("id", "identity", "sha256", "source", "kind", "live", "code", "name", "module", "function", "confidence"),
    *("signature", "failure_bucket", "failure_hash", "host", "build", "lock", "device", "service", "summary"),
    *("crash_time", "reported_at", "seen_at", "analyzed_at"),
)
PageOf = Callable[[int], str | None]  # the address of a crash's page


def crash(line: StoredReport, page: PageOf) -> Json:
    """One line of history."""
    values = {name: getattr(line, name) for name in OF_A_CRASH}
    plain = {name: stamp(value) if isinstance(value, datetime) else value for name, value in values.items()}
    return plain | {"page": page(line.id)}


def threads(store: Store, number: int) -> list[str]:
    """Where in Slack a crash was told, as far as whoever asks may see that."""
    return [one.permalink for one in store.threads.of_report(number) if one.permalink and is_web(one.permalink)]


def failure(problem: Problem, page: PageOf) -> Json:
    """One failure in a list."""
    return {
        "signature": problem.signature,
        "count": problem.count,
        "hosts": problem.hosts,
        "first_seen": stamp(problem.first_seen),
        "last_seen": stamp(problem.last_seen),
        "latest": crash(problem.latest, page),
    }


def counts(rows: Iterable[tuple[str, int]]) -> list[Json]:
    """Values with how often each came up."""
    return [{"value": value, "count": count} for value, count in rows]
