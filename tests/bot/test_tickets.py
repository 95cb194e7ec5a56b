"""Tickets become links to their tracker, and nothing else becomes one."""

import dataclasses
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bot import blocks
from bot.settings import BadSettings, read_settings
from bot.showing import message_at
from bot.tickets import Tickets
from storage.store import Store
from storage.threads import Thread
from tests.storage.samples import NOON, report

ALL = {
    "jira": "https://acme.atlassian.net/",
    "github": "https://github.com",
    "servicenow": "https://acme.service-now.com",
}


@pytest.mark.parametrize(
    ("ticket", "address"),
    [
        ("ACME-123", "https://acme.atlassian.net/browse/ACME-123"),
        (" OPS_2-7 ", "https://acme.atlassian.net/browse/OPS_2-7"),
        ("org/repo#12", "https://github.com/org/repo/issues/12"),
        (
            "INC0012345",
            "https://acme.service-now.com/nav_to.do?uri=task.do%3Fsysparm_query%3Dnumber%3DINC0012345",
        ),
        ("https://tickets.example.com/7?a=b", "https://tickets.example.com/7?a=b"),
        ("ask Ben", None),
        ("acme-123", None),
        ("ACME-0", None),
        ("ACME-123|<!channel>", None),
        ("org/repo#12/../../evil", None),
        ("../..#12", None),
        ("javascript:alert(1)", None),
        ("https://x/<script>", None),
        ('https://x/"onclick', None),
        ("INC1^ORDERBY", None),
    ],
)
def test_only_what_looks_like_a_ticket_is_a_link(ticket: str, address: str | None) -> None:
    assert Tickets(ALL).address(ticket) == address


def test_a_tracker_that_is_not_set_has_no_links() -> None:
    assert Tickets({"jira": ALL["jira"]}).address("org/repo#12") is None


def test_a_new_ticket_has_title_and_text_whatever_the_dump_says() -> None:
    made = report("x", module="a&b=<c>.sys\n#.sys", host="PC-1")
    template = "https://github.com/acme/ops/issues/new?title={title}&body={body}"
    link = Tickets({}, template).begin(made)
    assert link is not None
    assert Tickets({}).begin(made) is None
    asked = parse_qs(urlsplit(link).query, strict_parsing=True)
    assert asked["title"] == ["a&b=<c>.sys #.sys: 0x9f DRIVER_POWER_STATE_FAILURE"]
    assert "Host: PC-1, build 10.0.19041.804" in asked["body"][0]
    long = dataclasses.replace(made, verdict=dataclasses.replace(made.verdict, summary="ü" * 9000))
    shown = blocks.with_links(blocks.summary(long), None, Tickets({}, template).begin(long))
    assert "Create ticket" in str(shown.blocks)


def test_a_known_issue_s_ticket_is_a_link_in_slack_and_on_pages(tmp_path: Path) -> None:
    with Store.open(tmp_path / "x.sqlite", lambda: NOON, ticket_link=Tickets(ALL).address) as store:
        told = report()
        number = store.remember(told).id
        store.knowledge.note(told.bucket.signature, "known", "U1", {"note": "n", "ticket": "ACME-1"}, number)
        for seen in (store, store.of_tenant("T").seen_from(frozenset())):
            issue = seen.known(told).issue
            assert issue is not None
            assert issue.link == "https://acme.atlassian.net/browse/ACME-1"
        place = Thread(report_id=number, team="T", channel="C", ts="1", summary_ts="2", created_at=NOON)
        message = message_at(store, told, place)
        assert "<https://acme.atlassian.net/browse/ACME-1|ACME-1>" in str(message.blocks)
        store.knowledge.note(told.bucket.signature, "known", "U1", {"note": "n", "ticket": "ACME-1|<!here>"}, number)
        message = message_at(store, told, place)
        assert "ACME-1|&lt;!here&gt;" in str(message.blocks)


def test_settings_name_trackers_or_say_what_is_wrong(tmp_path: Path) -> None:
    made = read_settings(home=tmp_path, tickets="jira=https://j.example.com, github=https://github.com")
    assert made.ticketing.address("A1-2") == "https://j.example.com/browse/A1-2"
    for wrong in ({"tickets": "bugzilla=https://x.example.com"}, {"tickets": "jira=acme"}, {"new_ticket": "file:///x"}):
        with pytest.raises(BadSettings):
            read_settings(home=tmp_path, **wrong)
