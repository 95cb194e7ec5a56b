"""Every kind of message, window and home tab: as golden text, valid, and telling its matter without eyes for colour.

``PILEUP_WRITE_GOLDEN=1 pytest tests/bot/test_kinds.py`` writes the goldens again; read the diff.
"""

import json
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot import slack_text
from bot.outbound import Message, View, checked, checked_home, checked_view
from storage.store import Store
from tests import sent
from tests.bot.gallery import NOON, Shown, gallery
from tests.bot.reports import GOLDEN, sample
from tests.storage.samples import Clock

KINDS = GOLDEN / "slack" / "kinds"
WHOLE = {"digest", "home_tab", "seed", "deadlock", "exception", "cannot_tell"}  # goldens of other tests
TEMPLATES = slack_text.TEMPLATES
SIGNS = "•·—–…→×?■█░▁▂▃▄▅▆▇"  # printed by templates, each beside words or a number that says the same


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shown]]:
    at = Clock(NOON)
    with Store.open(tmp_path_factory.mktemp("gallery") / "pileup.sqlite", at) as store:
        yield gallery(store, at)


def written(made: Shown) -> dict[str, Any]:
    """A message or a view as it leaves."""
    if isinstance(made, Message):
        return {"text": made.text, "blocks": list(made.blocks)}
    return checked_home(made.blocks, made.mentions) if made.kind == "home" else checked_view(made)


def texts(value: Any) -> Iterator[str]:
    """Every text of a structure that a person reads or hears."""
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key in READ and isinstance(item, str))
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


READ = ("text", "accessibility_label", "alt_text", "initial_value")


def goldens() -> dict[str, Any]:
    """Every golden, by its name: of one kind, or of a whole thread, digest or home tab."""
    paths = [*sorted(KINDS.glob("*.json")), *(GOLDEN / "slack" / f"{name}.json" for name in sorted(WHOLE))]
    return {path.stem: json.loads(path.read_text("utf-8")) for path in paths}


GOLDENS = goldens()


def test_each_kind_reads_as_agreed_and_no_golden_is_left_over(shown: dict[str, Shown]) -> None:
    made = {name: json.dumps(written(one), indent=1, ensure_ascii=False) + "\n" for name, one in shown.items()}
    if os.environ.get("PILEUP_WRITE_GOLDEN"):
        for path in KINDS.glob("*.json"):
            path.unlink()
        for name, text in made.items():
            (KINDS / f"{name}.json").write_text(text, "utf-8")
    kept = {path.stem: path.read_text("utf-8") for path in KINDS.glob("*.json")}
    assert sorted(kept) == sorted(made)
    for name, text in made.items():
        assert text == kept[name], name


def test_each_kind_is_valid(shown: dict[str, Shown]) -> None:
    for name, one in shown.items():
        if isinstance(one, Message):
            assert checked(one, name)["text"]
            assert sent.message_problems(list(one.blocks)) == [], name
        else:
            assert list(sent.view_problems(written(one))) == [], name


def test_each_template_and_each_window_has_a_golden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    used = set()
    pieces = slack_text._pieces

    def noted(name: str, values: dict[str, Any]) -> Any:
        used.add(name)
        return pieces(name, values)

    monkeypatch.setattr(slack_text, "_pieces", noted)
    at = Clock(NOON)
    with Store.open(tmp_path / "pileup.sqlite", at) as store:
        made = gallery(store, at)
    assert {path.stem for path in TEMPLATES.glob("[!_]*.j2")} - used == set()
    windows = tomllib.loads((TEMPLATES / "windows.toml").read_text("utf-8"))
    assert set(windows) - {one.kind for one in made.values() if isinstance(one, View)} == set()


VERDICTS = ("summary", "again", "again-counted", "of-archive", "duplicate", "unfurl")


