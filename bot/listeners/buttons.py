"""Buttons below our messages and the windows they open: which there are, and what a press does.

A press is acknowledged first, then done. A new button is a row of ``ACTIONS``. What it is about is the message that it
stands below, looked up in history: nothing that comes with a press is believed.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot import acts, modals
from bot.again import again_job
from bot.answers import AS_TABLE
from bot.auditing import note_deed
from bot.home_tab.watching import Watchers
from bot.listeners.intake import ASK, MAX_QUESTION, Rules, is_allowed
from bot.membership import Membership
from bot.modals import About
from bot.outbound import View
from bot.permissions import may
from bot.regrouping import follow
from bot.sending import Refused, Sender, Unreachable
from bot.showing import details_job, raw_job, show_job
from bot.slack_text import render
from bot.stopping import Stops, stop_jobs
from bot.urgency import TALK
from bot.workspaces import Workspace
from storage.choices import NO_DEFAULTS, Defaults
from storage.grouping import Decision
from storage.jobs import Job, NewJob
from storage.knowledge import Deed
from storage.sight import Sight
from storage.store import Store
from storage.threads import Thread

log = logging.getLogger(__name__)

STOP = "stop"
OPENED_BEFORE = "exchanged_trigger_id"


@dataclass(frozen=True, slots=True)
class Desk:
    """What an action works with. ``announce`` is called with new jobs once they are stored; ``page`` gives the address
    of a report's page, ``defaults`` are what the operator set, ``watchers`` who looks at the home tab."""

    store: Store
    stops: Stops
    sender: Sender
    membership: Membership
    announce: Callable[[list[Job]], None]
    defaults: Defaults = NO_DEFAULTS
    page: Callable[[Thread], str | None] = lambda _place: None
    watchers: Watchers = field(default_factory=Watchers)

    def at(self, workspace: Workspace) -> "Desk":
        """The same for another workspace."""
        return replace(self, store=workspace.store, sender=workspace.sender, membership=workspace.membership)


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button as it was pressed: which, its value (of a choice: the person), by whom, below which message.

    ``trigger`` is another for each press.
    """

    action: str
    value: str
    user: str
    about: About
    thread: str | None
    trigger: str


@dataclass(frozen=True, slots=True)
class Action:
    """What a button does. ``deed`` is what one must be allowed to do, None for what everybody may."""

    do: Callable[[Desk, Pressed], Awaitable[None]]
    deed: str | None = None


def pressed(body: Mapping[str, Any], rules: Rules) -> Pressed | None:
    """What was pressed, or None for a button of somebody else's or a person the bot does not listen to."""
    actions = body.get("actions") or [{}]
    action, value = actions[0].get("action_id"), actions[0].get("value", actions[0].get("selected_user"))
    user = (body.get("user") or {}).get("id") or ""
    container = body.get("container") or {}
    channel = (body.get("channel") or {}).get("id") or container.get("channel_id") or ""
    if action not in ACTIONS or not isinstance(value, str):
        return None
    if not is_allowed(channel, user, rules, direct=channel.startswith("D")):
        return None
    about = About((body.get("team") or {}).get("id") or "", channel, container.get("message_ts") or "")
    return Pressed(action, value, user, about, container.get("thread_ts"), str(body.get("trigger_id") or ""))


async def press(desk: Desk, rules: Rules, body: Mapping[str, Any]) -> None:
    """Do what a pressed button says, or tell the person why not."""
    what = pressed(body, rules)
    if what is None:
        return
    log.info("button %s", what.action)
    action = ACTIONS[what.action]
    allowed = await _is_permitted(desk, rules, what, action.deed)
    if allowed:
        await action.do(desk, what)  # before it is written down: a window waits for nothing
    if not allowed or what.action not in WINDOWS:  # what opens a form is done only when that comes back
        await _audit(desk, what, action.deed or what.action, allowed=allowed)


async def submit(desk: Desk, rules: Rules, body: Mapping[str, Any]) -> None:
    """Take a form that was sent; one with mistakes was refused already."""
    view = body.get("view") or {}
    kind, given = str(view.get("callback_id")), modals.filled_in(view)
    about = modals.unpack(view.get("private_metadata"))
    user = (body.get("user") or {}).get("id") or ""
    if about is None or modals.mistakes(kind, given):
        return
    if not is_allowed(about.channel, user, rules, direct=about.channel.startswith("D")):
        return
    what = Pressed(kind, "", user, about, None, str(body.get("trigger_id") or ""))
    allowed = await _is_permitted(desk, rules, what, FORM_DEEDS[kind])
    await _audit(desk, what, FORM_DEEDS[kind], allowed=allowed)
    if not allowed:
        return
    if kind == modals.MERGE_FORM:
        await _merge(desk, what, given[modals.CRASH])
        return
    await _act(desk, what, FORMS[what.action], given)


