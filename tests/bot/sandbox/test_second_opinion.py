"""Our stand-in and a Slack that others wrote are asked the same: where do they differ?"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.sandbox import StandIn
from bot.sandbox.grants import BOT_TOKEN
from tests.second_slack import emulated as second
from tests.second_slack import packages

NOBODY, NOWHERE, NEVER = "U0NOBODY01", "C0NOWHERE1", "1700000000.000001"
WORDS = {"type": "plain_text", "text": "words"}
MODAL = {"type": "modal", "title": WORDS, "blocks": [{"type": "section", "text": WORDS}]}
HOME = {"type": "home", "blocks": [{"type": "divider"}]}

# What is asked, and what both answer: None for ok. In braces: a channel, a message of the bot there, one of a person.
SAME: list[tuple[str, dict[str, Any], str | None]] = [
    ("auth.test", {}, None),
    ("chat.postMessage", {"channel": "{room}", "text": "x", "thread_ts": "{theirs}"}, None),
    ("chat.postMessage", {"channel": "{room}", "text": "x", "thread_ts": NEVER}, None),
    ("chat.postMessage", {"channel": "{room}", "text": ""}, "no_text"),
    ("chat.postMessage", {"channel": NOWHERE, "text": "x"}, "channel_not_found"),
    ("chat.update", {"channel": "{room}", "ts": "{ours}", "text": "y"}, None),
    ("chat.update", {"channel": "{room}", "ts": NEVER, "text": "y"}, "message_not_found"),
    ("chat.update", {"channel": "{room}", "ts": "{theirs}", "text": "y"}, "cant_update_message"),
    ("chat.postEphemeral", {"channel": "{room}", "user": "{anna}", "text": "x"}, None),
    ("chat.getPermalink", {"channel": "{room}", "message_ts": "{ours}"}, None),
    ("chat.getPermalink", {"channel": "{room}", "message_ts": NEVER}, "message_not_found"),
    ("reactions.add", {"channel": "{room}", "timestamp": "{theirs}", "name": "eyes"}, None),
    ("reactions.add", {"channel": "{room}", "timestamp": "{theirs}", "name": "eyes"}, "already_reacted"),
    ("reactions.remove", {"channel": "{room}", "timestamp": "{theirs}", "name": "eyes"}, None),
    ("reactions.remove", {"channel": "{room}", "timestamp": "{theirs}", "name": "eyes"}, "no_reaction"),
    ("reactions.add", {"channel": "{room}", "timestamp": NEVER, "name": "eyes"}, "message_not_found"),
    ("conversations.info", {"channel": "{room}"}, None),
    ("conversations.info", {"channel": NOWHERE}, "channel_not_found"),
    ("conversations.history", {"channel": "{room}", "limit": 1}, None),
    ("conversations.replies", {"channel": "{room}", "ts": "{theirs}"}, None),
    ("users.info", {"user": "{anna}"}, None),
    ("users.info", {"user": NOBODY}, "user_not_found"),
    ("files.info", {"file": "F0NOTHING1"}, "file_not_found"),
    ("files.completeUploadExternal", {"files": [{"id": "F0NOTHING1"}], "channel_id": "{room}"}, "file_not_found"),
    ("views.publish", {"user_id": "{anna}", "view": HOME}, None),
    ("views.publish", {"user_id": NOBODY, "view": HOME}, "user_not_found"),
    ("views.publish", {"user_id": "{anna}", "view": HOME, "hash": "1.1"}, "hash_conflict"),
    ("views.open", {"trigger_id": "{trigger}", "view": MODAL}, None),
    ("views.open", {"trigger_id": "{trigger}", "view": MODAL}, "exchanged_trigger_id"),
    ("views.open", {"trigger_id": "none", "view": MODAL}, "invalid_trigger_id"),
    ("views.update", {"view_id": "V0NOTHING1", "view": MODAL}, "not_found"),
    ("oauth.v2.access", {"code": "none", "client_id": "none", "client_secret": "none"}, "invalid_client_id"),
    ("chat.delete", {"channel": "{room}", "ts": "{theirs}"}, "cant_delete_message"),
    ("chat.delete", {"channel": "{room}", "ts": "{ours}"}, None),
    ("chat.delete", {"channel": "{room}", "ts": "{ours}"}, "message_not_found"),
]  # fmt: skip

# Where they differ: what the stand-in says, as Slack's documentation has it, and what the other one says.
OTHERWISE: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("chat.postMessage", {"channel": "{room}", "blocks": [{"type": "nothing"}], "text": "x"}, "invalid_blocks", None),
    ("chat.postMessage", {"channel": "{room}", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks", None),
    ("chat.postMessage", {"channel": "{outside}", "text": "x"}, "not_in_channel", None),
    ("conversations.replies", {"channel": "{room}", "ts": NEVER}, "thread_not_found", None),
    ("conversations.history", {"channel": "{outside}"}, "not_in_channel", None),
    ("files.getUploadURLExternal", {"filename": "a", "length": 0}, "invalid_arguments", None),
    ("views.open", {"trigger_id": "none", "view": MODAL | {"title": {**WORDS, "text": "y" * 25}}},
     "invalid_arguments", "invalid_trigger_id"),
    ("users.conversations", {"user": "{anna}"}, None, "status 404"),
]  # fmt: skip


@dataclass
class Asked:
    """A Slack as it is asked: an address, a token, and the names of what there is."""

    api_url: str
    token: str
    names: dict[str, str]
    session: aiohttp.ClientSession = field(repr=False)

    async def ask(self, method: str, given: dict[str, Any], token: str | None = None) -> str | None:
        """The word with which a call is refused, None where it is not."""
        said = await self.answer(method, json.loads(_filled(json.dumps(given), self.names)), token)
        return None if said["ok"] else str(said["error"])

    async def answer(self, method: str, given: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        """What a call is answered."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with self.session.post(f"{self.api_url}{method}", json=given, headers=headers) as answer:
            if answer.content_type != "application/json" or answer.status != 200:
                return {"ok": False, "error": f"status {answer.status}"}
            found: dict[str, Any] = await answer.json()
            return found


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace("{%s}" % name, value)  # noqa: UP031  # braces stand in the text, too
    return text


