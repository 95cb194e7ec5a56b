"""A share of the table of what Slack can do to a bot in each run of the quick suite; all of it behind ``slow``."""

import pytest

from tests.slack_faults.scene import TRANSPORTS, played
from tests.slack_faults.table import cases

CASES = {f"{case.group}: {case.name}": case for case in cases()}
# Cheap ones that no other test tries, each in one transport.
FEW = {
    "events: the edit arrives before the message": "socket",
    "events: the deletion arrives before the message": "http",
    "events: events that nobody listens to": "http",
    "limits: chat.postMessage: 502, though it was done": "http",
    "limits: files.completeUploadExternal: 502, though it was done": "socket",
    "limits: views.open: 503 twice": "socket",
    "refusals: only admins may post (restricted_action)": "socket",
    "refusals: a guest asks about a channel he is not in": "http",
    "signatures: a body that is JSON, but no event": "http",
    "limits: the second of two commands breaks off undone": "http",
}


@pytest.mark.parametrize(("name", "transport"), FEW.items())
async def test_the_person_sees_what_must_be_seen(name: str, transport: str) -> None:
    result = await played(CASES[name], transport)
    assert result.problems == (), result.sees


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("name", "transport"),
    [(name, way) for name, case in CASES.items() for way in case.transports if FEW.get(name) != way],
)
async def test_the_person_sees_what_must_be_seen_in_every_other_case(name: str, transport: str) -> None:
    result = await played(CASES[name], transport)
    assert result.problems == (), result.sees


def test_no_two_rows_have_one_name_and_each_is_played_somewhere() -> None:
    assert len(CASES) == len(list(cases()))
    assert all(set(case.transports) <= set(TRANSPORTS) for case in CASES.values())
