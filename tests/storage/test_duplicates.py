"""Same dump, same bucket and similar are three answers, and each says what it rests on."""

from datetime import timedelta

import pytest

from analysis.verdict.report import Blocking, Deadlock, Report
from storage.columns import story_frames
from storage.duplicates import Seen
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import NOON, Clock, identity_of, report

NT_ONLY = ("nt!KeBugCheckEx", "nt!KiPageFault+0x43d", "nt!MmAccessFault")


def remember(store: Store, told: Report, place: str | None = None) -> int:
    number = store.remember(told).id
    if place is not None:
        store.threads.note(
            Told(
                report_id=number,
                team="T",
                channel="C",
                ts=place,
                summary_ts=f"{place}.1",
                permalink=f"https://s/{place}",
            )
        )
    return number


def kinds(seen: Seen) -> tuple[bool, bool, int]:
    return seen.same_dump is not None, seen.same_bucket is not None, len(seen.similar)


def test_a_first_crash_has_no_past(store: Store) -> None:
    assert kinds(store.seen(report())) == (False, False, 0)
    remember(store, report("other", code="0x50", module=None, lock=None, signature="x", frames=NT_ONLY))
    assert kinds(store.seen(report())) == (False, False, 0)


def test_the_same_dump_points_to_its_first_thread(store: Store, clock: Clock) -> None:
    number = remember(store, report(), "10")
    clock.turn(60)
    store.threads.note(Told(report_id=number, team="T", channel="D", ts="20", summary_ts="20.1"))
    seen = store.seen(report())
    assert kinds(seen) == (True, False, 0)
    assert seen.same_dump is not None
    assert [thread.ts for thread in seen.same_dump.threads] == ["10", "20"]
    early = store.duplicates.same_dump(identity_of("first"))
    assert early == seen.same_dump


def test_the_same_failure_counts_dumps_hosts_and_days(store: Store, clock: Clock) -> None:
    remember(store, report("a", host="PC-1", crashed=NOON - timedelta(days=40)), "10")
    clock.turn(days=1)
    remember(store, report("b", host="PC-2"), "20")
    remember(store, report("b", host="PC-2"), "21")  # posted twice, one crash
    clock.turn(days=1)
    seen = store.seen(report("c", host="PC-1"))
    assert kinds(seen) == (False, True, 0)
    bucket = seen.same_bucket
    assert bucket is not None
    assert (bucket.count, bucket.hosts) == (3, ("PC-1", "PC-2"))
    assert (bucket.first_seen, bucket.last_seen) == (NOON - timedelta(days=40), NOON + timedelta(days=2))
    assert [other.source for other in bucket.others] == ["b.dmp", "a.dmp"]
    assert bucket.thread is not None
    assert bucket.thread.permalink == "https://s/10"


def test_asking_after_storing_gives_the_same_bucket(store: Store) -> None:
    remember(store, report("a"))
    before = store.seen(report("b")).same_bucket
    remember(store, report("b"))
    after = store.seen(report("b"))
    assert after.same_bucket == before
    assert after.same_dump is not None


def test_an_old_name_still_leads_to_the_bucket(store: Store) -> None:
    remember(store, report("a", signature="driver frames as modules"))
    seen = store.seen(report("b", signature="driver frames as functions", aliases=("driver frames as modules",)))
    assert seen.same_bucket is not None
    assert seen.same_bucket.count == 2


def test_live_dumps_do_not_count_as_crashes(store: Store) -> None:
    remember(store, report("live", live=True))
    assert kinds(store.seen(report())) == (False, False, 0)


def test_another_code_of_the_same_driver_and_lock_is_similar_with_a_reason(store: Store) -> None:
    remember(store, report("a", code="0xe2", signature="other"), "10")
    seen = store.seen(report("b"))
    assert kinds(seen) == (False, False, 1)
    (similar,) = seen.similar
    assert similar.score > 0.8
    assert similar.reason == (
        "same driver rassstp.sys, same lock nt!PiEngineLock, 4 of 4 stack frames in common, but 0xe2"
    )
    assert similar.thread is not None


def test_crashes_alike_only_in_nt_frames_are_not_similar(store: Store) -> None:
    remember(store, report("a", module=None, lock=None, signature="x", frames=NT_ONLY))
    assert store.seen(report("b", module=None, lock=None, signature="y", frames=NT_ONLY)).similar == ()


def test_the_same_code_with_another_driver_and_stack_is_not_similar(store: Store) -> None:
    remember(store, report("a", module="usbhub.sys", lock=None, signature="x", frames=("nt!A", "usbhub+0x1")))
    assert store.seen(report("b")).similar == ()


def test_similar_ones_come_best_first_and_few(store: Store) -> None:
    for number in range(5):
        frames = ("nt!KeWaitForSingleObject", *(f"rassstp!F{n}" for n in range(number, 6)))
        remember(store, report(f"d{number}", signature=f"s{number}", frames=frames))
    asked = report("x", signature="x", frames=("nt!KeWaitForSingleObject", *(f"rassstp!F{n}" for n in range(6))))
    scores = [similar.score for similar in store.seen(asked).similar]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_a_crash_without_stacks_is_compared_by_what_it_has(store: Store) -> None:
    remember(store, report("a", signature="x", frames=()))
    (similar,) = store.seen(report("b", signature="y", frames=())).similar
    assert similar.reason == "same driver rassstp.sys, same lock nt!PiEngineLock"


def test_a_deadlock_s_story_is_told_by_its_threads() -> None:
    import dataclasses

    both = dataclasses.replace(report(), blocking=Blocking(deadlocks=(Deadlock(("0x10", "0x20"), ("0x1",)),)))
    assert len(story_frames(both)) == 5
    alone = dataclasses.replace(report(), blocking=Blocking())
    assert story_frames(alone) == ["nt!kewaitforsingleobject"]


@pytest.mark.parametrize(
    ("first", "second"), [("0x9f", "0xe2"), ("0xe2", "0x9f"), ("0x9f", "0x15c"), ("0x1ca", "0x9f")]
)
def test_the_same_holder_and_lock_stopped_under_another_code_is_similar_not_the_same(
    store: Store, first: str, second: str
) -> None:
    # A shutdown that hangs is stopped by its watchdog, or by a person at the keyboard: under two codes.
    held = report("a", code=first, signature=f"{first}:4 rassstp.sys lock=nt!PiEngineLock")
    number = store.remember(held).id
    other = report("b", code=second, name="OTHER", signature=f"{second} rassstp.sys lock=nt!PiEngineLock")
    seen = store.seen(other)
    assert (seen.same_dump, seen.same_bucket) == (None, None)
    (similar,) = seen.similar
    assert similar.report.id == number
    assert "same driver rassstp.sys, same lock nt!PiEngineLock" in similar.reason
    assert f"but {first}" in similar.reason