async def _is_permitted(desk: Desk, rules: Rules, what: Pressed, deed: str | None) -> bool:
    # Whoever may not is told so.
    if deed is None or await may(desk.membership, rules.permissions, what.user, deed):
        return True
    await _whisper(desk, what, "denied")
    return False


async def _audit(desk: Desk, what: Pressed, deed: str, *, allowed: bool) -> None:
    about = what.about
    if await asyncio.to_thread(desk.store.events.first, f"audit:{what.trigger}"):
        place = await asyncio.to_thread(desk.store.threads.of_summary, about.team, about.channel, about.message)
        crash = f"crash {place.report_id}" if place is not None else f"job {what.value}" if what.action == STOP else ""
        whom = f" to {what.value}" if what.action == acts.ASSIGN else ""
        how = f" ({what.action})" if what.action in SPECIAL else ""
        await note_deed(
            desk.store,
            deed,
            what.user,
            team=about.team,
            channel=about.channel,
            detail=f"{crash}{whom}{how}",
            allowed=allowed,
        )


async def _stop(desk: Desk, what: Pressed) -> None:
    jobs = [
        job
        for job in desk.store.jobs.active()
        if (str(job.id), job.payload.get("channel")) == (what.value, what.about.channel)
    ]
    await stop_jobs(desk.store, desk.stops, jobs, "asked")


def _deed(deed: Deed, detail: Callable[[Pressed], dict[str, str]]) -> Callable[[Desk, Pressed], Awaitable[None]]:
    async def do(desk: Desk, what: Pressed) -> None:
        await _act(desk, what, deed, detail(what))

    return do


async def _act(desk: Desk, what: Pressed, deed: Deed, detail: dict[str, str]) -> None:
    # Kept, and shown wherever a crash of this failure is shown, whatever happens to this process in between.
    place = await _place(desk, what)
    if place is not None and await _is_first(desk, what):
        job = show_job(what.trigger, place, alone=False)
        at = (place.team, place.channel)
        done = await asyncio.to_thread(
            functools.partial(desk.store.act, place.report_id, deed, what.user, detail, job, at=at)
        )
        desk.announce([] if done is None else [done])


async def _details(desk: Desk, what: Pressed) -> None:
    place = await _place(desk, what)
    if place is not None and await _is_first(desk, what):
        desk.announce([(await asyncio.to_thread(desk.store.jobs.enqueue, details_job(place))).job])


async def _raw(desk: Desk, what: Pressed) -> None:
    place = await _place(desk, what)
    if place is not None and await _is_first(desk, what):
        job = raw_job(place, what.user, what.trigger)
        desk.announce([(await asyncio.to_thread(desk.store.jobs.enqueue, job)).job])


async def _again(desk: Desk, what: Pressed) -> None:
    place = await _place(desk, what)
    if place is not None and await _is_first(desk, what):
        desk.announce([(await asyncio.to_thread(desk.store.jobs.enqueue, again_job(place, what.user))).job])


async def _export(desk: Desk, what: Pressed) -> None:
    # The question anew, with a table: of what is known by now, and of what the channel may see.
    if await _is_first(desk, what):
        about = what.about
        payload = {"team": about.team, "channel": about.channel, "ts": about.message, "user": what.user}
        payload |= {"thread": what.thread or about.message, "question": f"{what.value[:MAX_QUESTION]} {AS_TABLE}"}
        job = NewJob(f"export:{what.trigger}", payload | {"export": "yes"}, ASK, priority=TALK)
        desk.announce([(await asyncio.to_thread(desk.store.jobs.enqueue, job)).job])


async def _known(desk: Desk, what: Pressed) -> None:
    def form(place: Thread, _: Sight) -> View:
        report = desk.store.reports.report(place.report_id)
        here = desk.store.seen_at(place.team, place.channel)
        issue = None if report is None else here.known(report).issue
        return modals.known_form(what.about, issue)

    await _window(desk, what, modals.KNOWN_FORM, form)


async def _wrong(desk: Desk, what: Pressed) -> None:
    await _window(desk, what, modals.WRONG_FORM, lambda _place, _sight: modals.wrong_form(what.about))


async def _same_as(desk: Desk, what: Pressed) -> None:
    def form(place: Thread, seen: Sight) -> View:
        report = desk.store.reports.report(place.report_id)
        alike = () if report is None else desk.store.seen_as(seen).seen(report).similar
        return modals.merge_form(what.about, alike)

    await _window(desk, what, modals.MERGE_FORM, form)


async def _merge(desk: Desk, what: Pressed, text: str) -> None:
    store, meant = desk.store.seen_as(await _sight(desk, what)), modals.crash_meant(text)

    def decide(place: Thread) -> Decision | None:
        number = meant if isinstance(meant, int) else None
        if isinstance(meant, tuple):
            told = [store.threads.of_summary(place.team, *meant), *store.threads.at(place.team, *meant)]
            number = next((one.report_id for one in told if one is not None), None)
        return None if number is None else store.merge(place.report_id, number, what.user, follow(desk.store))

    await _decide(desk, what, decide)


