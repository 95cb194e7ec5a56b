"""A history of a hundred thousand crashes, made in seconds.

Two thousand reports of sixty failures go into history as always; the rest are their copies under other identities,
hosts and times, made inside the database. A year long, told in five channels of one workspace: two of them are public.
"""

import random
from datetime import timedelta
from pathlib import Path

from storage import Store
from storage.reports import LISTED
from tests.storage.samples import NOON, Clock, report

MADE, FAMILIES, CHANNELS, DAYS = 2_000, 60, 5, 365
PUBLIC = ("C1", "C2")
RARE = 5  # crashes of a driver that hardly ever fails, one in each channel


def fill(path: Path, crashes: int) -> None:
    """A history of so many crashes, and RARE more."""
    draw = random.Random(7)
    codes = ("0x9f", "0x133", "0xd1", "0x50", "0xe2")
    with Store.open(path, Clock()) as store, store.reports._database.write():
        for number in range(min(MADE, crashes)):
            family = int(FAMILIES * draw.random() ** 2)
            store.remember(
                report(
                    str(number),
                    code=codes[family % len(codes)],
                    module=f"driver{family}.sys",
                    signature=name_of(codes[family % len(codes)], family),
                    lock=f"nt!Lock{family}",
                    host=f"PC-{draw.randrange(3000)}",
                    crashed=NOON - timedelta(days=DAYS * draw.random()),
                    frames=("nt!KeWaitForSingleObject+0x1a", f"driver{family}+0x{number:x}", "nt!PnpWorker+0x40"),
                )
            )
        made = store.reports.count()
        for copy in range(1, -(-crashes // made)):
            _copy(store, copy * made, made, crashes)
        for number in range(RARE):
            store.remember(
                report(f"rare {number}", module="rarely.sys", signature="rare", lock="nt!SeldomLock", host="PC-1")
            )
        reported = f"min(julianday(seen_at) + id % 3, julianday('{NOON:%Y-%m-%d}'))"
        store.reports._database.change(
            f"UPDATE reports SET reported_at = strftime('%Y-%m-%dT%H:%M:%f000Z', {reported}), "
            "build = '10.0.' || (19041 + id % 8), owner = CASE WHEN id % 2 = 0 THEN 'Team ' || (id % 8) END"
        )
        for family in range(0, FAMILIES, 5):
            store.knowledge.note(name_of(codes[family % len(codes)], family), "known", "U1", {"note": "under way"})
        store.reports._database.change(
            "INSERT INTO threads (team, channel, ts, summary_ts, permalink, report_id, created_at) SELECT 'T', "
            f"'C' || (id % {CHANNELS}), id, id, 'https://slack.example/' || id, id, reported_at FROM reports"
        )
        for number in range(CHANNELS):
            store.channels.note("T", f"C{number}", "public" if f"C{number}" in PUBLIC else "private")


def name_of(code: str, family: int) -> str:
    """The signature of a family's failure."""
    return f"{code}:4 driver{family}.sys driver{family} lock=nt!Lock{family}"


def _copy(store: Store, offset: int, made: int, crashes: int) -> None:
    # Every copy is the same crash of another dump, on another machine, up to a month earlier or later.
    database = store.reports._database
    changed = {
        "id": f"id + {offset}",
        "identity": f"'1:' || printf('%064x', id + {offset})",
        "host": f"'PC-' || ((id * 7919 + {offset}) % 3000)",
        "seen_at": "strftime('%Y-%m-%dT%H:%M:%f000Z', min(julianday(seen_at) "
        f"+ (id * 31 + {offset}) % 60 - 30, julianday('{NOON:%Y-%m-%d}')))",
    }
    names = [*LISTED.split(", "), "frames", "named_by"]
    taken = ", ".join(changed.get(name, name) for name in names)
    database.change(
        f"INSERT INTO reports ({', '.join(names)}) SELECT {taken} FROM reports WHERE id <= ? AND id + ? <= ?",
        [made, offset, crashes],
    )
    for table, columns, key in (
        ("documents", "document", "report_id"),
        ("signatures", "signature", "report_id"),
        ("drivers", "name, version, blamed", "report_id"),
        ("words", "body", "rowid"),
    ):
        database.change(
            f"INSERT INTO {table} ({columns}, {key}) SELECT {columns}, {key} + ? FROM {table} "
            f"WHERE {key} <= ? AND {key} + ? <= ?",
            [offset, made, offset, crashes],
        )
