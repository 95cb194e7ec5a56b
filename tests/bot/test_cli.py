"""The command as a person and a script meet it: exit statuses, clean standard output, help everywhere, fast."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.verdict.report import validate
from bot.analyzing import Request, analyze
from bot.child import AnalysisFailed
from bot.cli import app
from storage.store import Store
from storage.threads import Told
from tests.archives.build import zipped
from tests.bot import server as web
from tests.bot.server import serving
from tests.storage.samples import report

DUMPS = Path(__file__).parents[3] / "shared" / "data" / "dumps"
SYMBOLS = DUMPS.parent / "symbols"
ROOT = Path(__file__).parents[2]
COMMANDS = [
    [], ["analyze"], ["serve"], ["demo"], ["doctor"], ["history"], ["history", "list"], ["history", "search"],
    ["history", "show"], ["history", "ask"], ["history", "rebucket"], ["history", "forget"], ["history", "merge"],
    ["history", "split"], ["history", "undo"], ["history", "decisions"], ["ingest"],
    ["history", "redact"], ["history", "pseudonym"], ["history", "doubts"],
    ["symbols"], ["symbols", "fetch"], ["symbols", "add"], ["symbols", "list"], ["symbols", "prune"],
    ["token"], ["token", "add"], ["token", "list"], ["token", "revoke"],
    ["webhook"], ["webhook", "add"], ["webhook", "list"], ["webhook", "test"], ["webhook", "remove"],
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [name for name in os.environ if name.startswith("PILEUP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def pileup(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from bot.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_everywhere(command: list[str], flag: str) -> None:
    status, out, _ = run(*command, flag)
    assert status == 0
    assert "Usage" in out


def test_the_version_is_the_distribution_s() -> None:
    assert run("--version") == (0, f"pileup {version('pileup')}\n", "")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["analyze"], ["analyze", "a", "b"], ["analyze", "--nonsense", "a"]]
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_a_missing_file_is_2_and_one_line(tmp_path: Path) -> None:
    status, out, err = run("analyze", "nowhere.dmp", "--json")
    assert (status, out, err) == (2, "", "pileup: there is no file nowhere.dmp\n")
    status, _, err = run("analyze", str(tmp_path))
    assert (status, err) == (2, f"pileup: {tmp_path} is a directory\n")
    (tmp_path / "x.dmp").write_bytes(b"x")
    status, _, err = run("analyze", "x.dmp", "--symbols", "nowhere")
    assert (status, err) == (2, "pileup: there is no directory nowhere\n")


def test_what_is_no_regular_file_is_2() -> None:
    assert run("analyze", "/dev/null") == (2, "", "pileup: /dev/null is not a file\n")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_a_name_that_is_no_text_is_shown_as_it_can_be(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.dmp"
    Path(os.fsdecode(path)).write_bytes(b"hello")
    done = pileup("analyze", os.fsdecode(path), environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_interrupted_analysis_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "x.dmp").write_bytes(b"x")
    slow = "import bot.child as c; c.Child.__init__.__defaults__ = (('-c', 'import time; time.sleep(60)'),)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{slow}; from bot.cli import main; main()", "analyze", "x.dmp", "--no-history"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (children := listed.read_text().split()):
        time.sleep(0.05)
    time.sleep(1.0)  # until it waits for the child
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not Path(f"/proc/{children[0]}").exists()


def test_wrong_settings_are_2_and_name_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PILEUP_WORKERS", "none")
    (tmp_path / "x.dmp").write_bytes(b"x")
    for command in (["analyze", "x.dmp"], ["history", "list"], ["serve"]):
        status, out, err = run(*command)
        assert (status, out) == (2, "")
        assert err.startswith("pileup: these settings cannot be used: PILEUP_WORKERS: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"MZ\x00\x00", ""),
        (os.urandom(5000), ""),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "HTML"),
        (b"PK\x03\x04" + bytes(100), "zip"),
        (b"hello world, this is a text file\n" * 50, "text"),
        (b"MDMP" + bytes(100), "minidump"),
        (b"PAGEDU64" + bytes(20), ""),
    ],
)
def test_what_is_no_dump_is_3_and_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "thing.dmp"
    path.write_bytes(content)
    status, out, err = run("analyze", str(path), "--json")
    last = err.strip().split("\n")[-1]
    assert (status, out) == (3, "")
    assert last.startswith("pileup: ")
    assert said in last
    assert "Traceback" not in err


async def test_a_link_that_cannot_be_fetched_is_4_and_a_limit_is_5(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    import asyncio

    async with serving(big=web.page(bytes(5000)), page=web.page(b"<html><body>Log in</body></html>")) as server:

        async def analyze(path: str, **environment: str) -> tuple[int, str]:
            more = {"PILEUP_ALLOW_PRIVATE_ADDRESSES": "true", **environment}
            url = server.url(f"{path}?sig=s3cr3t")
            done = await asyncio.to_thread(pileup, "analyze", url, "--json", environment=more)
            assert done.stdout == ""
            assert "s3cr3t" not in done.stderr
            return done.returncode, done.stderr.strip().split("\n")[-1]

        status, said = await analyze("/gone.dmp")
        assert status == 4
        assert said == f"pileup: could not fetch {server.url('/gone.dmp')}: the server answered 404 Not Found"
        status, said = await analyze("/big", PILEUP_ALLOW_PRIVATE_ADDRESSES="false")
        assert status == 4
        assert "private or reserved address" in said
        status, said = await analyze("/big", PILEUP_MAX_DOWNLOAD="1kB")
        assert (status, "over the size cap of 1 kB" in said) == (5, True)
        status, said = await analyze("/page")
        assert (status, "HTML" in said) == (4, True)
    assert list((home / "downloads").iterdir()) == []


@pytest.mark.parametrize("url", ["ftp://h/x.dmp", "file:///etc/passwd", "http://", "https://[bad/x.dmp"])
def test_a_link_of_another_kind_is_4(url: str) -> None:
    status, out, err = run("analyze", url)
    assert (status, out) == (4, "")
    assert err.strip().split("\n")[-1].startswith("pileup: could not fetch ")


@pytest.mark.shared
@pytest.mark.skipif(not DUMPS.is_dir(), reason="no shared data")
def test_a_dump_is_analysed_kept_and_found_again(home: Path) -> None:
    done = pileup("analyze", DUMPS / "triage_x64.dmp", "--symbols", SYMBOLS, "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    validate(document)
    assert document["dump"]["source"] == "triage_x64.dmp"
    assert document["verdict"]["culprit"]["module"] == "amdppm.sys"
    status, out, _ = run("history", "list")
    assert status == 0
    assert "0x7E amdppm.sys" in out
    assert "Yes: amdppm.sys was seen once" in run("history", "ask", "have we seen", "amdppm?")[1]
    shown = json.loads(run("history", "show", "1", "--json")[1])
    assert shown.pop("people")["acts"] == []
    assert shown == document
    again = pileup("analyze", DUMPS / "triage_x64.dmp")
    assert "this very dump is in history since" in again.stdout
    assert "\x1b" not in again.stdout + again.stderr


@pytest.mark.shared
@pytest.mark.skipif(not DUMPS.is_dir(), reason="no shared data")
def test_no_history_leaves_no_trace(home: Path) -> None:
    assert pileup("analyze", DUMPS / "triage_x64.dmp", "--no-history", "--json").returncode == 0
    assert not (home / "pileup.sqlite").exists()


@pytest.mark.shared
@pytest.mark.skipif(not DUMPS.is_dir(), reason="no shared data")
def test_a_history_that_cannot_be_written_costs_a_warning_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    blocked = {"PILEUP_DATABASE_URL": f"sqlite:///{tmp_path}/file/x.sqlite"}
    done = pileup("analyze", DUMPS / "triage_x64.dmp", "--json", environment=blocked)
    assert done.returncode == 0
    validate(json.loads(done.stdout))
    assert "pileup: not kept in history: " in done.stderr


class Fake:
    """A child that ends as it is told."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    def __call__(self, *_: object) -> "Fake":
        return self

    def begin(self, *_: object) -> "Fake":
        return self

    def document(self, progress: object) -> object:
        progress("waits", 0.5)  # type: ignore[operator]  # a callable, as Child takes it
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("status", [1, 3, 5])
def test_the_child_s_failure_is_the_command_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int) -> None:
    monkeypatch.setattr("bot.analyzing.Child", Fake(AnalysisFailed("x", "it is so", status)))
    (tmp_path / "x.dmp").write_bytes(b"x")
    code, out, err = run("analyze", "x.dmp", "--json")
    assert (code, out) == (status, "")
    assert err == "who waits for whom\npileup: it is so\n"