async def _split(desk: Desk, what: Pressed) -> None:
    await _decide(desk, what, lambda place: desk.store.split(place.report_id, what.user, follow(desk.store)))


async def _undo(desk: Desk, what: Pressed) -> None:
    def decide(place: Thread) -> Decision | None:
        report = desk.store.reports.report(place.report_id)
        made = None if report is None else desk.store.decision_on(report)
        return None if made is None else desk.store.undo(made.id, what.user, follow(desk.store))

    await _decide(desk, what, decide)


async def _decide(desk: Desk, what: Pressed, decide: Callable[[Thread], Decision | None]) -> None:
    place = await _place(desk, what)
    if place is None or not await _is_first(desk, what):
        return
    if await asyncio.to_thread(decide, place) is None:
        await _whisper(desk, what, "not_regrouped")
    else:
        desk.announce([])  # the jobs that show it are kept with it


async def _threads(desk: Desk, what: Pressed) -> None:
    def listed(place: Thread, seen: Sight) -> View:
        report = desk.store.reports.report(place.report_id)
        return modals.thread_list([] if report is None else desk.store.seen_as(seen).places(report))

    await _window(desk, what, modals.LIST, listed)


async def _window(desk: Desk, what: Pressed, kind: str, content: Callable[[Thread, Sight], View]) -> None:
    # Open at once, whatever history takes to answer; a second delivery of the press finds its trigger used.
    # It is that person's alone: it shows what they may see, and what stands where they pressed.
    try:
        opened = await desk.sender.open_window(what.trigger, modals.loading(kind))
    except (Refused, Unreachable) as error:
        log.warning("a window did not open: %s", error)
        if str(error) != OPENED_BEFORE:
            await _whisper(desk, what, "window_missed")
        return
    place = await asyncio.to_thread(
        desk.store.threads.of_summary, what.about.team, what.about.channel, what.about.message
    )
    sight = await _sight(desk, what)
    view = modals.sorry(kind) if place is None else await asyncio.to_thread(content, place, sight)
    try:
        await desk.sender.change_view(opened, view)
    except (Refused, Unreachable) as error:  # it was closed meanwhile
        log.info("a window was not filled: %s", error)


async def _sight(desk: Desk, what: Pressed) -> Sight:
    # What that person may see, and what stands where they pressed.
    seen = await desk.membership.sight_of(what.user)
    return replace(seen, channels=(seen.channels or frozenset()) | {what.about.channel})


async def _place(desk: Desk, what: Pressed) -> Thread | None:
    about = what.about
    place = await asyncio.to_thread(desk.store.threads.of_summary, about.team, about.channel, about.message)
    if place is None:
        await _whisper(desk, what, "forgotten")
    return place


async def _is_first(desk: Desk, what: Pressed) -> bool:
    return await asyncio.to_thread(desk.store.events.first, f"press:{what.trigger}")


async def _whisper(desk: Desk, what: Pressed, template: str) -> None:
    try:
        await desk.sender.whisper(what.about.channel, what.thread, what.user, render(template))
    except (Refused, Unreachable) as error:
        log.warning("%s was not told that: %s: %s", what.user, template, error)


ACTIONS: dict[str, Action] = {
    STOP: Action(_stop),
    acts.ACKNOWLEDGE: Action(_deed("acknowledge", lambda _: {}), "acknowledge"),
    acts.ASSIGN_ME: Action(_deed("assign", lambda what: {"to": what.user}), "assign"),
    acts.ASSIGN: Action(_deed("assign", lambda what: {"to": what.value}), "assign"),
    acts.MUTE: Action(_deed("mute", lambda what: {"channel": what.about.channel}), "mute"),
    acts.UNMUTE: Action(_deed("unmute", lambda what: {"channel": what.about.channel}), "mute"),
    acts.KNOWN: Action(_known, "known"),
    acts.WRONG: Action(_wrong, "wrong"),
    acts.UNKNOWN: Action(_deed("forget", lambda _: {}), "known"),
    acts.MERGE: Action(_same_as, "merge"),
    acts.SPLIT: Action(_split, "merge"),
    acts.UNDO: Action(_undo, "merge"),
    acts.AGAIN: Action(_again, "again"),
    acts.THREADS: Action(_threads),
    acts.DETAILS: Action(_details),
    acts.RAW: Action(_raw),
    acts.EXPORT: Action(_export),
}
SPECIAL = frozenset({acts.UNMUTE, acts.UNKNOWN, acts.SPLIT, acts.UNDO})  # deeds that take something back or apart
WINDOWS = frozenset({acts.KNOWN, acts.WRONG, acts.MERGE})  # those that only open a form
FORMS: dict[str, Deed] = {modals.KNOWN_FORM: "known", modals.WRONG_FORM: "wrong"}
FORM_DEEDS = {**FORMS, modals.MERGE_FORM: "merge"}
ALL_FORMS = (*FORMS, modals.MERGE_FORM)
