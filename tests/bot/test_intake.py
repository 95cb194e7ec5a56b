"""What a message asks for, decided without any network."""

from typing import Any

import pytest

from bot.listeners.intake import Rules, requests

BOT, ANNA = "U0BOT", "U0ANNA"
RULES = Rules(BOT)


def body(text: str, **event: Any) -> dict[str, Any]:
    given = {
        "type": "message",
        "user": ANNA,
        "channel": "C1",
        "channel_type": "channel",
        "ts": "1.000001",
        "text": text,
    }
    return {"team_id": "T1", "event_id": "Ev1", "event": given | event}


def links(found: list[Any]) -> list[str]:
    return [request.job.secret for request in found]


DUMP = "<https://h.example/a.dmp?sig=1&amp;x=2>"

SILENT: dict[str, dict[str, Any]] = {
    "a bot's message": body(DUMP, bot_id="B1", subtype="bot_message"),
    "a bot that speaks as a user": body(DUMP, bot_id="B1"),
    "our own message": body(DUMP, user=BOT),
    "a join": body(f"<@{ANNA}> has joined {DUMP}", subtype="channel_join"),
    "a deletion": body(DUMP, subtype="message_deleted"),
    "a message without a user": body(DUMP, user=None),
    "a page in passing": body("<https://h.example/page>"),
    "talk": body("last 5 crashes"),
    "another person's mention": body("<@U0BEN> last 5 crashes"),
    "our own edit": body(
        "", subtype="message_changed", message={"user": BOT, "bot_id": "B1", "ts": "1.0", "text": DUMP}
    ),
    "an unfurled preview": body(
        "", subtype="message_changed",
        message={"user": ANNA, "ts": "1.0", "text": DUMP}, previous_message={"ts": "1.0", "text": DUMP},
    ),
    "an edited question": body(
        "", subtype="message_changed",
        message={"user": ANNA, "ts": "1.0", "text": f"<@{BOT}> help"}, previous_message={"ts": "1.0", "text": "x"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SILENT))
def test_nothing_is_asked_by(name: str) -> None:
    assert requests(SILENT[name], RULES) == []


def test_a_dump_link_is_a_job_whose_address_is_secret_and_whose_shown_form_is_not() -> None:
    (request,) = requests(body(f"look {DUMP}"), RULES)
    assert request.job.secret == "https://h.example/a.dmp?sig=1&x=2"
    assert request.job.payload["shown"] == "https://h.example/a.dmp"
    assert "sig" not in str(request.job.payload) + request.job.key
    assert (request.job.kind, request.job.payload["thread"]) == ("analyze", "1.000001")


def test_both_events_of_a_mention_ask_for_the_same_job() -> None:
    text = f"<@{BOT}> <https://h.example/page>"
    (message,) = requests(body(text), RULES)
    (mention,) = requests(body(text, type="app_mention", channel_type=None), RULES)
    assert message == mention


def test_in_a_thread_the_answer_belongs_to_the_thread() -> None:
    (request,) = requests(body(DUMP, thread_ts="0.5"), RULES)
    assert (request.ts, request.job.payload["thread"]) == ("1.000001", "0.5")


def test_two_links_are_two_jobs_and_the_same_link_twice_is_one() -> None:
    text = f"{DUMP} {DUMP} <https://h.example/b.zip|b>"
    assert links(requests(body(text), RULES)) == ["https://h.example/a.dmp?sig=1&x=2", "https://h.example/b.zip"]


def test_an_edit_asks_only_for_what_is_new_in_it() -> None:
    changed = body(
        "", subtype="message_changed", user=None,
        message={"user": ANNA, "ts": "1.0", "text": f"{DUMP} <https://h.example/b.dmp>"},
        previous_message={"ts": "1.0", "text": DUMP},
    )  # fmt: skip
    assert links(requests(changed, RULES)) == ["https://h.example/b.dmp"]


@pytest.mark.parametrize("event", [{"channel_type": "im"}, {"type": "app_mention"}, {"text": f"hi <@{BOT}> 0x9f"}])
def test_words_addressed_to_the_bot_are_a_question(event: dict[str, Any]) -> None:
    (request,) = requests(body("0x9f") | {"event": body("0x9f")["event"] | event}, RULES)
    assert request.job.kind == "ask"
    assert request.job.payload["question"] in ("0x9f", "hi 0x9f")


@pytest.mark.parametrize("rules", [Rules(BOT, channels=frozenset({"C2"})), Rules(BOT, users=frozenset({"U2"}))])
def test_whoever_is_not_allowed_is_not_heard(rules: Rules) -> None:
    assert requests(body(f"<@{BOT}> {DUMP}"), rules) == []


def test_a_list_of_channels_does_not_shut_out_direct_messages() -> None:
    rules = Rules(BOT, channels=frozenset({"C2"}))
    assert links(requests(body(DUMP, channel="D1", channel_type="im"), rules)) == ["https://h.example/a.dmp?sig=1&x=2"]
    assert requests(body(DUMP, channel="D1", channel_type="im"), Rules(BOT, users=frozenset({"U2"}))) == []


def test_a_very_long_question_is_cut() -> None:
    (request,) = requests(body(f"<@{BOT}> " + "why " * 1000), RULES)
    assert len(request.job.payload["question"]) <= 500
