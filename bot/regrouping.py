"""Merging failures and splitting crashes off, from the command line and from Slack: who may say which crash, what is
brought up to date, and what is said of it.
"""

import getpass
import json
import socket
from collections.abc import Callable, Iterator

from analysis.verdict.report import Report
from bot.analyzing import OK, USAGE, Stop
from bot.console import printable
from bot.past import with_store
from bot.questions.parts import crashes, day
from bot.showing import show_job
from storage import Query, Store
from storage.clock import stamp
from storage.grouping import Decision
from storage.jobs import NewJob


def merge(number: int, other: int) -> int:
    """Let one crash's failure count as that of another; the exit status, 2 where that changes nothing."""

    def merge_them(store: Store) -> int:
        for one in (number, other):
            _known(store, one)
        made = store.merge(number, other, operator(), follow(store))
        if made is None:
            raise Stop(f"crashes {number} and {other} are one failure already", USAGE)
        return _said(store, made)

    return with_store(merge_them)


def split(number: int) -> int:
    """Take one crash out of its failure; the exit status, 2 where that changes nothing."""

    def split_it(store: Store) -> int:
        _known(store, number)
        made = store.split(number, operator(), follow(store))
        if made is None:
            raise Stop(f"crash {number} is alone in its failure already", USAGE)
        return _said(store, made)

    return with_store(split_it)


def undo(decision: int) -> int:
    """Take a merge or a split back; the exit status, 2 where there is none such in force."""

    def undo_it(store: Store) -> int:
        undone = store.undo(decision, operator(), follow(store))
        if undone is None:
            raise Stop(f"there is no decision {decision} in force", USAGE)
        return _said(store, undone)

    return with_store(undo_it)


def decisions(*, as_json: bool) -> int:
    """Print what was merged and split, the latest first, with who and when."""

    def list_them(store: Store) -> int:
        found = store.grouping.decisions()
        if as_json:
            print(json.dumps([_plain(one) for one in found], indent=2))
        elif not found:
            print("Nothing was merged or split by hand.")
        else:
            for one in found:
                print(printable(f"{one.id:>4}  {said(one)}"))
        return OK

    return with_store(list_them)


def follow(store: Store) -> Callable[[Decision], Iterator[NewJob]]:
    """What makes the jobs that bring every message about the failures of a decision up to date."""

    def jobs(made: Decision) -> Iterator[NewJob]:
        event = f"grouping:{made.id}:{'undone' if made.undone_by else 'made'}"
        reports = [_latest(store, store.grouping.root(name)) for name in (made.into, made.name)]
        if made.report_id is not None:
            reports.append(store.reports.report(made.report_id))
        seen = set[str]()
        for number, report in enumerate(reports):
            places = [] if report is None else store.places(report)
            if places and places[0].summary_ts not in seen:
                seen.add(places[0].summary_ts)
                yield show_job(f"{event}:{number}", places[0], alone=False)

    return jobs


def said(made: Decision) -> str:
    """A decision in words."""
    if made.deed == "merge":
        text = f"“{made.name}” counts as “{made.into}”, said {made.by}"
    else:
        text = f"crash {made.report_id} does not belong to “{made.into}”, said {made.by}"
    text += f" on {day(made.at)}"
    if made.undone_by is not None and made.undone_at is not None:
        text += f"; taken back by {made.undone_by} on {day(made.undone_at)}"
    return text


def operator() -> str:
    """Who sits at the command line, as history names them."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # a container without a user
        return socket.gethostname()


def _known(store: Store, number: int) -> None:
    if store.reports.get(number) is None:
        raise Stop(f"history has no crash {number}", USAGE)


def _latest(store: Store, signature: str) -> Report | None:
    found = store.search.find(Query(signature=signature, live=True), 1)
    return store.reports.report(found[0].id) if found else None


def _said(store: Store, made: Decision) -> int:
    print(printable(f"{said(made)[:1].upper()}{said(made)[1:]}."))
    for name in dict.fromkeys(store.grouping.root(one) for one in (made.into, made.name)):
        count = store.search.count(Query(signature=name, live=True))
        if count:
            print(printable(f"{name}: {crashes(count)}"))
    if made.undone_by is None:
        print(f"Taken back with: pileup history undo {made.id}")
    return OK


def _plain(made: Decision) -> dict[str, object]:
    return {
        "id": made.id,
        "deed": made.deed,
        "name": made.name,
        "into": made.into,
        "crash": made.report_id,
        "by": made.by,
        "at": stamp(made.at),
        "undone_by": made.undone_by,
        "undone_at": None if made.undone_at is None else stamp(made.undone_at),
    }