def test_json_is_the_document_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    monkeypatch.setattr("bot.analyzing.Child", Fake(report().to_json()))
    (tmp_path / "x.dmp").write_bytes(b"x")
    status, out, _ = run("analyze", "x.dmp", "--json")
    assert status == 0
    assert json.loads(out) == report().to_json()
    with Store.open(home / "pileup.sqlite") as store:
        assert store.reports.count() == 1


def test_history_speaks_json_too(home: Path) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        line = store.remember(report(host="PC-1"))
        store.threads.note(
            Told(report_id=line.id, team="T", channel="C", ts="1", summary_ts="2", permalink="https://slack/1")
        )
        store.remember(report("other", module="ndis.sys", signature="x", lock=None))
    (row,) = json.loads(run("history", "search", "PC-1", "--json")[1])
    assert (row["module"], row["thread"], row["live"]) == ("rassstp.sys", "https://slack/1", False)
    assert len(json.loads(run("history", "list", "--json", "--limit", "1")[1])) == 1
    answer = json.loads(run("history", "ask", "--json", "last 5 crashes")[1])
    assert (answer["understood"], len(answer["rows"])) == (True, 2)
    assert "https://slack/1" in run("history", "list")[1]


def test_what_people_did_shows_in_lists_and_reports(home: Path) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        told = report()
        number = store.remember(told).id
        store.knowledge.note(told.bucket.signature, "acknowledge", "U0ANNA0001", {}, number)
        known = {"note": "loses requests", "ticket": "ACME-7", "fixed_in": "1.0"}
        store.knowledge.note(told.bucket.signature, "known", "U0BEN00001", known, number)
    said = run("history", "list")[1]
    assert "Known issue: loses requests; fixed in rassstp.sys 1.0 (ACME-7)." in said
    assert "acknowledged by @U0ANNA0001" in said
    (row,) = json.loads(run("history", "list", "--json")[1])
    issue = row["known"]["issue"]
    assert (row["known"]["acknowledged_by"], issue["note"], issue["by"]) == ("U0ANNA0001", known["note"], "U0BEN00001")
    assert row["known"]["is_regression"] is False
    document = json.loads(run("history", "show", str(number), "--json")[1])
    assert document["people"]["known"]["assigned_to"] is None
    assert [(act["deed"], act["by"], act["crash"]) for act in document["people"]["acts"]] == [
        ("acknowledge", "U0ANNA0001", number),
        ("known", "U0BEN00001", number),
    ]
    assert document["people"]["acts"][1]["ticket"] == "ACME-7"
    validate(document)  # what is there besides breaks no reader


