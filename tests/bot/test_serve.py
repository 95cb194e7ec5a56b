"""``pileup serve`` as an operator meets it: one line when it cannot, one line per event in the log."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import logs
from bot.serve import run
from bot.settings import Settings


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_logger")
def test_without_tokens_it_says_what_is_missing_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(_env_file=None, home=tmp_path, slack_bot_token=None, slack_app_token=None)  # type: ignore[call-arg]  # pydantic-settings' own argument
    assert run(settings) == 2
    assert capsys.readouterr().err == "pileup: serve needs PILEUP_SLACK_BOT_TOKEN and PILEUP_SLACK_APP_TOKEN\n"


def test_a_log_line_cannot_be_forged_by_what_it_quotes() -> None:
    line = logs.OneLine("%(levelname)s %(message)s").format(
        logging.LogRecord("bot", logging.INFO, "x", 1, "name %s", ("a\nERROR forged",), None)
    )
    assert line == "INFO name a\n    ERROR forged"


def test_a_traceback_is_kept_indented() -> None:
    try:
        int("x")
    except ValueError:
        record = logging.LogRecord("bot", logging.ERROR, "x", 1, "job 1", (), sys.exc_info())
    first, *rest = logs.OneLine("%(message)s").format(record).splitlines()
    assert first == "job 1"
    assert rest
    assert all(line.startswith("    ") for line in rest)


def test_a_log_line_holds_nothing_that_a_terminal_obeys() -> None:
    record = logging.LogRecord("bot", logging.INFO, __file__, 1, "driver %s", ("\x1b[2Jred\u202egpj.exe\x00",), None)
    assert logs.OneLine("%(message)s").format(record) == "driver ?[2Jred?gpj.exe?"
