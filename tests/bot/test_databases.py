"""``pileup db``: what an operator types to move a history, and what is refused."""

import hashlib
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from storage.migrations import MIGRATIONS
from storage.store import Store
from tests.storage.samples import report


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    return tmp_path


def run(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["db", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_a_history_moves_to_postgresql_and_back_and_exports_alike(
    home: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        store.remember(report("a"))
        store.remember(report("b"))
    status, said, progress = run("copy", "here", postgres_url)
    assert (status, "reports" in progress) == (0, True)
    assert "rows copied from" in said
    assert postgres_url.split(":")[2].partition("@")[0] not in said + progress
    monkeypatch.setenv("PILEUP_DATABASE_URL", postgres_url)
    assert run("copy", "here", home / "back.sqlite")[0] == 0
    for name, place in (("one", home / "pileup.sqlite"), ("two", postgres_url), ("three", home / "back.sqlite")):
        status, _, told = run("export", home / name, "--from", place)
        assert status == 0
        assert hashlib.sha256((home / name).read_bytes()).hexdigest() in told
    assert (home / "one").read_bytes() == (home / "two").read_bytes() == (home / "three").read_bytes()
    assert stat.S_IMODE((home / "one").stat().st_mode) == 0o600


def test_what_cannot_be_copied_is_said_in_a_line(home: Path, postgres_url: str) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        store.remember(report("a"))
    with Store.open(postgres_url) as store:
        store.remember(report("b"))
    status, _, told = run("copy", "here", postgres_url)
    assert (status, "not empty" in told, "--replace" in told) == (2, True, True)
    assert run("copy", "here", postgres_url, "--replace")[0] == 0
    assert run("copy", "here", home / "pileup.sqlite")[::2] == (2, "pileup: that is one database, not two\n")
    assert run("copy", home / "none.sqlite", postgres_url)[0] == 2
    assert not (home / "none.sqlite").exists()
    assert run("copy", "mysql://x/y", postgres_url)[0] == 2
    status, _, told = run("copy", "here", "postgresql://u:s3cr3t@127.0.0.1:1/x")
    assert (status, "s3cr3t" in told, "refused" in told) == (1, False, True)
    assert run("export", home / "pileup.sqlite") == (
        2,
        "",
        f"pileup: {home / 'pileup.sqlite'} exists already\n",
    )


def test_the_schema_is_brought_up_once_and_each_step_is_said(
    home: Path, empty_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILEUP_DATABASE_URL", empty_postgres)
    status, said, _ = run("migrate")
    assert status == 0
    assert said.splitlines()[-2:] == [
        f"step {len(MIGRATIONS)} of {len(MIGRATIONS)} done",
        "the workers' queue: schema done",
    ]
    status, said, _ = run("migrate")
    assert (status, said.endswith(f"has schema {len(MIGRATIONS)}: nothing to do\n")) == (0, True)
