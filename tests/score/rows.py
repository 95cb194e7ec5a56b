"""The public crashes, each judged four ways: from its text, from the text without WinDbg's conclusions ("blind"), from
its frames alone, and by the baseline.

Texts go the whole way of the command (``analyze``). Frames alone know neither parameters nor lists of modules. The
baseline is the first module on the stack that is neither nt nor hal.
"""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import failure_id_hash
from analysis.bugchecks import stop_of
from analysis.bugchecks.explained import Stop
from analysis.errors import NotADump
from analysis.pipeline import analyze
from analysis.verdict.blame import Case, conclude
from analysis.verdict.modules import is_kernel_name, stem
from analysis.verdict.printed_facts import is_taken_over
from analysis.verdict.report import Report
from tests.verdict.frames import stack

DATA = Path(__file__).parents[3] / "shared" / "data"
ROWS = DATA / "windbg" / "analyze_logs.jsonl"
LOGS = DATA / "windbg" / "logs"
PAIRS = DATA / "bugchecks" / "failure_id_hash_vectors.json"
# The lines in which WinDbg concludes; a blind analysis must do without them. FOLLOWUP_IP shows the place on two more.
CONCLUSIONS = re.compile(
    r"(?m)^[ \t]*(?:(?:MODULE_NAME|IMAGE_NAME|IMAGE_VERSION|SYMBOL_NAME|SYMBOL_STACK_INDEX|FOLLOWUP_NAME"
    r"|FAULTING_MODULE|FAILURE_BUCKET_ID|BUCKET_ID\w*|PRIMARY_PROBLEM_CLASS|FAILURE_ID_HASH\w*|DEBUG_FLR_IMAGE_TIMESTAMP):.*"
    r"|Probably caused by.*|FOLLOWUP_IP:.*\n.*\n.*|Key  : Failure\..*\n.*)$"
)
NOT_MODULES = {"hardware": "hardware", "genuineintel": "hardware", "authenticamd": "hardware"}


@dataclass(frozen=True, slots=True)
class Row:
    """One crash. Modules are stems in lower case, "nt" for the kernel, "nobody", "hardware" or "memory"."""

    name: str
    kind: str  # in_stack, not_in_stack, pseudo, inconclusive
    code: str
    theirs: str
    ours: str
    confidence: str
    because: str
    blind: str
    from_frames: str
    baseline: str
    their_bucket: str | None
    our_bucket: str
    hash_fits: bool | None
    taken_over: bool

    @property
    def agrees(self) -> bool:
        """Whether the text's culprit is WinDbg's, on evidence of the text's own."""
        return same(self.theirs, self.ours) and not self.taken_over

    @property
    def same_bucket(self) -> bool | None:
        """Whether the buckets are equal but for letter case; None where WinDbg's is not known."""
        return None if self.their_bucket is None else self.their_bucket.lower() == self.our_bucket.lower()


def same(theirs: str, ours: str) -> bool:
    """Whether two culprits are one: memory hardware and hardware are not told apart by WinDbg."""
    return theirs == ours or (theirs == "hardware" and ours == "memory")


def read_rows() -> list[Row]:
    """Every crash of the data, judged."""
    return [_row(json.loads(line)) for line in ROWS.read_text("utf-8").splitlines()]


def read_pairs() -> list[tuple[str, str, str]]:
    """Public pairs: mode, bucket, hash; those of the table and those that the crashes themselves print."""
    pairs = {(one["mode"], one["bucket"], one["hash"]) for one in json.loads(PAIRS.read_text("utf-8"))}
    for line in ROWS.read_text("utf-8").splitlines():
        verdict = json.loads(line)["windbg"]
        if verdict["failure_bucket_id"] and verdict["failure_id_hash"]:
            pairs.add(("km", verdict["failure_bucket_id"], verdict["failure_id_hash"].strip("{}")))
    return sorted(pairs)


def fits(pair: tuple[str, str, str]) -> bool:
    """Whether the hash of a pair is the one computed from its bucket."""
    mode, bucket, expected = pair
    return failure_id_hash(bucket, mode) == expected


def _row(given: dict[str, Any]) -> Row:
    path = LOGS / f"{given['id']}.txt"
    report = analyze(path)
    ours = _culprit(report)
    theirs = given["blamed"].lower()
    if given["verdict_kind"] == "inconclusive":
        theirs = "nobody"
    return Row(
        name=given["id"],
        kind=given["verdict_kind"],
        code=(given["bugcheck"] or "?").lower(),
        theirs=NOT_MODULES.get(theirs, theirs),
        ours=ours,
        confidence=report.verdict.confidence,
        because=next((one for one in reversed(report.verdict.reasons) if ours in one.lower()), report.verdict.summary),
        blind=_blind(path),
        from_frames=_by_frames(given),
        baseline=_baseline(given["frames"]),
        their_bucket=given["windbg"]["failure_bucket_id"],
        our_bucket=report.bucket.failure_bucket_id,
        taken_over=is_taken_over(report.verdict),
        hash_fits=report.windbg.hash_fits if report.windbg else None,
    )


def _culprit(report: Report) -> str:
    culprit = report.verdict.culprit
    return "nobody" if culprit is None else _module(culprit.module) if culprit.module else culprit.kind


def _blind(path: Path) -> str:
    text = path.read_text("utf-8", "replace")
    with tempfile.TemporaryDirectory() as folder:
        stripped = Path(folder) / path.name
        stripped.write_text(CONCLUSIONS.sub("", text), "utf-8")
        try:
            return _culprit(analyze(stripped))
        except NotADump:
            return "unread"


def _by_frames(given: dict[str, Any]) -> str:
    code = int(given["bugcheck"], 16) if given["bugcheck"] else 0
    blame = conclude(Case(code, stop_of(code) if code else Stop.FAULT, stack(" ".join(given["frames"]))))
    return _module(blame.module) if blame.module else blame.kind or "nobody"


def _baseline(frames: list[str]) -> str:
    for symbol in frames:
        module = stem(symbol.partition("!")[0].partition("+")[0])
        if module not in ("nt", "hal") and not module.startswith("0x"):
            return module
    return "nobody"


def _module(name: str) -> str:
    return "nt" if is_kernel_name(name) else stem(name)
