"""``pileup token`` as an operator meets it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from storage import Store


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["token", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_secret_alone_is_on_standard_output_and_opens_the_token(home: Path) -> None:
    status, secret, said = run("add", "lab-7", "--scope", "analyze", "--channels", "C1,C2", "--days", "3")
    assert status == 0
    assert "lab-7: analyze; sees what C1, C2 saw; ends" in said
    with Store.open(home / "pileup.sqlite") as store:
        token = store.tokens.of(secret.strip())
    assert token is not None
    assert token.name == "lab-7"


def test_a_list_shows_no_secret_and_what_was_revoked(home: Path) -> None:
    _, secret, _ = run("add", "lab-7")
    run("revoke", "lab-7")
    status, listed, _ = run("list", "--json")
    assert status == 0
    (line,) = json.loads(listed)
    assert (line["name"], line["valid"], line["channels"], line["scopes"]) == ("lab-7", False, None, ["read"])
    assert secret.strip() not in listed
    assert "revoked: lab-7: read; sees all of history; never ends; never used" in run("list")[1]


@pytest.mark.parametrize(
    "arguments",
    [("add", "a b"), ("add", "x\nForged: line"), ("add", "x", "--channels", "general"), ("add", "x", "--channels", ""),
     ("add", "x", "--days", "0"), ("add", "x", "--scope", "write"), ("revoke", "nobody")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2
    assert run("list")[1] == ""


def test_a_name_is_given_once() -> None:
    run("add", "lab-7")
    status, out, said = run("add", "lab-7")
    assert (status, out) == (2, "")
    assert "there is a token lab-7" in said
