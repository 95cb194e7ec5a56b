"""Files that are posted in Slack: fetched with the bot's token, which nobody else sees."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.sandbox import StandIn
from bot.sandbox.server import BOT_TOKEN
from bot.settings import Settings
from tests.bot.kit import ANNA, CRASHES, Analyst, bot, dump, is_done, replies, shown, until

EVERYTHING = frozenset({"chat:write", "reactions:write", "channels:history", "files:write", "files:read"})
WINDBG = b"nt!KeBugCheckEx\nBugCheck 9F, {3, 1, 2, 3}\nSTACK_TEXT:\nMODULE_NAME: x\n" * 3


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn(scopes=EVERYTHING) as stand_in:
        yield stand_in


async def test_an_uploaded_dump_is_answered_under_its_name(slack: StandIn, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, Analyst()):
        said = slack.workspace.upload(CRASHES, ANNA, "MEMORY.DMP", dump("seed"))
        await until(lambda: is_done(slack, said))
    assert replies(slack, said)[0].text.startswith("rassstp.sys holds")


async def test_without_the_scope_it_says_which_is_missing(tmp_path: Path) -> None:
    async with StandIn(scopes=EVERYTHING - {"files:read"}) as slack, bot(slack, tmp_path, Analyst()):
        said = slack.workspace.upload(CRASHES, ANNA, "MEMORY.DMP", dump("seed"))
        await until(lambda: is_done(slack, said))
    (reply,) = replies(slack, said)
    assert "the app lacks the scope files:read" in shown(reply)


async def test_a_text_is_answered_only_if_a_debugger_wrote_it(slack: StandIn, tmp_path: Path) -> None:
    async with bot(slack, tmp_path, None):
        notes = slack.workspace.upload(CRASHES, ANNA, "notes.txt", b"just a list of things to do\n" * 20)
        picture = slack.workspace.upload(CRASHES, ANNA, "picture.png", b"\x89PNG")
        output = slack.workspace.upload(CRASHES, ANNA, "analyze.txt", WINDBG)
        await until(lambda: is_done(slack, output), 60)
    assert replies(slack, notes) == []
    assert replies(slack, picture) == []
    assert not notes.reactions


@pytest.mark.parametrize(
    ("api", "place"),
    [
        ("https://slack.com/api/", ".slack.com"),
        ("https://slack.internal.example/api/", "slack.internal.example"),
        ("http://127.0.0.1:99/api/", "http://127.0.0.1:99"),
    ],
)
def test_the_token_is_meant_for_slacks_own_hosts(api: str, place: str, tmp_path: Path) -> None:
    given = Settings(
        _env_file=None,  # type: ignore[call-arg]  # pydantic-settings' own argument
        home=tmp_path,
        slack_bot_token=BOT_TOKEN,  # type: ignore[arg-type]  # made secret by pydantic
        slack_api_url=api,
        allowed_hosts=frozenset({"dumps.example.com"}),
        link_credentials="dumps.example.com=anna:pw nas.example.com:8443=token",  # type: ignore[arg-type]  # as above
    )
    terms = given.upload_terms(BOT_TOKEN)
    assert terms.credentials is not None
    assert terms.credentials.values == {place: f"Bearer {BOT_TOKEN}"}
    assert terms.policy.hosts > given.policy.hosts
    links = given.terms.credentials
    assert links is not None
    assert links.values == {"dumps.example.com": "Basic YW5uYTpwdw==", "nas.example.com:8443": "Bearer token"}
