"""One of each kind of message, window and home tab that the bot sends, each told with everything that it may tell.

The parts of a whole thread, a digest and a home tab with a history have goldens of their own beside these.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot import blocks, modals, routing
from bot.digests import Digest, Line, digest_message
from bot.home_tab import forms
from bot.home_tab.chosen import Chosen, Room
from bot.home_tab.page import Item, Page
from bot.home_tab.view import home_view, only_words
from bot.outbound import Message, View
from bot.questions import EXAMPLES
from bot.questions.parts import Row
from bot.slack_text import render
from bot.standing import Standing
from storage.digests import Period
from storage.duplicates import Similar
from storage.grouping import Decision
from storage.held import Held
from storage.hours import Plan, Quiet
from storage.knowledge import Act, Known, KnownIssue
from storage.reports import StoredReport
from storage.routes import Route
from storage.store import Store
from storage.suspicion import Suspicion
from storage.threads import Thread, Told
from tests.bot.reports import sample
from tests.storage.samples import Clock

ANNA, BEN, GROUP = "U0ANNA0001", "U0BEN00001", "S0STORAGE1"
TEAM, CRASHES = "T0SANDBOX1", "C0CRASHES1"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINK = "https://team.example/archives/C0CRASHES1/p1795600000000100"
PAGE = "https://pileup.example/crashes/7"
SEEN = blocks.Seen(7, datetime(2026, 5, 3, 9, tzinfo=UTC), 4, LINK)
ABOUT = modals.About(TEAM, CRASHES, "1795600000.000100")
RULE = Route.read({"name": "storage", "module": "stor*.sys", "mention": GROUP, "severity": "high"})
HOURS = Quiet(22 * 60, 7 * 60, "Europe/Berlin", frozenset(range(5)))

Shown = Message | View


@dataclass(frozen=True, slots=True)
class Past:
    """A few crashes, the oldest first, and where the last one was told."""

    store: Store
    crashes: tuple[StoredReport, ...]
    places: list[Thread]


def gallery(store: Store, at: Clock) -> dict[str, Shown]:
    """Every kind by its name. The store is empty before, and holds a few crashes afterwards."""
    past = _past(store, at)
    return {name: made for part in (_told, _said, _whispered, _windows, _homes) for name, made in part(past)}


def _past(store: Store, at: Clock) -> Past:
    kept: list[StoredReport] = []
    for name in ("exception", "deadlock", "seed"):
        at.now = NOON + timedelta(minutes=len(kept))
        kept.append(store.remember(sample(name)))
        below = f"179560000{len(kept)}.000200"
        told = Told(
            report_id=kept[-1].id, team=TEAM, channel=CRASHES, ts="1795600000.000100", summary_ts=below, permalink=LINK
        )
        store.threads.note(told)
    return Past(store, tuple(kept), store.threads.of_report(kept[-1].id))


def _issue(fixed: str) -> KnownIssue:
    return KnownIssue("loses power requests", "ACME-12", fixed, ANNA, NOON, "https://tracker.example/browse/ACME-12")


def _stands(past: Past) -> Standing:
    # Everything that may be said of a failure: known, fixed and back, doubted, muted, on suspect memory.
    doubt = Act("s", "wrong", BEN, NOON, {"reason": "it is the network card's firmware"})
    known = Known(ANNA, BEN, _issue("0.9"), frozenset({CRASHES}), (doubt,))
    memory = Suspicion("WS-0417", past.crashes, (("0x1a", 2), ("0x50", 1)), (("ntfs.sys", 1), ("acmenet.sys", 1)))
    merged = Decision(1, "merge", "a", "b", None, ANNA, NOON)
    return Standing(known, "rassstp.sys", "1.0", CRASHES, memory, merged)


def _told(past: Past) -> Iterator[tuple[str, Shown]]:
    # What is told of a dump.
    seed, stands = sample("seed"), _stands(past)
    relative = blocks.Relative("0x9F ndis.sys, on PC-7", "same lock", LINK)
    buttons = (blocks.button("acknowledge", "7"), blocks.Picker("assign", "Assign to…", BEN))
    whole = blocks.summary(seed, None, (relative,), "Symbols are on their way.", stands)
    yield "summary", blocks.with_links(blocks.with_buttons(whole, buttons), PAGE, "https://tracker.example/new")
    yield "again", blocks.again(seed, SEEN, "This message was edited.", stands)
    yield "again-counted", blocks.again(seed, replace(SEEN, is_counter=True))
    yield "muted", blocks.muted(seed, SEEN, stands)
    yield "unfurl", blocks.unfurled(seed, SEEN, stands)
    yield "duplicate", blocks.duplicate(seed, "2026-11-22T12:00:00Z", LINK, stands)
    yield "live-capture", blocks.summary(sample("cannot_tell"))
    yield "pile-up", _there(blocks.pile_up(sample("deadlock")))
    yield "evidence", blocks.evidence(sample("deadlock"))
    yield "next-steps", _there(blocks.next_steps(seed))
    yield "gone", blocks.gone()
    problems = (blocks.Problem(seed, ("a.dmp", "b.dmp")), blocks.Problem(sample("exception"), ("c.dmp",)))
    yield "archive", blocks.archive(problems, (("d.dmp", "this is not a dump"),), ("e.dmp",), 3)
    yield "of-archive", blocks.of_archive("b.dmp", blocks.again(seed, SEEN))
    yield "report-file", render("report_file", is_edited=False)
    yield "report-file-edited", render("report_file", is_edited=True)
    yield "failure", blocks.failure("The server answers 404: there is no such file.", "https://dumps.example/a.dmp")
    yield "password", blocks.password_wanted("https://dumps.example/a.zip", again=False)
    yield "password-again", blocks.password_wanted("https://dumps.example/a.zip", again=True)
    stop = (blocks.button("stop", "1", is_danger=True),)
    yield "progress", blocks.progress("Downloading", "a.dmp", 0.43, "3.1 MB of 7.2 MB, 12 MB/s", stop)
    yield "progress-without-end", blocks.progress("Downloading", "a.dmp", None, "3.1 MB, 12 MB/s", stop)
    yield "standing", render("standing", stands.people, standing=stands)
    low = Route.read({"name": "all", "module": "*", "severity": "low"})
    yield "routed", routing.routed(seed, (RULE, low), routing.calls((RULE,)))
    yield "routed-to-nobody", routing.routed(seed, (low,), ())
    held = Held(TEAM, CRASHES, GROUP, 1, "storage", "0x9F rassstp.sys on WS-0417.", LINK, NOON)
    yield "held", routing.held_message([held] * 22)


def _there(message: Message | None) -> Message:
    assert message is not None
    return message


def _said(past: Past) -> Iterator[tuple[str, Shown]]:
    # What is said to questions and commands, and by the clock.
    stands = _stands(past)
    rows = (Row(past.crashes[2], past.places[0], replace(stands, suspicion=None)), Row(past.crashes[1], None))
    people = stands.people
    lines = ("Yes: rassstp.sys was seen 2 times.", "Bugchecks: 0x9F (2).")
    told = render("answer", people, lines=lines, rows=rows, standing=stands, page=lambda _: PAGE)
    yield "answer", blocks.with_buttons(told, (blocks.button("export", "have we seen rassstp?"),))
    yield "table", render("table", shown=10_000, found=12_345)
    yield "help", render("help", examples=EXAMPLES)
    asked = {"person": ANNA, "links": (), "words": "have we seen rassstp?"}
    yield "asked", render("asked", [ANNA], **asked)
    yield "asked-about-links", render("asked", [ANNA], **(asked | {"links": ("https://dumps.example/a.dmp",)}))
    yield "posted", render("posted", [ANNA], shown="a.dmp", by="", person=ANNA)
    yield "posted-by-a-machine", render("posted", shown="a.dmp", by="build-agent", person="")
    line = Line("0x9F rassstp.sys, nt!PiEngineLock", 5, 3, stands, LINK, PAGE)
    period = Period("week", "2026-11-23", NOON - timedelta(days=7), NOON, 2)
    digest = Digest(period, "Europe/Berlin", 0, 4, (), (), (), (), (), (), is_late=True)
    yield "digest-of-nothing", digest_message(digest)
    yield "digest-of-a-regression", digest_message(replace(digest, crashes=5, regressions=(line,), is_late=False))


def _whispered(_past: Past) -> Iterator[tuple[str, Shown]]:
    # What one person alone sees.
    for name in (
        "denied", "denied_here", "forgotten", "no_dump", "not_invited", "not_regrouped", "out_of_reach", "told_already",
        "window_missed", "report_is_there",
    ):  # fmt: skip
        yield name.replace("_", "-"), render(name)
    yield "shortcut-taken", render("shortcut_taken", found=2)


def _windows(past: Past) -> Iterator[tuple[str, Shown]]:
    yield modals.KNOWN_FORM, modals.known_form(ABOUT, _issue("4.2.1"))
    yield modals.WRONG_FORM, modals.wrong_form(ABOUT)
    yield modals.MERGE_FORM, modals.merge_form(ABOUT, [Similar(past.crashes[1], 0.7, "same driver", past.places[0])])
    yield modals.LIST, modals.thread_list(past.places * 42)
    yield "loading", modals.loading(modals.KNOWN_FORM)
    yield "sorry", modals.sorry(modals.KNOWN_FORM)
    plan = Plan("week", 540, "Europe/Berlin", 4)
    room = Room(CRASHES, "broadcast", HOURS, replace(plan, every="day"), plan)
    yield forms.ROOM_FORM, forms.room_form(TEAM, room, "UTC", frozenset())
    yield forms.RULE_FORM, forms.rule_form(TEAM, replace(RULE, number="3"))
    yield forms.QUIET_FORM, forms.quiet_form(TEAM, "", HOURS, "UTC")


def _homes(past: Past) -> Iterator[tuple[str, Shown]]:
    nothing = Chosen("thread", (), (), (), None, (), frozenset())
    yield "home-at-first", home_view(Page((), 0, (), 0, ()), nothing, lambda _: None)
    yield "home-loading", only_words("home_loading")
    item = Item("0x9F rassstp.sys", 5, 3, NOON, NOON, past.crashes[2].id, _stands(past), past.places[0])
    drivers = (("rassstp.sys", 5), ("acmenet.sys", 1))
    page = Page((item,), 3, (item,), 2, drivers, is_cut=True)
    plan = Plan("day", 540, "Europe/Berlin")
    rooms = (Room(CRASHES, "channel", HOURS, plan, None),)
    rules = (replace(RULE, number="3"),)
    chosen = Chosen("broadcast", rooms, rules, (RULE,), HOURS, ((GROUP, HOURS),), frozenset({"quiet", "digests"}))
    yield "home", home_view(page, chosen, lambda _: PAGE, "denied")
