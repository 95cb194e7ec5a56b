"""What is forgotten is gone: from every table, and from the bytes of the files."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from analysis.verdict.report import Report
from storage.events import Request
from storage.forgetting import Which
from storage.jobs import NewJob
from storage.retention import Keep
from storage.search import Query
from storage.store import Store
from storage.threads import Told
from tests.storage.samples import NOON, Clock, report

MARKER = "Zyxomma9417"


def tell(store: Store, number: int, channel: str, ts: str, team: str = "T1") -> None:
    """As the bot does: a request, its job, a post, a thread, the job's end."""
    payload = {"team": team, "channel": channel, "ts": ts, "thread": ts, "shown": f"{MARKER}.dmp"}
    key = f"{team}:{channel}:{ts}"
    store.events.accept(f"Ev{key}", [Request(team, channel, ts, f"https://x/{ts}", NewJob(key, payload))])
    job = store.jobs.take("w", 60)
    assert job is not None
    store.posts.claim(key, "summary")
    store.posts.sent(key, "summary", channel, ts)
    store.threads.note(Told(report_id=number, team=team, channel=channel, ts=ts, summary_ts=f"{ts}.1", job=key))
    store.jobs.remember(job, report=number)
    store.jobs.finish(job)


def called(name: str, source: str, host: str | None = None) -> Report:
    made = report(name, host=host)
    return replace(made, dump=replace(made.dump, source=source))


def files_with(home: Path) -> list[str]:
    # The index shortens words by what they share with the word before.
    needle = MARKER[1:7].lower().encode()
    return [path.name for path in home.rglob("*") if path.is_file() and needle in path.read_bytes().lower()]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_nothing_of_a_forgotten_crash_is_left_in_the_files(store: Store, tmp_path: Path) -> None:
    marked = report(
        MARKER, host=f"{MARKER}-PC", module=f"{MARKER}.sys", signature=f"0x9f:4 {MARKER}.sys", frames=(f"{MARKER}!Run",)
    )
    for number in range(3):  # so that the index has other segments and pages are shared
        store.remember(report(f"other {number}", host=f"PC-{number}"))
    number = store.remember(marked).id
    store.knowledge.note(f"0x9f:4 {MARKER}.sys", "known", "U1", {"note": f"{MARKER} again"}, number)
    tell(store, number, "C1", "100")
    for more in range(40, 70):
        store.remember(report(f"other {more}", host=f"PC-{more}"))
    assert files_with(tmp_path)
    gone = store.forget(Which(numbers=(number,)))
    assert [one.id for one in gone.reports] == [number]
    assert files_with(tmp_path) == []
    assert store.reports.count() == 33
    assert store.search.count(Query(words="PC-41")) == 1


def test_what_was_said_of_a_failure_goes_with_its_last_crash_only(store: Store) -> None:
    one, other = (store.remember(report(name, signature="s", aliases=("less",))).id for name in "ab")
    kept = store.remember(report("c", signature="t", aliases=("less",))).id
    for name in ("s", "less"):
        store.knowledge.note(name, "acknowledge", "U1", report=one)
    store.forget(Which(numbers=(one,)))
    assert [act.report_id for act in store.knowledge.acts(["s"])] == [None]
    store.forget(Which(numbers=(other,)))
    assert store.knowledge.acts(["s"]) == ()
    assert len(store.knowledge.acts(["less"])) == 1
    assert store.reports.get(kept) is not None


def test_a_channel_takes_what_was_told_nowhere_else(store: Store) -> None:
    only, both, none = (store.remember(report(name)).id for name in "abc")
    tell(store, only, "C1", "1")
    tell(store, both, "C1", "2")
    tell(store, both, "C2", "3")
    found = store.forgetting.picked(Which(channel="C1"))
    assert ([one.id for one in found.reports], found.places) == ([only], 1)
    gone = store.forget(Which(channel="C1"))
    assert ([one.id for one in gone.reports], gone.places, len(gone.jobs)) == ([only], 1, 2)
    assert [place.channel for place in store.threads.of_reports([only, both, none])] == ["C2"]
    assert store.reports.get(none) is not None


def test_a_crash_that_was_seen_elsewhere_too_stays(store: Store) -> None:
    analysed = store.remember(report("a"), by_operator=True).id
    posted = store.remember(report("b")).id
    store._database.change("INSERT INTO sightings (report_id, team, channel) VALUES (?, ?, ?)", [posted, "", "token:7"])
    for number in (analysed, posted):
        tell(store, number, "C1", f"{number}")
    gone = store.forget(Which(channel="C1"))
    assert (gone.reports, gone.places) == ((), 2)


def test_what_was_asked_about_a_machine_goes_with_its_last_crash(store: Store) -> None:
    one, other = (store.remember(report(name, host="PC_7")).id for name in "ab")
    store.remember(report("c", host="PCX7"))
    store.audit.note("ask", "U1", detail="how often did pc_7 crash?")
    store.audit.note("ask", "U1", detail="how often did PCX7 crash?")
    store.jobs.enqueue(NewJob("q", {"question": "last crash on PC_7"}, "ask"))
    store.forget(Which(numbers=(one,)))
    assert len(store.audit.entries()) == 2
    store.forget(Which(numbers=(other,)))
    assert [entry.detail for entry in store.audit.entries()] == ["how often did PCX7 crash?"]
    assert store.jobs.active() == []


