"""How well history puts drawn crashes together, beside the two baselines on the same crashes.

All figures are over pairs of crashes: precision is the share of pairs called together that belong together, recall
the share of pairs that belong together and were called so.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from analysis.address import VirtAddr
from analysis.bugchecks.explained import Stop
from analysis.bugchecks.tables import name_of
from analysis.kernel.facts import Frame
from analysis.trust import Trust
from analysis.verdict.blame import Case, DeviceEvidence, conclude
from analysis.verdict.rebucket import rebucket
from analysis.verdict.report import (
    Analyzer,
    Blocking,
    Bucket,
    Bugcheck,
    Chain,
    ChainLock,
    Culprit,
    Dump,
    Parameter,
    Report,
    Root,
    StackFrame,
    System,
    ThreadFacts,
    Verdict,
)
from storage.store import Store
from tests.corpus.baselines import StackDistance, top_frames
from tests.corpus.crashes import Crash, Line
from tests.storage.samples import identity_of

STOPS = {0x9F: Stop.HANG, 0x15C: Stop.HANG, 0x1CA: Stop.HANG, 0x124: Stop.HARDWARE, 0xD1: Stop.FAULT, 0x7E: Stop.FAULT}
STOPS |= {0x50: Stop.FAULT, 0x133: Stop.FAULT}  # the others: damage
THRESHOLDS = tuple(step / 20 for step in range(8, 20))


@dataclass(slots=True)
class Score:
    """Pairs: rightly called together, wrongly called together, missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, called: set[int], belong: set[int]) -> None:
        """Count one crash: those called together with it, and those that belong to it, itself left out."""
        self.right += len(called & belong)
        self.wrong += len(called - belong)
        self.missed += len(belong - called)

    @property
    def precision(self) -> float:
        """1 when nothing was called together."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """1 when nothing belongs together."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f(self) -> float:
        """The harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """The scores, and the families that were split or merged, worst first, as lines for people."""

    bucket: Score
    similar: Score
    top_frame: Score
    distance: Score
    threshold: float
    similar_top_frame: Score
    similar_distance: Score
    similar_threshold: float
    splits: tuple[str, ...]
    merges: tuple[str, ...]


def as_report(crash: Crash) -> Report:
    """The crash as the analysis would report it: blame by our own walk, names by our own rules."""
    stack = tuple(_frame(crash, line) for line in crash.stack)
    device = DeviceEvidence(crash.holder_module, service=crash.service) if crash.service else None
    stop = STOPS.get(crash.code, Stop.CORRUPTION)
    blame = conclude(Case(crash.code, stop, stack, device=device))
    by_chance = stop is Stop.CORRUPTION and blame.confidence == "low"
    chain = ChainLock("0xff00", "eresource", crash.lock, "a lock")
    told = Report(
        analyzer=Analyzer("0", "none"),
        analyzed_at="2026-06-15T12:00:00Z",
        dump=Dump("kernel-bitmap", 4096, None, identity_of(f"crash {crash.number}"), f"{crash.number}.dmp", 4096),
        system=System(build=f"10.0.{crash.build}.1", computer_name=crash.host),
        bugcheck=Bugcheck(
            f"{crash.code:#x}",
            f"{crash.code:#x}",
            name_of(crash.code),
            tuple(Parameter(f"{value:#x}") for value in crash.parameters),
            "",
        ),
        verdict=Verdict(
            Culprit(blame.module, blame.function, blame.kind, version=crash.version, service=crash.service)
            if blame.kind
            else None,
            blame.confidence,
            "A drawn crash.",
        ),
        bucket=Bucket("", "00000000-0000-0000-0000-000000000000", "", (), crash.lock, crash.service, "0x10", by_chance),
        blocking=Blocking(
            root=Root("0x10"),
            chains=(Chain(chain, ("0x10",), tuple(f"{0x20 + n:#x}" for n in range(len(crash.waiters))), None, "scan"),)
            if crash.waiters
            else (),
        ),
        threads=(
            ThreadFacts(
                "0x10",
                stack=tuple(StackFrame(f"{one.address:#x}", one.symbol, one.module, one.trust.label) for one in stack),
            ),
        ),
    )
    named = rebucket(told)
    aliases = tuple(alias for alias in named.aliases if alias)
    return replace(told, bucket=replace(named, aliases=aliases))


def _frame(crash: Crash, line: Line) -> Frame:
    text = f"{line.module}!{line.function}+{line.offset:#x}" if line.function else f"{line.module}+{line.offset:#x}"
    module = "ntoskrnl.exe" if line.module == "nt" else f"{line.module}.sys"
    place = VirtAddr(crash.base + (hash_of(line.module) << 20) + line.offset)
    return Frame(place, text, module, Trust.SCAN if line.is_scanned else Trust.UNWIND)


def hash_of(module: str) -> int:
    """A small number for a module: where in the drawn machine's memory it lies."""
    return sum(map(ord, module)) & 0xFFF


def score(store: Store, crashes: Sequence[Crash], asked: int, random: Random) -> Result:
    """Remember all crashes, then ask about ``asked`` of them, chosen at random."""
    reports = [as_report(crash) for crash in crashes]
    numbers = {store.remember(report).id: index for index, report in enumerate(reports)}
    chosen = random.sample(range(len(crashes)), min(asked, len(crashes)))
    family, kin = _groups(one.family for one in crashes), _groups(one.kin for one in crashes)
    top = top_frames(tuple(crashes))
    tops = _groups(top)
    bare_top = [text.partition(" ")[2] for text in top]  # whatever the code: that is what similar is about
    bare_tops = _groups(bare_top)
    distance = StackDistance(tuple(crashes))
    bucket, similar, top_frame, similar_top_frame = Score(), Score(), Score(), Score()
    distances = {threshold: Score() for threshold in THRESHOLDS}
    similar_distances = {threshold: Score() for threshold in THRESHOLDS}
    together: Counter[tuple[int, int]] = Counter()
    apart: Counter[int] = Counter()
    now = datetime(2026, 6, 15, tzinfo=UTC) + timedelta(days=1)
    for index in chosen:
        own = crashes[index]
        belong = family[own.family] - {index}
        called = {numbers[number] for number in store.duplicates.members(reports[index])} - {index}
        bucket.add(called, belong)
        alike = store.duplicates.of(reports[index], now, similar=len(crashes)).similar
        similar.add(called | {numbers[one.report.id] for one in alike}, kin[own.kin] - {index})
        top_frame.add(tops[top[index]] - {index}, belong)
        similar_top_frame.add(bare_tops[bare_top[index]] - {index}, kin[own.kin] - {index})
        near = distance.to_all(index)
        for threshold in THRESHOLDS:
            alone = {at for at in (near >= threshold).nonzero()[0].tolist() if at != index}
            distances[threshold].add(alone, belong)
            similar_distances[threshold].add(alone, kin[own.kin] - {index})
        apart[own.family] += len(belong - called)
        together.update((own.family, crashes[other].family) for other in called - belong)
    threshold = max(THRESHOLDS, key=lambda one: distances[one].f)
    loose = max(THRESHOLDS, key=lambda one: similar_distances[one].f)
    return Result(
        bucket,
        similar,
        top_frame,
        distances[threshold],
        threshold,
        similar_top_frame,
        similar_distances[loose],
        loose,
        tuple(f"family {number}: {count} pairs missed" for number, count in apart.most_common(10) if count),
        tuple(f"families {a} and {b}: {count} pairs" for (a, b), count in together.most_common(10)),
    )


def _groups(keys: Iterable[object]) -> dict[object, set[int]]:
    found: dict[object, set[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, set()).add(index)
    return found
