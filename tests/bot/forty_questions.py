"""The forty questions in the words people use, each answered: ``python -m tests.bot.forty_questions`` prints a table.

The table was written before the grammar. Exits 1 when an answer is not as it must be.
"""

import contextlib
import dataclasses
import json
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.bugchecks.tables import name_of
from analysis.verdict.report import ModuleFacts, Report
from bot.questions import Answer, ask
from storage.store import Store
from tests.storage.samples import Clock, report

TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("forty_questions.toml").read_text("utf-8"))
QUESTIONS: list[dict[str, Any]] = TABLE["questions"]
SEED = Path(__file__).parents[1] / "golden" / "reports" / "seed.json"
NOW: datetime = TABLE["now"]
WIDTH = 70


@contextlib.contextmanager
def history(directory: Path) -> Iterator[Store]:
    """The history of the table, in a new database."""
    clock = Clock(NOW)
    with Store.open(directory / "x.sqlite", clock) as opened:
        for number, told in enumerate(TABLE["history"], 1):
            clock.now = told["crashed"]
            assert opened.remember(_crash(number, told)).id == number
        yield opened


def _crash(number: int, told: dict[str, Any]) -> Report:
    # One crash of the table; those of the seed story have its threads and its verdict.
    module = told.get("module")
    made = report(
        f"crash {number}",
        code=told["code"],
        name=name_of(int(told["code"], 16)),
        module=module,
        signature=f"{told['code']} {module or 'nobody'}",
        host=told["host"],
        crashed=told["crashed"],
        lock=told.get("lock"),
        service=told.get("service"),
    )
    loaded = tuple(ModuleFacts(name, "0x1000", 4096, version=one) for name, one in told.get("loaded", {}).items())
    verdict, blocking, threads = made.verdict, made.blocking, made.threads
    if told.get("story") == "seed":
        seed = Report.from_json(json.loads(SEED.read_text("utf-8")))
        verdict, blocking, threads = seed.verdict, seed.blocking, seed.threads
    if verdict.culprit is not None:
        culprit = dataclasses.replace(
            verdict.culprit,
            version=told.get("version"),
            device=told.get("device"),
            service=told.get("service"),
        )
        verdict = dataclasses.replace(verdict, culprit=culprit)
        loaded = (*loaded, ModuleFacts(told["module"], "0x2000", 4096, version=told.get("version")))
    return dataclasses.replace(made, verdict=verdict, modules=loaded, blocking=blocking, threads=threads)


def answered(store: Store, told: dict[str, Any]) -> Answer:
    """The answer to a question of the table, asked where the table says."""
    return ask(store, told["ask"], NOW, told.get("in"))


def problems(told: dict[str, Any], answer: Answer) -> list[str]:
    """What is wrong with an answer; empty where it says what it must, or is refused where that is honest."""
    said = said_in(answer)
    found = [f"does not say {text!r}" for text in told.get("says", ()) if text not in said]
    found += [f"says {text!r}" for text in told.get("never", ()) if text in said]
    if answer.understood is told.get("refused", False):
        found.append("refused" if told.get("refused") is None else "answered what nobody can answer")
    listed = [row.report.id for row in answer.rows]
    if listed != told.get("rows", listed):
        found.append(f"lists {listed}, not {told['rows']}")
    return found


def said_in(answer: Answer) -> str:
    """Everything that an answer says."""
    return "\n".join((*answer.lines, *(row.text for row in answer.rows)))


def main() -> int:
    """Ask all and print the table: the exit status."""
    counts: Counter[str] = Counter()
    print(f"{'':<3}{'kind':<17}{'question':<50}{'result':<17}the answer begins")
    with tempfile.TemporaryDirectory() as directory, history(Path(directory)) as store:
        for number, told in enumerate(QUESTIONS, 1):
            answer = answered(store, told)
            wrong = problems(told, answer)
            result = "WRONG" if wrong else "right" if answer.understood else "refused honestly"
            counts[result] += 1
            begins = "; ".join(wrong) or " ".join(said_in(answer).split())
            shown = begins if wrong or len(begins) <= WIDTH else f"{begins[: WIDTH - 1]}…"
            print(f"{number:<3}{told['kind']:<17}{told['ask']:<50}{result:<17}{shown}")
    print(f"{len(QUESTIONS)} questions: " + ", ".join(f"{count} {result}" for result, count in counts.items()))
    return int(counts["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main())
