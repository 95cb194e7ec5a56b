"""Users' own rules: what they change, and how mistakes in them are told."""

from pathlib import Path

import pytest

from analysis.bugchecks.explained import Hint, Stop
from analysis.errors import BadRules
from analysis.pipeline import Options, analyze
from analysis.verdict.blame import Case, conclude
from analysis.verdict.modules import Strength
from analysis.verdict.rules import rules_identity
from analysis.verdict.user_rules import NO_RULES, UserRules, read_rules
from tests.forge import forge
from tests.verdict.frames import stack

WHOLE = """
[[ours]]
module = "zv*"
team = "S0123ABCDEF"

[[ignore]]
module = "Corpfilter.sys"
why = "carries everybody's calls"

[[known_bad]]
module = "zvnetflt.sys"
from = "2.0"
below = "3.20"
say = "Reads freed memory; fixed in 3.20."

[strength]
"acme.sys" = "weak"
"""


def rules(directory: Path, text: str) -> UserRules:
    file = directory / "rules.toml"
    file.write_text(text, "utf-8")
    return read_rules(file)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    found = rules(tmp_path, WHOLE)
    assert found.team("ZVNETFLT.SYS") == "S0123ABCDEF"
    assert found.team("other.sys") is None
    assert found.team(None) is None
    assert found.strength("corpfilter.sys") is Strength.NEVER
    assert found.strength("acme.sys") is Strength.WEAK
    assert found.strength("ntfs.sys") is Strength.WEAK
    assert found.strength("unheard-of.sys") is Strength.CANDIDATE


@pytest.mark.parametrize(
    ("version", "bad"),
    [("2.0.0.0", True), ("3.19.9.9 (build)", True), ("3.20", False), ("1.99", False), (None, False), ("none", False)],
)
def test_a_range_of_versions_begins_with_from_and_ends_before_below(
    version: str | None, bad: bool, tmp_path: Path
) -> None:
    assert bool(rules(tmp_path, WHOLE).bad("zvnetflt.sys", version)) is bad


def test_an_ignored_driver_is_passed_over_and_said_so(tmp_path: Path) -> None:
    mine = rules(tmp_path, '[[ignore]]\nmodule = "corp*"')
    case = Case(0xD1, Stop.FAULT, stack("corpfilter+0x10 acme+0x20 nt!IofCallDriver"), weigh=mine.strength)
    blame = conclude(case)
    assert blame.module == "acme.sys"
    assert [(one.module, one.why) for one in blame.passed] == [
        ("corpfilter.sys", "on the stack, but your rules say never to blame it")
    ]
    hinted = Case(
        0xD1, Stop.FAULT, stack("nt!KeBugCheckEx"), (Hint("corpfilter.sys", "it is named"),), weigh=mine.strength
    )
    assert conclude(hinted).module != "corpfilter.sys"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[ours]]\nmodule = 'a.sys'", "ours, entry 1: team is missing"),
        ("[[ours]]\nmodule = 'a.sys'\nteam = 7", "ours, entry 1: team must be a text"),
        ("[[ignore]]\nmodule = '*b*'", "ignore, entry 1: module must be a file name"),
        ("[[ignore]]\nmodule = 'nt'", "is Windows' kernel"),
        ("[[ignore]]\nmodul = 'a.sys'", "modul is not known here"),
        ("[ignore]\nmodule = 'a.sys'", "ignore: must be a list of tables"),
        ("[[known_bad]]\nmodule = 'a.sys'\nsay = 'x'\nfrom = 'two'", "from must look like 2.1.0.77"),
        ("[[known_bad]]\nmodule = 'a.sys'\nsay = 'x'\nfrom = '2'\nbelow = '2.0'", "from is not before below"),
        ("[strength]\n'a.sys' = 'strong'", "must be candidate, named or weak"),
        ("strength = 3", "strength: must be a table"),
        ("[teams]\na = 1", "teams: no such section"),
        ("[[ours", "it is no TOML"),
    ],
)
def test_a_mistake_is_named_by_section_and_entry(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadRules) as caught:
        rules(tmp_path, text)
    assert any(said in problem for problem in caught.value.problems)
    assert "rules.toml" in str(caught.value)


def test_a_missing_file_is_named_without_its_directory(tmp_path: Path) -> None:
    with pytest.raises(BadRules) as caught:
        read_rules(tmp_path / "none.toml")
    assert str(tmp_path) not in str(caught.value)


def test_every_change_of_the_rules_changes_their_identity(tmp_path: Path) -> None:
    first, second = rules(tmp_path, WHOLE), rules(tmp_path, WHOLE.replace("3.20", "3.21"))
    identities = {rules_identity(one.identity) for one in (first, second, NO_RULES)}
    assert len(identities) == 3


def test_a_report_names_the_team_and_the_bad_version(tmp_path: Path) -> None:
    forge("nolock", build=19041, kind="bitmap").write(tmp_path / "MEMORY.DMP")
    (tmp_path / "rules.toml").write_text(WHOLE, "utf-8")
    plain = analyze(tmp_path / "MEMORY.DMP")
    told = analyze(tmp_path / "MEMORY.DMP", Options(rules=tmp_path / "rules.toml"))
    told.to_json()
    assert plain.verdict.team is None
    assert told.verdict.team == "S0123ABCDEF"
    assert any("Reads freed memory" in reason for reason in told.verdict.reasons)
    assert "Reads freed memory" in told.verdict.next_steps[0]
    assert plain.analyzer.rules != told.analyzer.rules