def test_what_announced_a_posted_dump_goes_with_its_crash(store: Store) -> None:
    number, other = (store.remember(report(name)).id for name in "ab")
    asked = {"team": "T1", "channel": "C1", "ts": "u", "thread": "u", "shown": f"{MARKER}.dmp"}
    for upload in ("mine", "another"):
        job = store.jobs.enqueue(NewJob(f"posted:{upload}:announced", asked | {"posted": upload}, "posted")).job
        store.posts.claim(job.key, "announced")
    read = store.jobs.enqueue(NewJob("T1:C1:7:posted", asked | {"posted": "mine", "ts": "7"})).job
    while (taken := store.jobs.take("w", 60)) is not None:
        if taken.id == read.id:
            store.jobs.remember(taken, report=number)
        store.jobs.finish(taken)
    gone = store.forget(Which(numbers=(number,)))
    assert len(gone.jobs) == 2
    assert store.posts.known("posted:mine:announced", "announced") is None
    assert [row["key"] for row in store._database.rows("SELECT key FROM jobs")] == ["posted:another:announced"]
    assert store.reports.get(other) is not None


def test_a_name_of_a_file_takes_nothing_but_questions_and_posts_out_of_the_audit_log(store: Store) -> None:
    number = store.remember(called("a", "all crashes")).id
    store.audit.note("add webhook", "operator", detail="1: hooks.example.com is told of all crashes")
    for deed in ("upload", "analyze"):
        store.audit.note(deed, "lab-7", detail="All Crashes")
    store.forget(Which(numbers=(number,)))
    assert [entry.deed for entry in store.audit.entries()] == ["add webhook"]


def test_one_workspace_s_names_take_nothing_of_another_s(store: Store) -> None:
    mine, theirs = store.of_tenant("T1"), store.of_tenant("T2")
    number = mine.remember(called("a", "shared-name.dmp", host="PC-7")).id
    kept = theirs.remember(report("b", host="PC-8")).id
    for team in ("T1", "T2"):
        for words in ("last crash on PC-7", "shared-name.dmp"):
            store.audit.note("ask", "U1", team=team, detail=words)
            store.jobs.enqueue(NewJob(f"{team} {words}", {"team": team, "question": words}, "ask"))
    store.forget(Which(numbers=(number,)))
    assert {entry.team for entry in store.audit.entries()} == {"T2"}
    assert {job.payload["team"] for job in store.jobs.active()} == {"T2"}
    assert theirs.reports.get(kept) is not None


def test_a_workspace_that_left_takes_its_own_and_no_other_s(store: Store) -> None:
    mine, others = (store.remember(report(name)).id for name in "ab")
    tell(store, mine, "C1", "1", team="T1")
    tell(store, others, "C1", "1", team="T2")
    waiting = store.jobs.enqueue(NewJob("w", {"team": "T1", "channel": "C9", "shown": "x"})).job
    gone = store.forget_team("T1")
    assert [one.id for one in gone.reports] == [mine]
    assert store.jobs.get(waiting.id) is None
    assert store.posts.known("T1:C1:1", "summary") is None
    assert store.posts.known("T2:C1:1", "summary") == "1"
    assert store.reports.get(others) is not None
    assert store.forget_team("T1").reports == ()


def test_hosts_and_times_narrow_what_goes(store: Store) -> None:
    old = report("a", host="PC-1", crashed=NOON - timedelta(days=40))
    for made in (old, replace(report("b", host="PC-1")), report("c", host="PC-2", crashed=NOON - timedelta(days=40))):
        store.remember(made)
    edge = NOON - timedelta(days=30)
    assert [one.id for one in store.forgetting.picked(Which(host="pc-1")).reports] == [1, 2]
    assert [one.id for one in store.forgetting.picked(Which(before=edge)).reports] == [1, 3]
    assert [one.id for one in store.forget(Which(host="pc-1", before=edge)).reports] == [1]
    with pytest.raises(ValueError, match="nothing in particular"):
        store.forget(Which())


def test_retention_goes_by_age_by_channel_and_by_size(store: Store, clock: Clock) -> None:
    first = store.remember(report("a")).id
    lab = store.remember(report("b")).id
    tell(store, lab, "CLAB", "1")
    clock.turn(days=8)
    last = store.remember(report("c")).id
    keep = Keep(channels={"CLAB": timedelta(days=7)})
    assert [one.id for gone in store.retention.prune(keep).gone for one in gone.reports] == [lab]
    document = store.reports.document(last)
    assert document is not None
    size = len(str(document)) * 3 // 2  # room for one of two
    assert store.retention.oversized(Keep(size=size * 9)) is None
    assert store.retention.prune(Keep(size=size)).reports == 1
    assert (store.reports.get(first), store.reports.get(last) is None) == (None, False)
    assert store.retention.prune(Keep(reports=timedelta(days=1))).reports == 0
    clock.turn(days=2)
    assert store.retention.prune(Keep(reports=timedelta(days=1))).reports == 1
