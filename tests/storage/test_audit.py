"""Who did what is kept, with no secret and no signed link in it."""

from datetime import timedelta

import pytest

from storage.audit import MAX_DETAIL, harmless
from storage.store import Store
from tests.storage.samples import NOON, Clock


def test_entries_are_found_by_time_and_person_the_latest_first(store: Store, clock: Clock) -> None:
    store.audit.note("ask", "U-anna", team="T1", channel="C1", detail="last 5 crashes")
    clock.turn(days=1)
    store.audit.note("mute", "U-ben", team="T1", channel="C2", allowed=False)
    first, second = store.audit.entries()[::-1]
    assert (first.at, first.by, first.deed, first.detail, first.allowed) == (
        NOON,
        "U-anna",
        "ask",
        "last 5 crashes",
        True,
    )
    assert (second.team, second.channel, second.allowed) == ("T1", "C2", False)
    assert store.audit.entries(since=NOON + timedelta(hours=1)) == [second]
    assert store.audit.entries(by="U-anna") == [first]
    assert store.audit.entries(team="T2") == []
    assert store.audit.entries(limit=1) == [second]
    assert store.audit.prune(timedelta(hours=12)) == 1
    assert store.audit.entries() == [second]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("https://h.example/a/b/x.dmp?X-Amz-Signature=5ecret", "https://h.example/…/x.dmp"),
        ("see <https://u:5ecret@h.example/x.dmp#5ecret|x>", "see <https://h.example/x.dmp|x>"),
        ("https://h.example/?sig=5ecret", "https://h.example"),
        ("s3://bucket/5ecret/x.zip?5ecret and gs://b", "s3://bucket/…/x.zip and gs://b"),
        ("password: 5ecret", "…"),
        ("my token xoxb-5ecret-1, xapp-5ecret", "my …, …"),
        ("Bearer 5ecret5ecret5ecret==", "…"),
        ("two\nlines\x00", "two lines�"),
        ("x" * 1000, "x" * (MAX_DETAIL - 1) + "…"),
    ],
)
def test_nothing_secret_is_kept(said: str, kept: str) -> None:
    assert harmless(said) == kept
