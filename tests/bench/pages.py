"""How long the bot's pages take over a long history: ``python -m tests.bench.pages [--postgres] [CRASHES]``, 100,000
crashes by default, on SQLite or on a PostgreSQL that is started for this.

Two thousand reports of sixty failures go into history as always; the rest are their copies under other identities,
hosts and times, made inside the database. A year long, told in five channels. Each page is asked for through the whole
site, for somebody who sees everything and for somebody with a link of one channel.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from bot.web import links
from bot.web.guard import Access, Rates
from storage import Store
from storage.database import Place, open_database
from storage.migrations import migrate
from storage.reports import LISTED
from storage.transfer import copy
from tests.bot.web.sites import SECRET, browser
from tests.postgres import Cluster
from tests.storage.samples import NOON, Clock, report

MADE, FAMILIES, CHANNELS, DAYS = 2_000, 60, 5, 365
ROUNDS = 20
QUESTIONS = (
    "have we seen driver7 since May?", "last 20 crashes", "0x9f", "which hosts hit 0x133 this week?", "drivr12",
    "how often did driver3.sys crash in the last 2 months?", "is 0x9f getting worse?", "what is new this week?",
    "which versions of driver5 crash?", "top 10 drivers in Q2", "crashes before June 3", "KeWaitForSingleObject",
)  # fmt: skip


def fill(path: Path, crashes: int) -> None:
    """A history of so many crashes."""
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
                    signature=_name(codes[family % len(codes)], family),
                    lock=f"nt!Lock{family}",
                    host=f"PC-{draw.randrange(3000)}",
                    crashed=NOON - timedelta(days=DAYS * draw.random()),
                    frames=("nt!KeWaitForSingleObject+0x1a", f"driver{family}+0x{number:x}", "nt!PnpWorker+0x40"),
                )
            )
        made = store.reports.count()
        for copy in range(1, -(-crashes // made)):
            _copy(store, copy * made, made, crashes)
        reported = f"min(julianday(seen_at) + id % 3, julianday('{NOON:%Y-%m-%d}'))"
        store.reports._database.change(
            f"UPDATE reports SET reported_at = strftime('%Y-%m-%dT%H:%M:%f000Z', {reported})"
        )
        for family in range(0, FAMILIES, 5):
            store.knowledge.note(_name(codes[family % len(codes)], family), "known", "U1", {"note": "under way"})
        store.reports._database.change(
            "INSERT INTO threads (team, channel, ts, summary_ts, permalink, report_id, created_at) SELECT 'T', "
            f"'C' || (id % {CHANNELS}), id, id, 'https://slack.example/' || id, id, reported_at FROM reports"
        )


def _name(code: str, family: int) -> str:
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


async def measure(place: Place) -> None:
    """Print the time of each page, in milliseconds."""
    with Store.open(place, Clock()) as store:
        family = quote(_name("0x9f", 0), safe="")
        pages = [
            ("dashboard", "/"),
            ("latest crashes", "/crashes"),
            ("crash", "/crashes/1000"),
            ("failure", f"/groups/{family}"),
            ("driver", "/drivers/driver0.sys"),
            ("host", "/hosts/PC-7"),
            ("build", "/builds/10.0.19041.804"),
            *((kind, f"/{kind}") for kind in ("drivers", "hosts", "builds", "teams")),
        ]
        pages += [(question, f"/crashes?q={quote(question)}") for question in QUESTIONS]
        print(f"{'page':56} {'everything':>20} {'one channel':>20}   (p50 and p95 in ms)")
        for name, address in pages:
            times = [await _times(store, address, signed=signed) for signed in (False, True)]
            print(f"{name:56} " + " ".join(f"{p50:12.0f} {p95:7.0f}" for p50, p95 in times), flush=True)


async def _times(store: Store, address: str, *, signed: bool) -> tuple[float, float]:
    access = Access(SECRET) if signed else Access()
    async with browser(store, access, rates=Rates(burst=1e9)) as client:
        client.cookies.set("pileup", links.sign(SECRET, "C0", NOON + timedelta(days=1)))
        taken = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            answer = await client.get(address)
            taken.append((time.perf_counter() - start) * 1000)
            assert answer.status_code == 200, (address, answer.status_code)
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


def main() -> None:
    """Fill a history in a temporary directory, and measure."""
    numbers = [word for word in sys.argv[1:] if word != "--postgres"]
    crashes = int(numbers[0]) if numbers else 100_000
    with tempfile.TemporaryDirectory(prefix="pileup-pages-") as directory:
        path = Path(directory) / "pileup.sqlite"
        start = time.perf_counter()
        fill(path, crashes)
        size = path.stat().st_size / 1e6
        print(f"{crashes} crashes in {size:.0f} MB, filled in {time.perf_counter() - start:.0f} s")
        if "--postgres" not in sys.argv:
            asyncio.run(measure(path))
            return
        with Cluster() as cluster:
            url = cluster.create()
            with closing(open_database(path)) as source, closing(open_database(url)) as target:
                migrate(target)
                copy(source, target, lambda *_: None)
            print(f"copied to PostgreSQL in {time.perf_counter() - start:.0f} s since the beginning")
            asyncio.run(measure(url))


if __name__ == "__main__":
    main()
