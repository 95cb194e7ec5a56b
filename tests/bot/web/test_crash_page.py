"""The page of one crash: everything of its report is there, and nothing in it is obeyed."""

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.verdict.report import Report
from bot import picture
from bot.cli import app
from bot.web.crash import crash_file
from tests.bot.reports import NAMES, sample
from tests.bot.web.documents import HOSTILE, Attributes, Document, full_document, parsed, with_texts

DUMP = Path(__file__).parents[4] / "shared" / "data" / "dumps" / "triage_x64.dmp"
FULL = Report.from_json(full_document())
COORDINATES = {"d", "points", "cx", "cy", "rx", "ry", "x", "y", "viewbox", "width", "height", "transform", "font-size"}


def drawn(report: Report) -> Document:
    return parsed(crash_file(report))


def skeleton(document: Document) -> list[tuple[str, Attributes]]:
    """The elements without what may differ: coordinates, and the report inside."""
    kept: list[tuple[str, Attributes]] = []
    for tag, attributes in document.elements:
        shown = {name: value for name, value in attributes.items() if name not in COORDINATES}
        if (shown.get("href") or "").startswith("data:application/json;base64,"):
            shown["href"] = "data:"
        kept.append((tag, shown))
    return kept


@pytest.mark.parametrize("name", NAMES)
def test_a_page_needs_nothing_beside_it(name: str) -> None:
    page = drawn(sample(name))
    assert not {"script", "img", "iframe", "object", "link", "base", "form"} & {tag for tag, _ in page.elements}
    assert all(target.startswith(("#", "data:application/json;base64,")) for target in page.values("href"))
    assert page.values("src") == []
    assert "url(" not in "".join(page.styles)
    assert "@import" not in "".join(page.styles)


def test_the_policy_lets_in_nothing_but_the_style_sheet_inside() -> None:
    page = drawn(FULL)
    digest = base64.b64encode(hashlib.sha256("".join(page.styles).encode()).digest()).decode()
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert page.values("style") == []
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_from_a_dump_is_never_more_than_text(hostile: str) -> None:
    harmless = skeleton(drawn(with_texts(full_document(), lambda _: "harmless")))
    page = drawn(with_texts(full_document(), lambda _: hostile))
    assert skeleton(page) == harmless
    assert not {"\u202e", "\x1b", "\x00", "\ud800"} & set(page.text)
    assert "harmless" not in page.text


def test_a_hostile_text_is_shown_as_it_stands() -> None:
    assert (
        "<script>alert(1)</script> was waiting"
        in drawn(
            dataclasses.replace(
                FULL, verdict=dataclasses.replace(FULL.verdict, impact="<script>alert(1)</script> was waiting")
            )
        ).text
    )


def test_every_part_of_the_report_is_there() -> None:
    said = drawn(FULL).text
    document = full_document()
    verdict, bugcheck = document["verdict"], document["bugcheck"]
    expected = [verdict["summary"], verdict["impact"], "Confidence: high", verdict["team"], bugcheck["explanation"]]
    expected += [*verdict["reasons"], *verdict["next_steps"], *verdict["cannot_tell"], *document["notes"]]
    expected += [suspect["why_not"] for suspect in verdict["suspects"]]
    expected += [part for one in bugcheck["parameters"] for part in (one["value"], one["meaning"], one["resolved"])]
    expected += [module["name"] for module in document["modules"]]
    expected += [frame["symbol"] for thread in document["threads"] for frame in thread["stack"]]
    expected += [blocked["doing"] for blocked in document["blocking"]["blocked_threads"]]
    expected += ["IRP_MJ_POWER", "1 module unloaded before", "70 threads with the same stack", "and 68 more"]
    expected += ["Deadlock:", "it blames the same module", document["bucket"]["signature"], document["dump"]["source"]]
    assert [text for text in expected if text and " ".join(text.split()) not in said] == []


def test_a_link_from_the_drawing_or_a_table_leads_to_a_stack() -> None:
    page = drawn(FULL)
    places = set(page.values("id"))
    targets = [target.removeprefix("#") for target in page.values("href") if target.startswith("#")]
    assert set(targets) <= places
    inside = page.elements[next(i for i, (tag, _) in enumerate(page.elements) if tag == "svg") :]
    end = next(i for i, (tag, _) in enumerate(inside) if tag == "table")
    drawing = [attributes["href"] for tag, attributes in inside[:end] if tag == "a"]
    assert drawing
    assert all(re.fullmatch(r"#s\d+", target or "") for target in drawing)


def test_places_are_told_apart() -> None:
    ids = drawn(FULL).values("id")
    assert len(ids) == len(set(ids))


def test_a_frame_found_by_scanning_is_marked_in_words() -> None:
    page = drawn(FULL)
    assert "scan ? nt!KiSwapContext+0x76" in page.text
    assert "unwind rassstp+0x1a34" in page.text


def test_threads_of_one_group_share_one_stack() -> None:
    blocked = {item.thread: item for item in FULL.blocking.blocked_threads}
    page = drawn(FULL)
    assert all(page.text.count(f"{blocked[address].process} {address}") for address in FULL.stack_groups[0].threads)
    assert len([1 for tag, a in page.elements if tag == "table" and a.get("class") == "stack cards"]) == 3


def test_without_a_drawing_program_the_words_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "_program", lambda: None)
    page = drawn(FULL)
    assert "svg" not in {tag for tag, _ in page.elements}
    assert "3 blocked threads" in page.text


def test_the_report_inside_is_the_report() -> None:
    (link,) = [a["href"] for _, a in drawn(FULL).elements if a.get("download")]
    assert Report.from_json(json.loads(base64.b64decode((link or "").partition(",")[2]))) == FULL


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.shared
def test_the_command_writes_the_page(home: Path) -> None:
    if not DUMP.is_file():
        pytest.skip("no ../shared/data")
    done = CliRunner().invoke(app, ["analyze", str(DUMP), "--json", "--html", "crash.html", "--no-history"])
    assert done.exit_code == 0
    report = Report.from_json(json.loads(done.stdout))
    assert (home / "crash.html").read_text("utf-8") == crash_file(report)


def test_a_page_is_never_written_over_the_dump(home: Path) -> None:
    (home / "a.dmp").write_bytes(b"PAGEDU64")
    done = CliRunner().invoke(app, ["analyze", "a.dmp", "--html", str(home / "a.dmp")])
    assert (done.exit_code, done.stderr) == (2, f"pileup: {home / 'a.dmp'} is the dump itself\n")
    assert (home / "a.dmp").read_bytes() == b"PAGEDU64"


def test_a_page_that_cannot_be_written_is_said_before_the_analysis(home: Path) -> None:
    (home / "a.dmp").write_bytes(b"PAGEDU64")
    done = CliRunner().invoke(app, ["analyze", "a.dmp", "--html", "nowhere/a.html"])
    assert done.exit_code == 2
    assert "nowhere/a.html cannot be written" in done.stderr
