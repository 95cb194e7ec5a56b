"""Questions: what was asked, of which time, about what; and answers that say no more than history knows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.questions import EXAMPLES, Answer, ask, exported
from bot.questions.dates import add_months, period
from bot.questions.grammar import read_question
from storage.search import Query
from storage.sight import Sight
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import Clock, report

NOW = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)  # a Tuesday


def spans(text: str) -> str:
    found = period(text, NOW)
    return "none" if found is None else f"{found.start:%Y-%m-%d}..{found.end:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("phrase", "meaning"),
    [
        ("today", "2026-11-24..2026-11-25"),
        ("yesterday", "2026-11-23..2026-11-24"),
        ("Tuesday", "2026-11-24..2026-11-25"),
        ("last tuesday", "2026-11-17..2026-11-18"),
        ("Wednesday", "2026-11-18..2026-11-19"),
        ("on Monday", "2026-11-23..2026-11-24"),
        ("May", "2026-05-01..2026-06-01"),
        ("December", "2025-12-01..2026-01-01"),
        ("sept 2024", "2024-09-01..2024-10-01"),
        ("June 3", "2026-06-03..2026-06-04"),
        ("the 3rd of June", "2026-06-03..2026-06-04"),
        ("3 June 2024", "2024-06-03..2024-06-04"),
        ("December 24th", "2025-12-24..2025-12-25"),
        ("Q2", "2026-04-01..2026-07-01"),
        ("q4", "2026-10-01..2027-01-01"),
        ("Q3 2025", "2025-07-01..2025-10-01"),
        ("2025", "2025-01-01..2026-01-01"),
        ("2026-05", "2026-05-01..2026-06-01"),
        ("2026-05-03", "2026-05-03..2026-05-04"),
        ("the 5th", "2026-11-05..2026-11-06"),
        ("the 30th", "2026-10-30..2026-10-31"),
        ("3 days ago", "2026-11-21..2026-11-22"),
        ("a week ago", "2026-11-17..2026-11-18"),
        ("2 months ago", "2026-09-24..2026-09-25"),
        ("the last 2 months", "2026-09-24..2026-11-24"),
        ("past 10 days", "2026-11-14..2026-11-24"),
        ("this week", "2026-11-23..2026-11-30"),
        ("last week", "2026-11-16..2026-11-23"),
        ("this month", "2026-11-01..2026-12-01"),
        ("last quarter", "2026-07-01..2026-10-01"),
        ("last year", "2025-01-01..2026-01-01"),
        ("monday morning", "2026-11-23..2026-11-24"),  # dateparser's
        ("February 31", "none"),
        ("2026-13-01", "none"),
        ("last 9999 years", "none"),
        ("foo", "none"),
        ("tuesdy", "none"),
        ("", "none"),
    ],
)
def test_a_phrase_is_a_period(phrase: str, meaning: str) -> None:
    assert spans(phrase) == meaning


def test_hours_count_from_now() -> None:
    found = period("last 24 hours", NOW)
    assert found is not None
    assert found.start == NOW - timedelta(hours=24)
    assert found.end > NOW
    assert spans("an hour ago") == "2026-11-24..2026-11-24"


def test_a_month_back_from_its_31st_is_the_last_day_there_is() -> None:
    assert add_months(datetime(2026, 3, 31, tzinfo=UTC), -1).day == 28
    assert add_months(datetime(2024, 1, 31, tzinfo=UTC), 1).day == 29


def asked(text: str) -> tuple[object, ...]:
    question = read_question(text, NOW)
    edges = tuple(edge and f"{edge:%m-%d}" for edge in (question.since, question.until))
    return question.kind, question.subject, *edges


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("have we seen rassstp since May?", ("seen", ("rassstp",), "05-01", None)),
        ("Since May, did we ever see rassstp.sys?", ("seen", ("rassstp.sys",), "05-01", None)),
        ("<@U123> have we seen `nt!KiSwapContext` before?", ("seen", ("nt!KiSwapContext",), None, None)),
        ("0x9f", ("seen", ("0x9f",), None, None)),
        ("last 5 crashes", ("last", (), None, None)),
        ("show me the latest rassstp crashes after June 3", ("last", ("rassstp",), "06-04", None)),
        ("crashes before June 3", ("last", (), None, "06-03")),
        ("anything until May?", ("last", (), None, "06-01")),
        ("anything since yesterday", ("last", (), "11-23", None)),
        ("this week", ("last", (), "11-23", "11-30")),
        ("last week", ("last", (), "11-16", "11-23")),
        ("how often did rassstp crash in the last 2 months?", ("count", ("rassstp",), "09-24", "11-24")),
        ("how many crashes in Q2", ("count", (), "04-01", "07-01")),
        ("how many hosts crashed today", ("hosts", (), "11-24", "11-25")),
        ("which hosts hit 0x133 this month?", ("hosts", ("0x133",), "11-01", "12-01")),
        ("top 3 drivers between May and June 3", ("top", (), "05-01", "06-04")),
        ("which drivers crash most from May to July", ("top", (), "05-01", "08-01")),
        ("rassstp from 3 days ago", ("seen", ("rassstp",), "11-21", None)),
        ("crashes on host PC-7 last month", ("seen", ("PC-7",), "10-01", "11-01")),
        ("how often has this happened since last month", ("count", (), "10-01", None)),
        ("what happened in the past two weeks", ("last", (), "11-10", "11-24")),
        ("who else had 0x133", ("seen", ("0x133",), None, None)),
        ("help", ("help", (), None, None)),
        ("what can you do?", ("help", (), None, None)),
        ("<@U123>", ("help", (), None, None)),
        ("have we?", ("unclear", ("have", "we"), None, None)),
        ("have we seen this before?", ("seen", (), None, None)),
        ("is this new?", ("seen", (), None, None)),
        ("which hosts had this since May", ("hosts", (), "05-01", None)),
    ],
)
def test_questions_are_understood(text: str, meaning: tuple[object, ...]) -> None:
    assert asked(text) == meaning


def test_the_rest_of_a_question() -> None:
    assert read_question("last 7 crashes", NOW).limit == 7
    assert read_question("give me the last seven crashes", NOW).limit == 7
    assert read_question("two", NOW).subject == ("two",)
    assert read_question("last 900 crashes", NOW).limit == 20
    assert read_question("the last crash", NOW).limit == 1
    assert read_question("have we seen ndis since tuesdy", NOW).unknown_date == "tuesdy"
    assert read_question("have we seen ndis in the last 2 months", NOW).phrase == "in the last 2 months"
    assert read_question("ndis last week", NOW).phrase == "last week"
    assert read_question("ndis on Monday", NOW).phrase == "on Monday"
    assert read_question("ndis in Q2", NOW).phrase == "in Q2"
    assert read_question("ndis yesterday", NOW).phrase == "yesterday"
    assert len(read_question(" ".join(f"w{n}" for n in range(99)), NOW).subject) == 6


@settings(deadline=None)  # the first question builds the parser
@given(st.text(max_size=120))
def test_no_text_breaks_the_reader(text: str) -> None:
    read_question(text, NOW)


WORDS = "since before between and in last this 5 may q2 2026 days week ago how often which hosts crashes ndis from to"


@settings(deadline=None)  # the first question builds the parser
@given(st.lists(st.sampled_from(WORDS.split()), max_size=12))
def test_no_order_of_keywords_breaks_the_reader(words: list[str]) -> None:
    read_question(" ".join(words), NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    clock = Clock(datetime(2026, 4, 10, tzinfo=UTC))
    with Store.open(tmp_path / "x.sqlite", clock) as opened:
        for number in range(4):
            told = report(f"d{number}", host=None if number == 3 else f"PC-{number % 2}", service="RasSstp")
            line = opened.remember(told)
            opened.threads.note(
                Told(
                    report_id=line.id,
                    team="T",
                    channel="C",
                    ts=f"{number}",
                    summary_ts=f"{number}.1",
                    permalink=f"p{number}",
                )
            )
            clock.turn(days=30)
        frames = ("nt!KeBugCheck", "ndis+0x1", "tcpip+0x2")
        other = report(
            "n", module="ndis.sys", code="0x133", name="DPC_WATCHDOG_VIOLATION", lock=None, frames=frames, signature="n"
        )
        opened.remember(other)
        opened.remember(report("live", module="live.sys", live=True, signature="l"))
        yield opened


def said(store: Store, text: str) -> str:
    return "\n".join(ask(store, text, NOW).lines)


def test_seen_says_how_often_where_and_when(store: Store) -> None:
    answer = ask(store, "have we seen rassstp since May?", NOW)
    hosts_and_days = "on 2 hosts (PC-0, PC-1), first on 10 May 2026, last on 9 July 2026"
    assert answer.lines == (
        f"Yes: rassstp.sys was seen 3 times since May, {hosts_and_days}.",
        "Bugchecks: 0x9F DRIVER_POWER_STATE_FAILURE (3).",
    )
    assert [row.text for row in answer.rows] == [
        "0x9F rassstp.sys, nt!PiEngineLock",
        "0x9F rassstp.sys, nt!PiEngineLock, on PC-0",
        "0x9F rassstp.sys, nt!PiEngineLock, on PC-1",
    ]
    assert [row.thread.permalink if row.thread else None for row in answer.rows] == ["p3", "p2", "p1"]


def test_a_crash_that_was_only_reported_in_that_time_says_so(store: Store) -> None:
    store.remember(report("old", module="relic.sys", signature="o", crashed=datetime(2021, 2, 21, 1, 38, tzinfo=UTC)))
    (first, *_) = ask(store, "have we seen relic since May?", NOW).lines
    assert first == (
        "Yes: relic.sys was seen once since May, on 21 February 2021 by the dump's own clock (reported later)."
    )


def test_not_seen_says_when_else(store: Store) -> None:
    answer = ask(store, "rassstp since October", NOW)
    assert answer.lines == (
        "No: rassstp.sys was not seen since October.",
        "At other times: 4 times, last on 9 July 2026.",
    )
    assert len(answer.rows) == 4


def test_a_code_is_named_with_its_culprits(store: Store) -> None:
    for spelling in ("0x9f", "0x9F?", "9f", "0x0000009F", "DRIVER_POWER_STATE_FAILURE"):
        assert said(store, spelling).startswith("Yes: 0x9F DRIVER_POWER_STATE_FAILURE was seen 4 times")
        assert "Culprits: rassstp.sys (4)." in said(store, spelling)
    assert said(store, "0x1000007e") == "No: 0x7E SYSTEM_THREAD_EXCEPTION_NOT_HANDLED was not seen."


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("rasstp", "rassstp.sys"),
        ("rassstpp.sys", "rassstp.sys"),
        ("driver_power_stat_failure", "0x9F DRIVER_POWER_STATE_FAILURE"),
    ],
)
def test_a_typo_is_put_right_and_said(store: Store, word: str, meant: str) -> None:
    assert said(store, f"have we seen {word}").startswith(
        f"I took “{word}” for {meant}.\nYes: {meant} was seen 4 times"
    )


def test_a_word_that_stands_in_a_report_is_no_typo(store: Store) -> None:
    assert said(store, "tcpip").startswith("Yes: tcpip was mentioned in 1 crash")
    assert said(store, "RasSstp").startswith("Yes: rassstp.sys was seen")
    assert said(store, "PiEngineLock").startswith("Yes: nt!PiEngineLock was seen 4 times")


def test_hosts_are_listed_and_nameless_dumps_counted(store: Store) -> None:
    assert said(store, "which hosts hit rassstp") == (
        "2 hosts with rassstp.sys: PC-0 (2), PC-1 (1).\n1 crash names no host: such dumps do not hold it."
    )
    assert said(store, "pc-1").startswith("Yes: a crash on PC-1 was seen once, on 10 May 2026.")


def test_lists_counts_and_tops(store: Store) -> None:
    assert said(store, "last 2 crashes") == "The last 2 of 5 crashes:"
    assert said(store, "crashes before 2027") == "All 5 crashes before 2027:"
    assert said(store, "latest 0x133") == "The only crash of 0x133 DPC_WATCHDOG_VIOLATION:"
    assert said(store, "how many crashes in Q2").startswith(
        "3 crashes in Q2, on 2 hosts (PC-0, PC-1), first on 10 April 2026"
    )
    assert said(store, "how often ndis").startswith("ndis.sys: once, on 8 August 2026.")
    assert said(store, "top drivers") == "Most frequent drivers: rassstp.sys (4), ndis.sys (1)."
    assert (
        said(store, "most common bugchecks in Q2")
        == "Most frequent bugchecks in Q2: 0x9F DRIVER_POWER_STATE_FAILURE (3)."
    )


def test_nothing_found_is_said_in_every_form(store: Store) -> None:
    for text, line in {
        "crashes yesterday": "No crash yesterday.",
        "how many crashes today": "no crashes today.",
        "which hosts crashed today": "No crash today.",
        "top drivers today": "No crash today.",
        "how often xyzzy": "No: xyzzy was not seen.",
        "last xyzzy": "No: xyzzy was not seen.",
    }.items():
        assert said(store, text).startswith(line)
    assert "“help” shows what can be asked" in said(store, "have we seen xyzzy?")


def test_this_is_the_crash_of_the_thread(store: Store) -> None:
    number = store.search.find(Query(module="rassstp.sys"))[0].id
    answer = ask(store, "have we seen this before?", NOW, about=number)
    assert answer.lines[0].startswith("Yes: this failure (0X9F_rassstp.sys) was seen 4 times, on 2 hosts")
    assert len(answer.rows) == 4
    hosts = ask(store, "which hosts had it since May?", NOW, about=number).lines[0]
    assert hosts == "2 hosts with this failure (0X9F_rassstp.sys) since May: PC-0 (1), PC-1 (1)."
    assert not read_question("crashes this week", NOW).points
    assert not read_question("have we seen it with ndis", NOW).points
    for about in (None, 999):
        assert ask(store, "is this new?", NOW, about).lines[0].startswith("I do not know which crash you mean")


def test_everything_named_must_hold(store: Store) -> None:
    assert said(store, "rassstp 0x9f on pc-0").startswith(
        "Yes: rassstp.sys with 0x9F DRIVER_POWER_STATE_FAILURE on PC-0 was"
    )
    assert said(store, "ndis.sys 0x9f").startswith("No: ndis.sys with 0x9F")
    assert said(store, "ndis.sys rassstp.sys").startswith("No: ndis.sys rassstp.sys was not seen")


def test_a_live_dump_is_no_crash(store: Store) -> None:
    assert said(store, "live.sys").startswith("No: live.sys was not seen.")


def test_an_empty_history_says_so(tmp_path: Path) -> None:
    with Store.open(tmp_path / "empty.sqlite") as empty:
        assert ask(empty, "last 5 crashes", NOW).lines == ("No crash.", "History is empty so far.")


def test_a_history_of_which_nothing_may_be_told_is_not_called_empty(store: Store) -> None:
    nobody = store.seen_as(Sight(frozenset()))
    assert ask(nobody, "last 5 crashes", NOW).lines == ("No crash.", "There is none yet that may be told here.")


def test_what_is_not_understood_is_said_with_near_examples(store: Store) -> None:
    lost = ask(store, "have we?", NOW)
    assert not lost.understood
    assert lost.lines[0] == "I did not understand “have we?”."
    assert len(lost.lines) == 5
    when = ask(store, "which hosts crashed since tuesdy", NOW)
    assert when.lines[0] == "I do not know when “tuesdy” is."
    assert "which hosts hit 0x133 this week?" in "".join(when.lines[2:])
    assert len(ask(store, "x" * 400, NOW).lines[0]) < 200


def test_every_example_is_understood(store: Store) -> None:
    answers: list[Answer] = [ask(store, example, NOW) for example in EXAMPLES]
    assert all(answer.understood for answer in answers)
    assert all(example in said(store, "help") for example in EXAMPLES)


@pytest.mark.parametrize(
    ("question", "kind", "as_table"),
    [
        ("0x9f as csv", "seen", True),
        ("last 5 crashes in CSV", "last", True),
        ("have we seen ndis? as a CSV file.", "seen", True),
        ("csv", "help", True),
        ("have we seen csvfs.sys", "seen", False),
        ("csv driver", "seen", False),
    ],
)
def test_a_table_is_asked_for_at_the_end(question: str, kind: str, as_table: bool) -> None:
    read = read_question(question, NOW)
    assert (read.kind, read.as_table) == (kind, as_table)


def test_a_table_has_all_that_an_answer_is_about(store: Store) -> None:
    first = exported(store, "have we seen rassstp", NOW)
    assert first is not None
    assert (len(store.search.find(*first)), store.search.count(first[0])) == (4, 4)
    last = exported(store, "last 2 crashes", NOW)
    assert last is not None
    assert len(store.search.find(*last)) == 2
    pointed = exported(store, "have we seen this before?", NOW, 1)
    assert pointed is not None
    assert len(store.search.find(*pointed)) == 4
    for other in ("top 5 drivers", "crash 1", "who held the lock?", "delete crash 1", "which versions of ndis crash?"):
        assert exported(store, other, NOW, 1) is None


def test_what_is_new_and_what_is_not(store: Store) -> None:
    fresh = ask(store, "what's new in August?", NOW)
    assert fresh.lines[0] == "1 new failure in August:"
    assert [row.report.module for row in fresh.rows] == ["ndis.sys"]
    assert said(store, "anything new in June") == "Nothing new in June: every failure had been seen before."


def test_more_or_less_often_than_before(store: Store) -> None:
    assert said(store, "is rassstp getting worse") == (
        "rassstp.sys: no crashes in the last 4 weeks, none in the 4 weeks before: as often."
    )
    assert said(store, "trend of rassstp until August 1") == (
        "rassstp.sys: 1 crash in the last 4 weeks, 1 in the 4 weeks before: as often."
    )
    assert "April 2026 1, May 2026 1, June 2026 1, July 2026 1, August 2026 1" in said(store, "trend since April")


def test_versions_need_a_driver(store: Store) -> None:
    assert said(store, "which versions crash") == "Which driver? Ask for example “which versions of acmevpn crash?”."
    assert said(store, "versions of rassstp") == "History knows no version of rassstp.sys."


def test_nothing_is_changed_by_a_question(store: Store) -> None:
    answer = ask(store, "delete crash 1", NOW)
    assert not answer.understood
    assert answer.lines[0].startswith("I only answer questions")
