"""Which settings open which door."""

from pathlib import Path
from typing import Any, cast

import pytest

from bot.doctor import examine
from bot.settings import BadSettings, Settings, read_settings
from bot.web.doors import sign_in_terms
from bot.workspaces import Workspaces
from storage.sight import Sight

WHOLE = {
    "slack_client_id": "1.2",
    "slack_client_secret": "secret of the client",
    "web_secret": "0123456789abcdef",
    "web_url": "https://pileup.example/",
    "web_port": 8080,
}


class Ours:
    """A workspace, and the only one."""

    team = "T1"

    async def of(self, _team: str) -> "Ours":
        return self

    async def sight_of(self, person: str) -> Sight:
        return Sight(frozenset({f"C of {person}"}), "T1")


def settings(home: Path, **given: Any) -> Settings:
    return read_settings(_env_file=None, home=home, **given)


async def test_people_of_our_workspace_sign_in_and_nobody_else(tmp_path: Path) -> None:
    terms = sign_in_terms(settings(tmp_path, **WHOLE), cast("Workspaces", Ours()))
    assert terms is not None
    assert await terms.is_ours("T1")
    assert not await terms.is_ours("T2")
    assert await terms.sight_of("T1", "U1") == Sight(frozenset({"C of U1"}), "T1")
    assert await terms.sight_of("T2", "U1") == Sight(frozenset())
    assert terms.issuer.client.redirect == "https://pileup.example/signin/callback"
    assert terms.issuer.client.issuer == "https://slack.com"


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "web_port"])
def test_without_one_of_its_settings_nobody_signs_in(tmp_path: Path, name: str) -> None:
    given = settings(tmp_path, **{**WHOLE, name: None})
    assert sign_in_terms(given, cast("Workspaces", Ours())) is None
    said = [one.text for one in examine(given) if one.text.startswith("nobody can sign in")]
    assert said == [f"nobody can sign in to the pages: PILEUP_{name.upper()} is not set"]


@pytest.mark.parametrize("issuer", ["http://id.example", "ftp://id.example", "id.example", "https://"])
def test_an_issuer_is_asked_over_https_alone(tmp_path: Path, issuer: str) -> None:
    with pytest.raises(BadSettings, match="PILEUP_WEB_ISSUER"):
        settings(tmp_path, web_issuer=issuer)
    assert settings(tmp_path, web_issuer="http://127.0.0.1:9/").web_issuer == "http://127.0.0.1:9"
