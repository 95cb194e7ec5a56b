"""What Slack repeats is answered once, over restarts and over both events of a mention."""

import pytest

from storage.database import Place
from storage.events import Request, fingerprint
from storage.jobs import NewJob
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import Clock, report
from tests.storage.stored import everything

LINK = "https://files.example/crash.dmp?sig=s3cr3t"


def ask(ts: str = "1.1", link: str = LINK) -> Request:
    return Request("T", "C", ts, link, NewJob(f"C/{ts}/{fingerprint(link)}", {"shown": "crash.dmp"}, secret=link))


def test_a_redelivered_event_makes_one_job(store: Store) -> None:
    assert len(store.events.accept("Ev1", [ask()])) == 1
    assert store.events.accept("Ev1", [ask()]) == []
    assert len(store.jobs.active()) == 1


def test_a_mention_seen_as_both_of_its_events_makes_one_job(store: Store) -> None:
    assert len(store.events.accept("Ev1", [ask()])) == 1
    assert store.events.accept("Ev2", [ask()]) == []


def test_an_answered_message_is_not_answered_again_after_its_job_ended(store: Store) -> None:
    store.events.accept("Ev1", [ask()])
    job = store.jobs.take("w", 30)
    assert job is not None
    store.jobs.finish(job)
    assert store.events.accept("Ev2", [ask()]) == []
    assert len(store.events.accept("Ev3", [ask("2.2")])) == 1


def test_every_link_of_a_message_gets_its_job(store: Store) -> None:
    assert len(store.events.accept("Ev1", [ask(), ask(link="https://x/y.zip"), ask()])) == 2


def test_a_command_without_an_event_id_counts_by_its_link(store: Store) -> None:
    assert len(store.events.accept(None, [ask()])) == 1
    assert store.events.accept(None, [ask()]) == []


def test_event_and_job_are_stored_together_or_not_at_all(store: Store) -> None:
    broken = Request("T", "C", "1.1", LINK, NewJob("k", {"what": object()}))
    with pytest.raises(TypeError):
        store.events.accept("Ev1", [ask("2.2"), broken])
    assert store.jobs.active() == []
    assert len(store.events.accept("Ev1", [ask()])) == 1


def test_the_link_itself_is_not_kept_beside_the_job(store: Store, place: Place) -> None:
    store.events.accept("Ev1", [ask()])
    job = store.jobs.take("w", 30)
    assert job is not None
    assert job.secret == LINK
    store.jobs.finish(job)
    store.close()
    assert b"s3cr3t" not in everything(place)


def test_a_post_is_claimed_once_and_found_after_a_restart(store: Store) -> None:
    first = store.posts.claim("job", "summary")
    assert (first.fresh, first.ts) == (True, None)
    lost = store.posts.claim("job", "summary")
    assert (lost.fresh, lost.ts) == (False, None)
    store.posts.sent("job", "summary", "C", "17.1")
    told = store.posts.claim("job", "summary")
    assert (told.fresh, told.channel, told.ts) == (False, "C", "17.1")


def test_only_an_unsent_post_can_be_released(store: Store) -> None:
    store.posts.claim("job", "summary")
    store.posts.release("job", "summary")
    assert store.posts.claim("job", "summary").fresh
    store.posts.sent("job", "summary", "C", "17.1")
    store.posts.release("job", "summary")
    assert store.posts.claim("job", "summary").ts == "17.1"


def test_a_thread_noted_twice_is_one_thread(store: Store, clock: Clock) -> None:
    number = store.remember(report()).id
    store.threads.note(Told(report_id=number, team="T", channel="C", ts="1.1", summary_ts="1.2"))
    clock.turn(5)
    store.threads.note(
        Told(report_id=number, team="T", channel="C", ts="1.1", summary_ts="1.2", permalink="https://slack/1")
    )
    store.threads.note(Told(report_id=number, team="T", channel="C", ts="1.1", summary_ts="1.2"))
    (thread,) = store.threads.at("T", "C", "1.1")
    assert thread == store.threads.first(number)
    assert thread.permalink == "https://slack/1"
