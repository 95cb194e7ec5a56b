"""The forty questions: what an answer must say and must not say, and where the honest answer is that there is none."""

import dataclasses
import json
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from analysis.bugchecks.tables import name_of
from analysis.verdict.report import ModuleFacts, Report
from bot.questions import ask
from storage.store import Store
from tests.storage.samples import Clock, report

TABLE: dict[str, Any] = tomllib.loads(Path(__file__).with_name("forty_questions.toml").read_text("utf-8"))
SEED = Path(__file__).parents[1] / "golden" / "reports" / "seed.json"
NOW: datetime = TABLE["now"]


def crash(number: int, told: dict[str, Any]) -> Report:
    """One crash of the table; those of the seed story have its threads and its verdict."""
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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    clock = Clock(NOW)
    with Store.open(tmp_path_factory.mktemp("forty") / "x.sqlite", clock) as opened:
        for number, told in enumerate(TABLE["history"], 1):
            clock.now = told["crashed"]
            assert opened.remember(crash(number, told)).id == number
        yield opened


@pytest.mark.parametrize("told", TABLE["questions"], ids=lambda told: str(told["ask"]))
def test_the_answer_says_what_it_must(store: Store, told: dict[str, Any]) -> None:
    answer = ask(store, told["ask"], NOW, told.get("in"))
    said = "\n".join((*answer.lines, *(row.text for row in answer.rows)))
    assert [text for text in told.get("says", ()) if text not in said] == [], said
    assert [text for text in told.get("never", ()) if text in said] == [], said
    assert answer.understood is not told.get("refused", False), said
    if "rows" in told:
        assert [row.report.id for row in answer.rows] == told["rows"]


def test_there_are_forty() -> None:
    assert len(TABLE["questions"]) == 40