@pytest.mark.parametrize("name", VERDICTS)
def test_the_text_alone_tells_the_verdict(shown: dict[str, Shown], name: str) -> None:
    text, verdict = written(shown[name])["text"], sample("seed").verdict
    for words in (verdict.summary, "0x9f DRIVER_POWER_STATE_FAILURE", f"Confidence: {verdict.confidence}"):
        assert words in text


@pytest.mark.parametrize("name", ["muted", "routed", "routed-to-nobody"])
def test_the_text_alone_of_a_note_names_driver_stop_code_and_machine(shown: dict[str, Shown], name: str) -> None:
    text = written(shown[name])["text"]
    for words in ("rassstp.sys", "0x9f DRIVER_POWER_STATE_FAILURE", "WS-0417"):
        assert words in text


def test_the_text_alone_of_an_archive_tells_every_problem(shown: dict[str, Shown]) -> None:
    text = written(shown["archive"])["text"]
    for report in (sample("seed"), sample("exception")):
        assert report.bugcheck is not None
        for words in (report.verdict.summary, report.bugcheck.name, f"confidence {report.verdict.confidence}"):
            assert str(words) in text
    assert "1 dump could not be read" in text


def test_what_is_said_first_of_a_known_issue_is_said_first_in_the_text_alone(shown: dict[str, Shown]) -> None:
    for name in ("summary", "again", "duplicate", "unfurl", "answer", "standing"):
        text = written(shown[name])["text"]
        assert text.startswith("Regression: this failure was fixed in rassstp.sys 0.9"), name
        assert "Known issue: loses power requests" in text, name


@pytest.mark.parametrize("name", GOLDENS)
def test_nothing_is_told_by_a_sign_alone(name: str) -> None:
    for text in texts(GOLDENS[name]):
        assert re.search(r"(?<![\w:]):[a-z][a-z0-9_+-]*:(?![\w:])", text) is None, text  # :emoji:
        foreign = {sign for sign in text if unicodedata.category(sign) in ("So", "Sk", "Cs") and sign not in SIGNS}
        assert foreign - {"`", "^"} == set(), text
        drawn = [line for line in text.split("\n") if re.search("[█░▁▂▃▄▅▆▇■]", line)]
        if drawn:  # a bar or a chart stands beside the figure that it draws
            assert re.search(r"\d+ (%|crash)", text), text


@pytest.mark.parametrize("name", GOLDENS)
def test_nothing_is_told_by_colour_alone_and_all_is_read_out(name: str) -> None:
    for item in elements(GOLDENS[name]):
        if item["type"] == "button":
            assert item["text"]["text"].strip()
            assert len(item.get("accessibility_label", "")) >= len("Save"), item
            if item.get("style") == "danger":
                assert re.match(r"(Cancel|Stop|Remove|Delete)\b", item["text"]["text"]), item
        if item["type"] == "image":
            assert item["alt_text"].strip()


def elements(value: Any) -> Iterator[dict[str, Any]]:
    """Everything in a structure that has a type."""
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            yield value
        for item in value.values():
            yield from elements(item)
    elif isinstance(value, list):
        for item in value:
            yield from elements(item)


@pytest.mark.parametrize("name", GOLDENS)
def test_each_message_has_words_for_those_who_do_not_see_its_blocks(name: str) -> None:
    for message in messages(GOLDENS[name]):
        assert re.search(r"\w{3}", message["text"])
        assert not message["text"].endswith((";", ","))


def messages(value: Any) -> Iterator[dict[str, Any]]:
    """The messages of a golden: one, or those of a thread by their parts."""
    if "blocks" in value and "text" in value:
        yield value
    elif "blocks" not in value:
        yield from (part for part in value.values() if isinstance(part, dict) and "blocks" in part)


@pytest.mark.parametrize("name", GOLDENS)
def test_each_field_of_a_form_is_told_by_its_own_label(name: str) -> None:
    labels = [item["label"]["text"] for item in elements(GOLDENS[name]) if item["type"] == "input"]
    assert len(labels) == len(set(labels))
    assert all(len(label.split()) > 1 or label in ("Severity", "Remove") for label in labels), labels
