"""A history in which every kind of crash is found once: what the pages are looked at with.

Most are forged dumps that were really analysed, so that the pages have the length and the words that they have in life.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from analysis.pipeline import Options, analyze
from analysis.verdict.report import Report
from storage import Store
from storage.threads import Told
from tests.bot.reports import sample
from tests.bot.web.documents import HOSTILE, full_document, with_texts
from tests.forge import Load, forge
from tests.usermode.stories import unwindable

TEAM, OPEN, SECRET = "T1", "C0CRASHES", "G0PRIVATE"
# Which story, on which build, in which kind of dump.
FORGED = {
    "seed": ("seed", 19041, "bitmap"),
    "deadlock": ("deadlock", 17763, "bitmap"),
    "three": ("three-pileups", 22000, "bitmap"),
    "chain": ("chain", 22000, "bitmap-full"),
    "fault": ("nolock", 14393, "full"),
    "small": ("nolock-7e", 19041, "triage"),
}
SAMPLES = ("exception", "cannot_tell")
HOSTS = ("WS-0417", "WS-0418", "BUILD-7", "LAPTOP-MEYER-03", "db-node-0000000000000000000000000000000000000017")


@dataclass(frozen=True, slots=True)
class Gallery:
    """The number of the crash of each kind, and the signature of each."""

    crashes: dict[str, int]
    signatures: dict[str, str]


def fill(store: Store, now: datetime, kinds: tuple[str, ...] = tuple(FORGED)) -> Gallery:
    """Put everything into an empty history, as if it had happened in the weeks before ``now``."""
    crashes: dict[str, int] = {}
    signatures: dict[str, str] = {}
    made = list(_made(kinds))
    for place, (kind, report) in enumerate(made):
        crashed = now - timedelta(days=20 - 2 * place, hours=place)
        crashes[kind] = _remember(store, _again(report, kind, HOSTS[place % len(HOSTS)], crashed), OPEN)
        signatures[kind] = report.bucket.signature
    first = made[0][1]
    for number in range(9):  # a bucket that grows, on several machines
        crashed = now - timedelta(days=2 * number, hours=number)
        _remember(store, _again(first, f"more {number}", HOSTS[number % 4], crashed), OPEN)
    _remember(store, _again(dict(made)["program"], "long ago", "KIOSK-1", now - timedelta(days=60)), OPEN)
    for number in range(14):  # a spike
        crashed = now - timedelta(hours=2 * number)
        _remember(store, _again(dict(made)["program"], f"spike {number}", f"KIOSK-{number % 6}", crashed), OPEN)
    for number, (_, report) in enumerate(made):  # one machine, many codes
        _remember(store, _again(report, f"memory {number}", "LAB-2", now - timedelta(days=number % 3)), OPEN)
    crashes["private"] = _remember(store, _again(sample("deadlock"), "private", "HR-1", now), SECRET)
    _say(store, signatures)
    store.channels.note(TEAM, OPEN, "public")
    store.channels.note(TEAM, SECRET, "private")
    return Gallery(crashes, signatures)


def _made(kinds: tuple[str, ...]) -> Iterator[tuple[str, Report]]:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for kind in kinds:
            story, build, form = FORGED[kind]
            forged = forge(story, build=build, kind=form, load=Load(threads=40) if kind == "three" else Load())
            forged.write_isf(place)
            yield kind, analyze(forged.write(place / f"{kind}.dmp"), Options(symbols=(place,), source=f"{kind}.dmp"))
        program = place / "acme.dmp"
        program.write_bytes(unwindable().write())
        yield "program", analyze(program, Options(source="acme.dmp"))
    document = full_document()
    yield "whole", with_texts(document, lambda text: text)
    yield "hostile", with_texts(document, lambda text: HOSTILE[len(text) % len(HOSTILE)] * 2)
    for name in SAMPLES:
        yield name, sample(name)


def _again(report: Report, dump: str, host: str, crashed: datetime) -> Report:
    # The same crash of another dump, on another machine, at another time.
    digest = hashlib.sha256(dump.encode()).hexdigest()
    name = host if report.system.computer_name is None or "<" not in report.system.computer_name else None
    return replace(
        report,
        dump=replace(report.dump, identity=f"1:{digest}", sha256=digest),
        system=replace(
            report.system,
            computer_name=name or report.system.computer_name,
            crash_time=f"{crashed:%Y-%m-%dT%H:%M:%SZ}",
        ),
    )


def _remember(store: Store, report: Report, channel: str) -> int:
    number = store.remember(report).id
    link = f"https://acme.example.com/archives/{channel}/p{number}"
    ts = f"1700000000.{number:06}"
    store.threads.note(
        Told(report_id=number, team=TEAM, channel=channel, ts=ts, summary_ts=ts, permalink=link, source="MEMORY.DMP")
    )
    return number


def _say(store: Store, signatures: dict[str, str]) -> None:
    note = store.knowledge.note
    first = signatures["seed"]
    detail: dict[str, str | None] = {
        "note": "The vendor mends it: see the ticket", "ticket": "https://tracker.example.com/NET-4711",
        "fixed_in": "1.0",
    }  # fmt: skip
    note(first, "known", "Anna", detail)
    note(first, "wrong", "Ben", {"reason": "It was the docking station: " + "really " * 20})
    note(first, "assign", "Anna", {"to": "Chris"})
    note(signatures["cannot_tell"], "acknowledge", "Ben")
