"""Names of people, machines and places do not reach history or Slack where they are to be taken out."""

import dataclasses
import json
from pathlib import Path

import pytest

from analysis.verdict.report import Report, validate
from bot import redacting
from bot.child import Order, start
from bot.redaction import KINDS, Kind, Redaction, key_in
from bot.settings import read_settings
from storage.search import Query
from storage.store import Store
from tests.bot.test_child import LIMITS, program, say
from tests.storage.samples import report

KEY = b"0123456789abcdef"
HOST, USER = "FIN-LAPTOP-07", "zsofia"


def planted() -> Report:
    made = report("x", host=HOST)
    sentence = (
        f"{HOST.lower()} hung while {USER} was in C:\\Users\\{USER}\\Desktop\\merger plans\\x.exe; "
        f"\\\\{HOST}\\share\\a, /home/{USER}/src/y.c, S-1-5-21-1-22-333-4444, zs.kovacs@acme.example, "
        f"USERNAME={USER} COMPUTERNAME={HOST} LOGONSERVER=\\\\DC-PRIMARY D:\\secret\\merger\\acme.pdb"
    )
    verdict = dataclasses.replace(made.verdict, summary=sentence, reasons=(f"Machine Name: {HOST}", "Owner: ZSOFIA."))
    dump = dataclasses.replace(made.dump, source=f"{HOST}_MEMORY.DMP from {HOST}")
    return dataclasses.replace(made, verdict=verdict, dump=dump, notes=(f"PDB of C:\\Users\\{USER}\\x.pdb",))


def redacted(*kinds: Kind) -> str:
    return json.dumps(Redaction(frozenset(kinds), KEY).document(planted().to_json()))


def test_no_name_is_left_and_the_report_still_keeps_its_contract() -> None:
    said = redacted(*KINDS).lower()
    for name in (HOST.lower(), USER, "merger", "kovacs", "333-4444", "dc-primary", "secret"):
        assert name not in said, name
    validate(json.loads(redacted(*KINDS)))


def test_the_same_name_gets_the_same_pseudonym_everywhere_and_with_the_same_key_alone() -> None:
    one = Redaction(frozenset(KINDS), KEY)
    document = one.document(planted().to_json())
    host = one.pseudonym("hosts", HOST)
    assert document["system"]["computer_name"] == host == one.pseudonym("hosts", HOST.lower())
    summary = document["verdict"]["summary"]
    assert summary.count(host) == 3
    assert summary.count(one.pseudonym("users", USER)) == 2  # the others stood in paths, which go whole
    assert document["verdict"]["reasons"] == [f"Machine Name: {host}", f"Owner: {one.pseudonym('users', USER)}."]
    assert Redaction(frozenset(KINDS), b"another key 1234").pseudonym("hosts", HOST) != host
    assert one.document(document) == document


@pytest.mark.parametrize(
    ("kinds", "kept", "gone"),
    [
        (("hosts",), (USER, "merger plans"), (f'"{HOST}"', "DC-PRIMARY")),
        (("users",), (f'"{HOST}"', "merger plans", "DC-PRIMARY"), (USER, "zs.kovacs")),
        (("paths",), (f'"{HOST}"', USER), ("merger plans", "secret")),
    ],
)
def test_only_what_is_asked_for_goes(kinds: tuple[Kind, ...], kept: tuple[str, ...], gone: tuple[str, ...]) -> None:
    said = redacted(*kinds)
    assert all(name in said for name in kept)
    assert not any(name in said for name in gone)


def test_names_of_code_and_of_the_system_stay() -> None:
    sign, frames = "0xd1 zsofia.sys zsofia!Run", ("zsofia!Run+0x1",)
    made = report("x", host="ndis", module="zsofia.sys", signature=sign, frames=frames)
    drivers = "C:\\Windows\\System32\\drivers\\"
    summary = f"zsofia.sys failed; {drivers}zsofia.sys, C:\\Users\\Public\\x, C:\\Users\\zsofia\\y"
    made = dataclasses.replace(made, verdict=dataclasses.replace(made.verdict, summary=summary))
    document = Redaction(frozenset(KINDS), KEY).document(made.to_json())
    assert document["bucket"]["signature"] == sign
    assert document["verdict"]["culprit"]["module"] == "zsofia.sys"
    assert document["threads"][1]["stack"][0]["symbol"] == "zsofia!Run+0x1"
    assert document["verdict"]["summary"].startswith(f"zsofia.sys failed; {drivers}zsofia.sys, ")


def test_it_is_done_before_a_report_leaves_the_analysis() -> None:
    code = say({"report": planted().to_json()})
    redaction = Redaction(frozenset(KINDS), KEY)
    told = start(Order(Path("x.dmp"), redact=redaction.document), LIMITS, program(code)).report()
    assert told.system.computer_name == redaction.pseudonym("hosts", HOST)
    assert USER not in told.verdict.summary


def test_the_key_is_kept_for_its_owner_alone_or_given(tmp_path: Path) -> None:
    key = key_in(tmp_path / "new")
    assert key == key_in(tmp_path / "new")
    assert len(key) == 64
    assert (tmp_path / "new" / "redaction.key").stat().st_mode & 0o77 == 0
    assert key_in(tmp_path, "shared by all workers") == b"shared by all workers"


def test_settings_say_what_is_taken_out(tmp_path: Path) -> None:
    assert read_settings(home=tmp_path).redaction is None
    assert not (tmp_path / "redaction.key").exists()
    made = read_settings(home=tmp_path, redact="hosts, users").redaction
    assert made is not None
    assert made.kinds == {"hosts", "users"}


def test_old_history_is_redacted_and_searched_by_pseudonym(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Store.open(tmp_path / "pileup.sqlite") as store:
        store.remember(report("other"))
        store.remember(planted())
    assert redacting.redact() == 2
    assert "set PILEUP_REDACT" in capsys.readouterr().err
    monkeypatch.setenv("PILEUP_REDACT", "hosts,users,paths")
    assert redacting.redact() == 0
    assert capsys.readouterr().out == "1 of 2 reports held names that are to be taken out.\n"
    assert redacting.pseudonym(HOST) == 0
    host, user = capsys.readouterr().out.split()
    with Store.open(tmp_path / "pileup.sqlite") as store:
        assert [line.id for line in store.search.find(Query(host=host))] == [2]
        assert store.search.count(Query(words=host)) == 1
        assert store.search.count(Query(words=USER)) == 0
    content = (tmp_path / "pileup.sqlite").read_bytes().lower()
    assert USER.encode() not in content
    assert HOST.lower().encode() not in content
    assert user.startswith("user-")
