"""Settings: each described in one place, listed in the README, wrong ones told by name and never repeated."""

from pathlib import Path

import pytest

from bot.home import default_home, symbol_directories
from bot.settings import BadSettings, Settings, read_settings, settings_table, variable

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # no .env here
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)
    monkeypatch.delenv("_NT_SYMBOL_PATH", raising=False)
    monkeypatch.setenv("PILEUP_HOME", str(tmp_path / "home"))


def test_the_readme_lists_every_setting_as_it_is() -> None:
    assert settings_table() in README.read_text("utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    described = Settings.model_fields[name].description
    assert described
    assert described.endswith(".")


def test_defaults_work_without_any_setting(tmp_path: Path) -> None:
    settings = read_settings()
    assert settings.database == tmp_path / "home" / "pileup.sqlite"
    assert settings.policy.allow_private is False
    assert settings.fetch_limits.max_bytes == 16_000_000_000
    assert settings.symbol_paths() == ()


def test_values_are_read_from_the_environment_and_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PILEUP_CHANNELS", "C1, C2 C3")
    monkeypatch.setenv("PILEUP_MAX_DOWNLOAD", "2GB")
    monkeypatch.setenv("PILEUP_SLACK_BOT_TOKEN", "xoxb-s3cr3t")
    monkeypatch.setenv("PILEUP_SLACK_SIGNING_SECRET", "")
    (tmp_path / ".env").write_text("PILEUP_TRANSPORT=http\nPILEUP_HTTP_PORT=8080\nOTHER=1\n")
    settings = read_settings(allow_private_addresses=True)
    assert settings.channels == {"C1", "C2", "C3"}
    assert settings.fetch_limits.max_bytes == 2_000_000_000
    assert (settings.transport, settings.http_port) == ("http", 8080)
    assert settings.slack_signing_secret is None
    assert settings.policy.allow_private
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-s3cr3t"
    assert "s3cr3t" not in repr(settings)


def test_wrong_values_are_told_by_name_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILEUP_SLACK_BOT_TOKEN", "xapp-s3cr3t")
    monkeypatch.setenv("PILEUP_WORKERS", "65")
    monkeypatch.setenv("PILEUP_DATABASE_URL", "mysql://user:s3cr3t@host/db")
    with pytest.raises(BadSettings) as caught:
        read_settings()
    lines = caught.value.problems
    assert {line.partition(":")[0] for line in lines} == {
        "PILEUP_SLACK_BOT_TOKEN",
        "PILEUP_WORKERS",
        "PILEUP_DATABASE_URL",
    }
    assert "PILEUP_SLACK_BOT_TOKEN: must begin with xoxb-" in lines
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "kept"), [("true", "always"), ("0", "never"), (False, "never"), ("small", "small"), ("always", "always")]
)
def test_dumps_are_kept_by_a_word_or_by_the_yes_or_no_of_old(value: object, kept: str) -> None:
    assert read_settings(keep_dumps=value).keep_dumps == kept


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"web_url": "pileup.example.com"}, "PILEUP_WEB_URL: must be an address such as https://pileup.example.com"),
        ({"web_secret": "short"}, "PILEUP_WEB_SECRET: must have 16 characters or more"),
        (
            {"web_port": 8080, "web_address": "0.0.0.0"},
            "PILEUP_WEB_SECRET: is needed where PILEUP_WEB_ADDRESS is not 127.0.0.1 or ::1",
        ),
    ],
)
def test_pages_that_anybody_could_read_are_refused(wrong: dict[str, object], line: str) -> None:
    with pytest.raises(BadSettings) as caught:
        read_settings(**wrong)
    assert caught.value.problems == (line,)


def test_networks_are_networks() -> None:
    settings = read_settings(web_proxies="10.0.7.0/24, 2001:db8::7", metrics_from="10.0.8.9", web_secret="x" * 16)
    assert sorted(map(str, settings.web_proxies)) == ["10.0.7.0/24", "2001:db8::7/128"]
    assert settings.access.is_operator("10.0.8.9")
    assert not settings.access.is_operator("10.0.8.8")
    with pytest.raises(BadSettings, match="PILEUP_METRICS_FROM"):
        read_settings(metrics_from="the office")


def test_a_rotated_token_is_a_token() -> None:
    assert read_settings(slack_bot_token="xoxe.xoxb-1").slack_bot_token is not None


def test_the_database_url_names_a_file(tmp_path: Path) -> None:
    assert read_settings(database_url="sqlite:////var/lib/p%20x.sqlite").database == Path("/var/lib/p x.sqlite")
    assert read_settings(database_url="sqlite:///here.sqlite").database == Path("here.sqlite")


def test_symbol_paths_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NT_SYMBOL_PATH", "srv*/cache*https://msdl.example/download/symbols;/plain")
    paths = read_settings(symbols="/b:/c").symbol_paths(("/a", "/c"))
    assert paths == tuple(Path(name) for name in ("/a", "/c", "/b", "/cache", "/plain"))


def test_no_server_comes_out_of_a_symbol_path() -> None:
    path = "symsrv*symsrv.dll*/store*https://server/symbols;cache*/cached;SRV*https://server"
    assert symbol_directories(path, None, "") == (Path("/store"), Path("/cached"))


@pytest.mark.parametrize(
    ("platform", "environment", "home"),
    [
        ("linux", {"HOME": "/home/a"}, "/home/a/.local/share/pileup"),
        ("linux", {"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/pileup"),
        ("darwin", {"HOME": "/Users/a"}, "/Users/a/Library/Application Support/Pileup"),
        ("win32", {"HOME": "/u", "LOCALAPPDATA": "/u/Local"}, "/u/Local/Pileup"),
        ("win32", {"HOME": "/u"}, "/u/AppData/Local/Pileup"),
    ],
)
def test_each_platform_has_its_home(platform: str, environment: dict[str, str], home: str) -> None:
    assert default_home(environment, platform) == Path(home)
