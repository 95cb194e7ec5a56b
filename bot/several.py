"""The dumps of one archive, analysed one after another; what came of them, as a job remembers it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from analysis.verdict.report import Report
from bot.archives.opening import Opened
from bot.child import AnalysisFailed
from bot.fetch.download import Fetched
from storage.store import Store

# Analyses one dump; its report and that report's number. ``position`` counts from 1.
Once = Callable[[Fetched, int], Awaitable[tuple[Report, int]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One dump: its name in the archive, and its report or the line that says why there is none."""

    name: str
    report: Report | None
    line: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """Everything in one archive. ``left_out`` dumps were beyond the cap, ``damaged`` members could not be read."""

    outcomes: tuple[Outcome, ...]
    left_out: int = 0
    damaged: tuple[str, ...] = ()


async def analyse_several(opened: Opened, once: Once) -> tuple[Several, dict[str, Any]]:
    """Analyse each dump; what came of them, and the same as facts for a job's memory. One that fails costs itself."""
    outcomes: list[Outcome] = []
    numbers: list[tuple[str, int | None, str]] = []
    for position, (name, fetched) in enumerate(opened.dumps, 1):
        try:
            report, number = await once(fetched, position)
        except AnalysisFailed as failed:
            outcomes.append(Outcome(name, None, failed.line))
            numbers.append((name, None, failed.line))
        else:
            outcomes.append(Outcome(name, report))
            numbers.append((name, number, ""))
    facts = {"dumps": numbers, "left_out": opened.left_out, "damaged": opened.damaged}
    return Several(tuple(outcomes), opened.left_out, opened.damaged), facts


async def recalled(store: Store, memory: dict[str, Any]) -> Several | None:
    """What a job remembers of its archive; None where it remembers none, or history no longer has a report."""
    if "dumps" not in memory:
        return None
    outcomes = []
    for name, number, line in memory["dumps"]:
        report = None if number is None else await asyncio.to_thread(store.reports.report, number)
        if report is None and number is not None:
            return None
        outcomes.append(Outcome(name, report, line))
    return Several(tuple(outcomes), memory["left_out"], tuple(memory["damaged"]))
