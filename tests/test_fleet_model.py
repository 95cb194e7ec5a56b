"""The reckoning of a larger fleet: what bends first is the part that one dump keeps busy the longest."""

import dataclasses

import pytest

from tests.bench.fleet_model import Demands, Measured, bounds, of_slack, tell

PARTS = Demands(
    bot=0.02, worker=0.1, analysis=0.4, database=0.04, stage=0.01, commits=100.0, written=30_000.0, lock=0.1,
    calls={"chat.postMessage": 1.5}, edits=0.5,
)  # fmt: skip
ALONE = Measured("PostgreSQL, 1 worker", 1, False, 60, 60, 60.0, PARTS, 0.3)


def test_a_part_passes_no_more_than_one_dump_in_the_time_that_one_keeps_it_busy() -> None:
    assert bounds(ALONE) == {
        "the bot's process, one core": pytest.approx(3000),
        "the database's processors, 4 cores": pytest.approx(6000),
        "the lock of all writers": pytest.approx(600),
    }
    assert of_slack(PARTS)["Slack: chat.update, 50 a minute"] == pytest.approx(100)


def test_it_is_said_where_a_fleet_bends_first(capsys: pytest.CaptureFixture[str]) -> None:
    tell([ALONE], 2)
    said = capsys.readouterr().out
    assert "from 0.8 workers on" in said
    assert "Of our own parts the first is the lock of all writers, from 10.0 workers on." in said
    slow = dataclasses.replace(ALONE, demands=dataclasses.replace(PARTS, bot=1.0))
    tell([slow], 2)
    assert "Of our own parts the first is the bot's process, one core, from 1.0 workers on." in capsys.readouterr().out
    tell([dataclasses.replace(ALONE, is_one_process=True)], 2)
    assert capsys.readouterr().out == ""
