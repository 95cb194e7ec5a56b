"""Many files into history beside each other; a run goes on where the one before it stood, however that ended."""

import functools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.verdict.rules import present_analyzer
from bot.analyzing import FAULT, OK, USAGE, Stop, check_rules, settings_or_stop
from bot.console import printable
from bot.fetch.remote import Terms
from bot.fetch.workspace import downloads
from bot.ingest.reading import Outcome, Reader, Stopped
from bot.ingest.sources import Item, bucket_of, items_of
from bot.ingest.telling import Totals, count_in, show_on, tell
from bot.settings import Settings
from storage.errors import StorageError
from storage.retention import LEFTOVER_AGE
from storage.store import Store

SOME_FAILED, INTERRUPTED = 3, 130
POLITE_SECONDS, MOST_POLITE_SECONDS = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for. ``again``: also what a former run has read; ``every``: files of any name."""

    what: tuple[str, ...]
    workers: int | None = None
    again: bool = False
    every: bool = False
    as_json: bool = False


def ingest(asked: Asked) -> int:
    """Read it all, and sum up. The exit status: 3 where some files gave no report, 130 where a signal ended it."""
    try:
        settings = settings_or_stop()
        check_rules(settings.rules)
        items = [item for what in asked.what for item in items_of(what, every=asked.every)]
        with Store.open(settings.database) as store:
            totals, is_over = _run(store, settings, asked, items)
            tell(totals, store.ingests.problems(item.place for item in items), as_json=asked.as_json)
    except Stop as stop:
        print(f"pileup: {printable(stop.line)}", file=sys.stderr)
        return stop.status
    except (OSError, StorageError) as error:
        print(f"pileup: stopped: {printable(str(error))}", file=sys.stderr)
        return FAULT
    if not is_over:
        return INTERRUPTED
    return SOME_FAILED if totals.failures else OK


def lower_priority() -> None:
    """Let everything else on this machine go first: nobody waits for a bulk reading."""
    os.nice(10)


def _run(store: Store, settings: Settings, asked: Asked, items: Sequence[Item]) -> tuple[Totals, bool]:
    # What all the files came to, those of former runs included; and whether it came to the end.
    if not items:
        raise Stop("there is no dump and no archive in that place", USAGE)
    totals = Totals(files=len(items), started=time.monotonic())
    _sweep(settings.home)
    known = {} if asked.again else store.ingests.known((item.place, item.version) for item in items)
    for before in known.values():
        totals.skipped += 1
        count_in(totals, before.reports, 0, before.failures)
    todo = [item for item in items if item.place not in known]
    reader = Reader(store, settings, _terms(settings, asked.what), functools.partial(present_analyzer, settings.rules))
    workers = asked.workers or _cores()
    with show_on(totals) as show, ThreadPoolExecutor(workers, thread_name_prefix="ingest") as pool:
        try:
            _work(pool, todo, workers, functools.partial(_politely, store, reader), show)
        except KeyboardInterrupt:
            reader.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            return totals, False
        except BaseException:
            reader.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return totals, True


def _work(
    pool: ThreadPoolExecutor,
    todo: Iterable[Item],
    workers: int,
    read: Callable[[Item], Outcome],
    show: Callable[[Item, Outcome], None],
) -> None:
    # Never more in hand than can be worked on soon: a list has tens of thousands of files.
    hand: dict[Future[Outcome], Item] = {}
    rest = iter(todo)
    while True:
        while len(hand) < 2 * workers and (item := next(rest, None)) is not None:
            hand[pool.submit(read, item)] = item
        if not hand:
            return
        done, _ = wait(hand, return_when=FIRST_COMPLETED)
        for one in done:
            show(hand.pop(one), one.result())


def _politely(store: Store, reader: Reader, item: Item) -> Outcome:
    # A person who waits for a verdict goes first, but a bot that is never idle does not stop this for ever.
    until = time.monotonic() + MOST_POLITE_SECONDS
    while store.jobs.is_somebody_waiting() and time.monotonic() < until:
        time.sleep(POLITE_SECONDS)
    try:
        return reader.read(item)
    except Stopped:
        return Outcome()


def _sweep(home: Path) -> None:
    # What a run left that was killed; a younger one may still be somebody's.
    for left in downloads(home).glob("ingest-*"):
        if time.time() - left.stat().st_mtime > LEFTOVER_AGE.total_seconds():
            shutil.rmtree(left, ignore_errors=True)


def _terms(settings: Settings, what: Sequence[str]) -> Terms:
    # Whoever names a bucket here means it; links in a list lead where links in Slack may.
    named = {bucket for one in what if (bucket := bucket_of(one)) is not None}
    terms = settings.terms
    return replace(terms, policy=replace(terms.policy, buckets=terms.policy.buckets | named))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