def test_an_answer_as_a_table_runs_in_no_spreadsheet(home: Path) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        store.remember(report("first", host='=HYPERLINK("http://x")'))
    status, out, _ = run("history", "ask", "--csv", "last 5 crashes")
    (row,) = csv.DictReader(io.StringIO(out))
    assert status == 0
    assert (row["id"], row["module"], row["thread"]) == ("1", "rassstp.sys", "")
    assert row["host"] == '\'=HYPERLINK("http://x")'


def test_history_says_what_it_does_not_have(home: Path) -> None:
    assert run("history", "list") == (0, "No crash in history.\n", "")
    assert run("history", "search", "xyzzy") == (0, "No crash mentions xyzzy.\n", "")
    assert run("history", "show", "7") == (2, "", "pileup: history has no report 7\n")
    status, out, _ = run("history", "ask", "have we")
    assert status == 2
    assert out.startswith("I did not understand “have we”.")
    (home / "pileup.sqlite").unlink()
    (home / "pileup.sqlite").write_bytes(b"PAGEDU64" * 999)
    status, _, err = run("history", "list")
    assert status == 1
    assert err.startswith("pileup: history cannot be read: ")


def test_a_report_is_shown_whole(home: Path) -> None:
    with Store.open(home / "pileup.sqlite") as store:
        number = store.remember(report()).id
    status, out, _ = run("history", "show", str(number))
    assert status == 0
    assert out.startswith("rassstp.sys held nt!PiEngineLock\n")


def test_only_what_is_needed_is_imported() -> None:
    heavy = {
        "pydantic",
        "httpx",
        "sqlite_utils",
        "rich",
        "lark",
        "numpy",
        "slack_bolt",
        "aiohttp",
        "asyncio",
        "analysis",
    }
    # --version needs none of these; and the child is started before any of them is there.
    for code in ("from bot.cli import app; app(['--version'], standalone_mode=False)", "import bot.analyzing"):
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; {code}; print(sorted(sys.modules))"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        loaded = set(re.findall(r"'(\w+)'", done.stdout))
        assert "typing" in loaded
        assert loaded & heavy == set()


def test_the_module_runs_like_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot.cli", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    assert done.stdout.startswith("pileup ")


@pytest.mark.parametrize("command", [["analyze", "x.dmp", "--rules", "mine.toml"], ["serve"]])
def test_rules_with_a_mistake_stop_the_command_and_name_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "x.dmp").write_bytes(b"x")
    (tmp_path / "mine.toml").write_text("[[ours]]\nmodule = 'a.sys'", "utf-8")
    monkeypatch.setenv("PILEUP_RULES", "mine.toml")
    status, out, error = run(*command)
    assert (status, out) == (2, "")
    assert "mine.toml cannot be used: ours, entry 1: team is missing" in error


def test_an_archive_is_unpacked_and_each_dump_in_it_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))
    output = b"nt!KeBugCheckEx\nBugCheck 9F, {3, 1, 2, 3}\nSTACK_TEXT:\nMODULE_NAME: x\n" * 3
    archive = tmp_path / "all.zip"
    archive.write_bytes(zipped({"a.txt": output, "b/broken.dmp": b"MDMP" + bytes(60)}))
    status = analyze(Request(str(archive), history=False, as_json=True))
    said = capsys.readouterr()
    (document,) = json.loads(said.out)
    assert (status, document["dump"]["source"]) == (3, "all.zip › a.txt")
    assert "broken.dmp: " in said.err
    assert archive.exists()
    archive.write_bytes(zipped({"a.txt": output}))
    assert analyze(Request(str(archive), history=False, as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["dump"]["source"] == "all.zip › a.txt"
    archive.write_bytes(zipped({"a.sys": b"MZ"}))
    assert analyze(Request(str(archive), history=False)) == 3
    assert "could not open this archive: there is no dump in it, only a.sys" in capsys.readouterr().err
    assert not list((tmp_path / "home" / "downloads").iterdir())
