"""Symbol paths: which places they name, in which order, and what is kept where."""

import os
from pathlib import Path

import pytest

from bot.doctor import examine
from bot.home import symbol_directories
from bot.settings import BadSettings, Settings, read_settings
from bot.symbols.paths import Tiers, passed_over, symbol_tiers
from bot.symbols.reach import read_credentials

DEFAULT = Path("/default")
A, B = Path("/a"), Path("/b")


@pytest.mark.parametrize(
    ("path", "elements"),
    [
        ("", []),
        ("srv*", []),  # nobody is asked who is not named
        ("srv*https://one/symbols/", [(DEFAULT, "https://one/symbols")]),
        ("https://one", [(DEFAULT, "https://one")]),
        ("srv*/a*https://one", [(A, "https://one")]),
        ("srv**https://one", [(DEFAULT, "https://one")]),
        ("SRV*/a*/b*https://one", [(A, B, "https://one")]),
        ("symsrv*symsrv.dll*/a*https://one", [(A, "https://one")]),
        ("srv*/a*https://one;srv*/a*https://two", [(A, "https://one"), (A, "https://two")]),
        ("srv*/a;/b", [(A,), (B,)]),
        ("cache*/a;srv*https://one;/b", [(A, "https://one"), (A, B)]),
        ("cache*;srv*https://one", [(DEFAULT, "https://one")]),
        ("srv*/b*https://one;cache*/a;srv*/b*https://one", [(B, "https://one"), (A, B, "https://one")]),
        ("/a;/a;srv*https://one;srv*https://one", [(A,), (DEFAULT, "https://one")]),
        ("unknown*/a*https://one", []),
    ],
)
def test_an_element_names_its_places_nearest_first(path: str, elements: list[tuple[Path | str, ...]]) -> None:
    assert symbol_tiers(DEFAULT, None, path) == tuple(Tiers(places) for places in elements)


@pytest.mark.skipif(os.name == "nt", reason="there it is a place")
def test_a_place_of_windows_never_becomes_a_directory_here() -> None:
    assert symbol_tiers(DEFAULT, r"C:\sym;srv*c:\sym*https://one;\\server\share;D:/sym") == (
        Tiers((DEFAULT, "https://one")),
    )


@pytest.mark.skipif(os.name == "nt", reason="there it is a place")
def test_a_place_of_windows_is_said_to_be_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = r"C:\sym;srv*c:\sym*\\server\share*https://one;C:\sym;/a"
    assert passed_over(None, path, "srv*https://two") == (r"C:\sym", r"c:\sym", r"\\server\share")
    monkeypatch.setenv("_NT_SYMBOL_PATH", r"srv*\\server\share*https://one")
    settings = Settings(home=tmp_path, symbols=None)
    (said,) = settings.symbol_gaps()
    assert r"\\server\share, which only Windows can open" in said
    assert next(finding for finding in examine(settings) if finding.text == said).grade == "note"


def test_an_address_that_is_none_is_said_to_be_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", "srv*http://[::1;srv*/a*https://;srv*https://one:x/;srv*https://one")
    settings = Settings(home=tmp_path, symbols=None)
    assert settings.symbol_tiers() == (Tiers((A,)), Tiers((tmp_path / "symbols", "https://one")))
    assert settings.symbol_servers() is not None
    assert [gap.partition(" names ")[2] for gap in settings.symbol_gaps()] == [
        f"{one}, which is no address of a server" for one in ("http://[::1", "https://", "https://one:x/")
    ]
    monkeypatch.setenv("_NT_SYMBOL_PATH", "srv*https://anna:s3cret@[one")
    assert "s3cret" not in str(settings.symbol_gaps())


def test_settings_make_servers_where_a_path_names_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", "srv*")
    settings = Settings(home=tmp_path, symbols=None)
    assert settings.symbol_servers() is None
    assert settings.symbol_servers(("srv*https://one",)) is not None
    assert (tmp_path / "symbols").is_dir()
    monkeypatch.setenv("_NT_SYMBOL_PATH", "srv*https://one")
    assert settings.symbol_servers() is not None
    assert symbol_directories("srv*https://one") == ()


def test_credentials_belong_to_hosts_and_a_wrong_entry_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_credentials("One.example=anna:s3cret:x two.example:8080=t0ken") == {
        "one.example": ("anna", "s3cret:x"),
        "two.example:8080": ("", "t0ken"),
    }
    monkeypatch.setenv("PILEUP_SYMBOL_CREDENTIALS", "https://one.example=s3cret")
    with pytest.raises(BadSettings) as refused:
        read_settings()
    assert refused.value.problems == (
        "PILEUP_SYMBOL_CREDENTIALS: entry 1 must look like host=user:password or host=token",
    )


def test_how_servers_are_reached_comes_from_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PROXY", "proxy.example:3128")
    reach = Settings(symbol_certificates=tmp_path / "ca.pem").symbol_reach
    assert (reach.proxy, reach.certificates) == ("http://proxy.example:3128", tmp_path / "ca.pem")
    reach = read_settings(symbol_proxy="https://other.example", symbol_credentials="one=anna:s3cret").symbol_reach
    assert reach.proxy == "https://other.example"
    assert "s3cret" not in repr(reach)
