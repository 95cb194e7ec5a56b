"""Whom a verdict concerns, by the rules in force: mentioned below it once, or held back while it is quiet.

Slack notifies nobody of an edit, and the verdict is one: so a mention is a message of its own. It is made when the
verdict is first told, and never again for that crash.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from analysis.verdict.report import Report
from bot.conversation import Conversation
from bot.outbound import Message
from bot.slack_text import render
from bot.tools import Tools
from storage.choices import Choices
from storage.clock import utc_now
from storage.held import Held
from storage.jobs import NewJob
from storage.routes import ROOM, Route, Severity, most_severe
from storage.threads import Thread

HELD = "held"  # the kind of jobs that tell what was held


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody to be mentioned, by which rules, and how much it matters."""

    mention: str
    rules: tuple[str, ...]
    severity: Severity


def calls(routes: Iterable[Route]) -> tuple[Call, ...]:
    """Whom rules mention that fit a crash, each once, with all rules that name him."""
    found: dict[str, list[Route]] = {}
    for route in routes:
        if route.mention is not None and route.severity != "low":
            found.setdefault(route.mention, []).append(route)
    return tuple(
        Call(mention, tuple(route.name for route in mine), most_severe(mine) or "medium")
        for mention, mine in found.items()
    )


def routed(report: Report, routes: tuple[Route, ...], told: tuple[Call, ...]) -> Message:
    """The message that tells a crash to those whom it concerns; to nobody, where all rules are of low severity."""
    names = tuple(dict.fromkeys(route.name for route in routes))
    mentions = [call.mention for call in told]
    return render("routed", mentions, report=report, severity=most_severe(routes), calls=told, rules=names)


def held_message(held: list[Held]) -> Message:
    """What was held for somebody in a channel."""
    mentions = [one.mention for one in held[:1]]
    return render("held", mentions, held=held[:20], more=max(0, len(held) - 20), who=held[0].mention)


async def route(tools: Tools, talk: Conversation, report: Report, place: Thread, number: int | None = None) -> None:
    """Mention whom a told verdict concerns. ``number`` is the dump's among several.

    Raises:
        Unreachable.
    """
    if place.form not in ("full", "short") or report.dump.live or not place.report_id:
        return
    routes = await asyncio.to_thread(_fitting, tools.choices, report, place)
    if not routes:
        return
    now = await asyncio.to_thread(_unheld, tools, report, place, routes)
    if now or all(one.severity == "low" for one in routes):
        slot = "routed" if number is None else f"routed-{number}"
        await talk.call(slot, routed(report, routes, now))


async def tell_held(tools: Tools, talk: Conversation, batch: str) -> None:
    """Tell a batch of held mentions in its channel. Raises: Refused, Unreachable."""
    held = await asyncio.to_thread(tools.store.held.batch, batch)
    if held:
        await talk.announce(held_message(held))


def release(tools: Tools) -> int:
    """Make jobs of what is held where quiet hours are over; how many."""
    made = 0
    for group in tools.store.held.over():
        until = quiet_until(tools.choices, group.team, group.channel, group.mention)
        if until is not None:
            tools.store.held.extend(group, until)
            continue
        payload = {"team": group.team, "channel": group.channel, "ts": "", "thread": ""}
        made += tools.store.held.release(
            group,
            lambda batch, payload=payload: NewJob(f"held:{batch}", {**payload, "batch": batch}, HELD),  # type: ignore[misc]  # bound at once
        )
    return made


def quiet_until(choices: Choices, team: str, channel: str, mention: str) -> datetime | None:
    """When the quiet hours of a channel and of whom is mentioned there end, the later of both; None where none are."""
    now = utc_now()
    named = (channel,) if mention in ROOM else (channel, mention)
    hours = [choices.quiet(team, whom) for whom in named]
    return max((end for one in hours if one is not None and (end := one.until(now)) is not None), default=None)


def _fitting(choices: Choices, report: Report, place: Thread) -> tuple[Route, ...]:
    return tuple(route for route in choices.routes(place.team) if route.fits(report, place.channel))


def _unheld(tools: Tools, report: Report, place: Thread, routes: tuple[Route, ...]) -> tuple[Call, ...]:
    # Who is mentioned now; for the others it is kept, once.
    store, kept = tools.store, tools.store.held.of_report(place.team, place.channel, place.report_id)
    now = []
    for one in calls(routes):
        until = None if one.severity == "high" else quiet_until(tools.choices, place.team, place.channel, one.mention)
        if one.mention in kept:
            continue
        if until is None:
            now.append(one)
            continue
        rule = ", ".join(one.rules)
        words = report.verdict.summary
        link = place.permalink
        store.held.hold(Held(place.team, place.channel, one.mention, place.report_id, rule, words, link, until))
    return tuple(now)
