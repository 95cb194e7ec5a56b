"""Slack's markup: nothing foreign is ever obeyed, and nothing of it is lost."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import mrkdwn
from bot.wording import count, duration, ordinal, size


@given(st.text())
def test_escaped_text_holds_no_sequence_and_reads_as_it_was(text: str) -> None:
    escaped = mrkdwn.escape(text)
    assert "<" not in escaped
    assert ">" not in escaped
    assert re.search(r"&(?!amp;|lt;|gt;)", escaped) is None
    assert mrkdwn.plain(escaped) == mrkdwn.visible(text)


@given(st.text())
def test_a_code_span_has_no_backtick_inside(text: str) -> None:
    assert mrkdwn.code(text).count("`") in (0, 2)


@given(st.text(), st.integers(min_value=1, max_value=60))
def test_a_cut_is_short_and_never_ends_inside_an_entity(text: str, limit: int) -> None:
    shown = mrkdwn.cut(mrkdwn.escape(text), limit)
    assert len(shown) <= limit
    assert re.search(r"&(?!amp;|lt;|gt;)", shown) is None


def test_a_cut_never_ends_inside_a_link_or_a_code_span() -> None:
    assert mrkdwn.cut("see <https://x.example/a|the thread> now", 20) == "see…"
    assert mrkdwn.cut("the lock `nt!PiEngineLock` is held", 18) == "the lock…"


def test_a_direction_override_and_control_characters_go() -> None:
    assert mrkdwn.visible("drv\u202egpj\x00.sys\nnext") == "drvgpj.sys next"


@pytest.mark.parametrize("url", ["https://x.example/a b|c>d", "https://x.example/<!channel>", 'https://x.example/"`'])
def test_a_link_cannot_be_left_through_its_address(url: str) -> None:
    made = mrkdwn.link(url, "a|b>c")
    assert re.fullmatch(r"<[^<>|\s]+\|[^<>|]+>", made)


def test_a_date_shows_utc_where_it_is_not_understood() -> None:
    made = mrkdwn.date(datetime(2026, 5, 3, 9, 30, tzinfo=UTC))
    assert made == "<!date^1777800600^{date_short_pretty} at {time}|2026-05-03 09:30 UTC>"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "an unknown time"),
        (0.44, "0.4 s"),
        (3, "3 s"),
        (45.2, "45 s"),
        (59.9, "1 min"),
        (300, "5 min"),
        (312, "5 min 12 s"),
        (7380, "2 h 3 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations_read_as_spoken(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_sizes_counts_and_ordinals() -> None:
    assert [size(n) for n in (512, 262_144, 75_497_472, 8_589_934_592)] == ["512 bytes", "262 kB", "75.5 MB", "8.6 GB"]
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th",
    ]  # fmt: skip
    assert [count(n, "host") for n in (0, 1, 4)] == ["0 hosts", "1 host", "4 hosts"]


@pytest.mark.parametrize(
    ("team", "shown"),
    [
        ("S0123ABCDEF", "<!subteam^S0123ABCDEF>"),
        ("U0123ABCDEF", "<@U0123ABCDEF>"),
        ("storage <!here>", "storage &lt;!here&gt;"),
        ("SALES", "SALES"),
    ],
)
def test_only_slack_ids_notify_a_team(team: str, shown: str) -> None:
    assert mrkdwn.mention(team) == shown