@pytest.fixture
async def ours() -> AsyncIterator[Asked]:
    async with StandIn() as slack, aiohttp.ClientSession() as session:
        room, anna = "C0CRASHES1", "U0ANNA0001"
        names = {"room": room, "anna": anna, "outside": "C0NOBOT001", "trigger": slack.workspace.new_trigger(anna)}
        names["theirs"] = slack.workspace.say(room, anna, "x").ts
        asked = Asked(slack.api_url, BOT_TOKEN, names, session)
        names["ours"] = (await asked.answer("chat.postMessage", {"channel": room, "text": "x"}))["ts"]
        yield asked


@pytest.fixture
async def theirs() -> AsyncIterator[Asked]:
    async with second.emulated() as slack:
        room = slack.channels["crashes"]
        names = {"room": room, "anna": slack.people["anna"], "outside": slack.channels["random"]}
        names |= {"trigger": await slack.trigger(), "theirs": await slack.say(room, "x")}
        asked = Asked(slack.api_url, second.BOT_TOKEN, names, slack.session)
        names["ours"] = (await asked.answer("chat.postMessage", {"channel": room, "text": "x"}))["ts"]
        yield asked


async def test_both_answer_alike_and_their_differences_are_known(
    ours: Asked, theirs: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.workspace.TRIGGER_SECONDS", 600.0)  # this asks much before it uses its trigger
    seen = [(await ours.ask(method, given), await theirs.ask(method, given)) for method, given, _ in SAME]
    assert seen == [(word, word) for _, _, word in SAME]
    otherwise = [(await ours.ask(method, given), await theirs.ask(method, given)) for method, given, *_ in OTHERWISE]
    assert otherwise == [(mine, other) for *_, mine, other in OTHERWISE]
    assert await ours.ask("auth.test", {}, "xoxb-of-nobody") == "invalid_auth"
    assert await theirs.ask("auth.test", {}, "xoxb-of-nobody") is None  # anybody is taken for its first user


def test_without_node_there_is_no_second_opinion_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_node", lambda: None)
    with pytest.raises(pytest.skip.Exception, match=r"no Node\.js 22\.15"):
        packages.installed()


def test_what_could_not_be_fetched_is_not_tried_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "KEPT", tmp_path)
    assert packages.fetch(packages.Node("/bin/false", "npm"), packages.HERE) == "npm failed"
    assert packages.fetch(packages.Node("/nowhere", "npm"), packages.HERE) == "npm failed"
