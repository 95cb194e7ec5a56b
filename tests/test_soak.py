"""The soak's counts find what went wrong; a small one goes through."""

import subprocess
import sys
from pathlib import Path

import pytest

from bot.sandbox import Message, Workspace
from tests.bot.kit import ANNA, CRASHES
from tests.soak.counting import Posted, counted

ROOT = Path(__file__).parents[1]
FINAL = "a.sys did it. Confidence: high."


class Slack:
    def __init__(self) -> None:
        self.workspace = Workspace()

    def answer(self, thread: str | None, slot: str, text: str) -> Message:
        message = Message(self.workspace.new_ts(), self.workspace.bot.id, text, thread, bot_id="B")
        message.metadata = {"event_payload": {"key": f"{thread}:{slot}"}}
        return self.workspace.post(self.workspace.channels[CRASHES], message)


def test_each_way_to_answer_wrongly_is_counted() -> None:
    slack = Slack()
    posted = [Posted(CRASHES, slack.workspace.say(CRASHES, ANNA, str(n)), "a.sys") for n in range(6)]
    once, twice, wrong, unfinished, doubled, never = (dump.message.ts for dump in posted)
    for dump in posted[:-1]:
        dump.message.reactions["white_check_mark"] = [slack.workspace.bot.id]
    posted[0].message.reactions["eyes"] = [slack.workspace.bot.id]
    for ts, slot, text in (
        (once, "summary", FINAL),
        (once, "evidence", "Evidence"),
        (twice, "summary", FINAL),
        (twice, "summary-again", FINAL),
        (wrong, "summary", FINAL.replace("a.sys", "b.sys")),
        (unfinished, "summary", "Analysing: 50 %"),
        (doubled, "summary", FINAL),
        (doubled, "evidence", "Evidence"),
        (doubled, "evidence", "Evidence"),
    ):
        slack.answer(ts, slot, text)
    slack.answer(None, "summary", FINAL)
    counts = counted(slack, posted)  # type: ignore[arg-type]  # all that it looks at
    assert counts.once == 2
    assert never not in {m.thread_ts for m in slack.workspace.channels[CRASHES].messages.values()}
    expected = {"never": 1, "twice": 1, "wrong": 1, "unfinished": 1, "unmarked": 2, "doubled": 1, "elsewhere": 1}
    assert counts.faults == expected


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("transport", ["socket", "http"])
def test_a_small_soak_goes_through(transport: str) -> None:
    command = [sys.executable, "-m", "tests.soak", "--events", "24", "--transport", transport]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "answered exactly once: 24 of 24; not as it should be: nothing" in done.stdout
