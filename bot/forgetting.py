"""``pileup history forget``: crashes deleted with all that is kept of them, rows and files."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

from bot.analyzing import OK, USAGE, Stop
from bot.console import printable, when
from bot.past import with_settings
from bot.questions import Row
from bot.questions.dates import period
from bot.questions.parts import crashes
from bot.remains import remove_files
from bot.settings import Settings
from bot.wording import count
from storage import Store
from storage.clock import stamp, utc_now
from storage.forgetting import Forgotten, Which

SHOWN = 20


def forget(which: Which, *, dry_run: bool, as_json: bool, sure: bool) -> int:
    """Delete what is asked for, or what is due by the settings where nothing is; the exit status, 2 where there is
    nothing to delete."""

    def forget_it(store: Store, settings: Settings) -> int:
        asked = list(_due(store, settings)) if which.is_everything else [which]
        found = _joined(store.forgetting.picked(one) for one in asked)
        if not dry_run and not as_json:
            _confirm(found, sure=sure)
        files = 0
        if not dry_run:
            found = _joined([store.forget(one) for one in asked])
            files = remove_files(settings.home, found)
        _tell(found, files, dry_run=dry_run, as_json=as_json)
        return OK if found.reports or found.places or which.is_everything else USAGE

    return with_settings(forget_it)


def before(text: str) -> datetime:
    """The beginning of a day or month as people write them. Raises: Stop."""
    found = period(text, utc_now())
    if found is None:
        raise Stop(f"I do not know when {text} is", USAGE)
    return found.start


def _due(store: Store, settings: Settings) -> Iterator[Which]:
    yield from store.retention.due(settings.keep)
    if (oversized := store.retention.oversized(settings.keep)) is not None:
        yield oversized


def _joined(parts: Iterable[Forgotten]) -> Forgotten:
    every = list(parts)
    reports = {report.id: report for one in every for report in one.reports}
    jobs = frozenset(number for one in every for number in one.jobs)
    return Forgotten(tuple(reports.values()), sum(one.places for one in every), jobs)


def _confirm(found: Forgotten, *, sure: bool) -> None:
    if sure or not sys.stdin.isatty() or not (found.reports or found.places):
        return
    said = input(f"Delete {crashes(len(found.reports))} for good? [y/N] ")
    if said.strip().lower() not in ("y", "yes"):
        raise Stop("nothing was deleted", USAGE)


def _tell(found: Forgotten, files: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        listed = [
            {"id": one.id, "identity": one.identity, "host": one.host, "seen_at": stamp(one.seen_at)}
            for one in found.reports
        ]
        print(json.dumps({"dry_run": dry_run, "crashes": listed, "places": found.places, "files": files}, indent=2))
        return
    for one in found.reports[:SHOWN]:
        print(printable(f"{one.id:>5}  {when(one.seen_at)}  {Row(one, None).text}  {one.source}"))
    if len(found.reports) > SHOWN:
        print(f"       … and {len(found.reports) - SHOWN} more")
    verb = "would be deleted" if dry_run else "deleted"
    said = f"{crashes(len(found.reports))} {verb}"
    if found.places:
        said += f"; of others, {count(found.places, 'place')} in Slack"
    print(f"{said}." if dry_run else f"{said}, {count(files, 'kept dump')}.")
