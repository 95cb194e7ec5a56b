"""``pileup audit``: who asked and did what, as a table for people or as JSON for programs."""

import dataclasses
import json
import sys

from bot.analyzing import OK, USAGE, Stop
from bot.console import Line, print_lines, printable, when
from bot.past import with_store
from bot.questions.dates import period
from storage import Store
from storage.audit import Entry
from storage.clock import stamp, utc_now


def run(since: str | None, user: str | None, team: str | None, limit: int, *, as_json: bool) -> int:
    """Print entries, the latest first. The exit status: 2 for a time that is none."""

    def print_them(store: Store) -> int:
        start = None if since is None else period(since, utc_now())
        if since is not None and start is None:
            raise Stop(f"{since} is no time", USAGE)
        found = store.audit.entries(since=start.start if start else None, by=user, team=team, limit=limit)
        if as_json:
            print(json.dumps([_plain(entry) for entry in found], indent=2))
        elif found:
            print_lines(iter([_line(entry) for entry in found]), sys.stdout)
        else:
            print("Nothing was asked or done.")
        return OK

    return with_store(print_them)


def _line(entry: Entry) -> Line:
    where = "/".join(part for part in (entry.team, entry.channel) if part) or "-"
    refused = "" if entry.allowed else "REFUSED  "
    said = f"{when(entry.at)}  {entry.by:<12} {where:<24} {refused}{entry.deed}  {entry.detail}"
    return ("plain" if entry.allowed else "strong"), printable(said.rstrip())


def _plain(entry: Entry) -> dict[str, object]:
    return dataclasses.asdict(entry) | {"at": stamp(entry.at)}
