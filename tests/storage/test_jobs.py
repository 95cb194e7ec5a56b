"""Jobs: one per key, leased, fenced, and never lost."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storage.database import Place
from storage.jobs import Job, NewJob
from storage.store import Store
from tests.storage.samples import NOON, Clock
from tests.storage.stored import everything


def put(store: Store, key: str = "a", **more: object) -> Job:
    return store.jobs.enqueue(NewJob(key, {"what": key}, **more)).job  # type: ignore[arg-type]  # fields by name


def test_a_job_is_taken_once_and_carries_what_was_asked(store: Store) -> None:
    put(store, secret="https://host/x.dmp?sig=1")
    job = store.jobs.take("w1", 30)
    assert job is not None
    assert (job.payload, job.secret, job.attempts, job.state) == (
        {"what": "a"},
        "https://host/x.dmp?sig=1",
        1,
        "running",
    )
    assert store.jobs.take("w2", 30) is None


def test_a_second_job_of_an_active_key_is_the_first_one(store: Store) -> None:
    first = store.jobs.enqueue(NewJob("a", {"n": 1}))
    again = store.jobs.enqueue(NewJob("a", {"n": 2}))
    assert (first.created, again.created) == (True, False)
    assert again.job.id == first.job.id
    running = store.jobs.take("w", 30)
    assert running is not None
    assert not store.jobs.enqueue(NewJob("a", {})).created
    store.jobs.finish(running, {"report": 1})
    assert store.jobs.enqueue(NewJob("a", {})).created


def test_jobs_are_taken_oldest_first_and_by_kind(store: Store, clock: Clock) -> None:
    put(store, "b", kind="sweep")
    clock.turn(1)
    put(store, "c")
    put(store, "d")
    taken = [store.jobs.take("w", 30), store.jobs.take("w", 30), store.jobs.take("w", 30)]
    assert [job.key if job else None for job in taken] == ["c", "d", None]
    sweep = store.jobs.take("w", 30, kinds=("sweep", "analyze"))
    assert sweep is not None
    assert sweep.key == "b"


def test_a_renewed_lease_holds_and_an_expired_one_does_not(store: Store, clock: Clock) -> None:
    put(store)
    slow = store.jobs.take("w1", 30)
    assert slow is not None
    clock.turn(20)
    assert store.jobs.renew(slow, 30)
    clock.turn(20)
    assert store.jobs.take("w2", 30) is None
    clock.turn(10)
    taken = store.jobs.take("w2", 30)
    assert taken is not None
    assert (taken.worker, taken.attempts) == ("w2", 2)


@pytest.mark.parametrize("successor", ["w1", "w2"])
def test_a_worker_that_lost_its_lease_changes_nothing(store: Store, clock: Clock, successor: str) -> None:
    put(store)
    slow = store.jobs.take("w1", 30)
    clock.turn(31)
    taken = store.jobs.take(successor, 30)
    assert slow is not None
    assert taken is not None
    refused = [
        store.jobs.renew(slow, 30),
        store.jobs.remember(slow, reply="1.1"),
        store.jobs.finish(slow),
        store.jobs.fail(slow, "fault", "x"),
        store.jobs.requeue(slow),
    ]
    assert refused == [False] * 5
    assert store.jobs.get(taken.id) == taken


def test_memory_outlives_the_worker_that_wrote_it(store: Store, clock: Clock) -> None:
    put(store)
    first = store.jobs.take("w1", 30)
    assert first is not None
    assert store.jobs.remember(first, reply="17.1", stage="fetch")
    assert store.jobs.remember(first, stage="analysis")
    clock.turn(31)
    second = store.jobs.take("w2", 30)
    assert second is not None
    assert second.memory == {"reply": "17.1", "stage": "analysis"}


def test_the_secret_is_gone_when_the_job_has_ended(store: Store, place: Place) -> None:
    for key in ("done", "failed"):
        put(store, key, secret=f"https://host/{key}?sig=s3cr3t")
    done, failed = store.jobs.take("w", 30), store.jobs.take("w", 30)
    assert done is not None
    assert failed is not None
    assert store.jobs.finish(done, {"report": 7})
    assert store.jobs.fail(failed, "fetch", "the server answered 404 Not Found")
    after = [store.jobs.get(done.id), store.jobs.get(failed.id)]
    assert [(job.state, job.secret) for job in after if job] == [("done", None), ("failed", None)]
    assert after[0] is not None
    assert after[0].result == {"report": 7}
    assert after[0].finished_at == NOON
    assert after[1] is not None
    assert (after[1].error_kind, after[1].error) == ("fetch", "the server answered 404 Not Found")
    store.close()
    assert b"s3cr3t" not in everything(place)


def test_a_job_given_back_waits_out_its_delay_and_keeps_its_attempts(store: Store, clock: Clock) -> None:
    put(store)
    job = store.jobs.take("w", 30)
    assert job is not None
    assert store.jobs.requeue(job, delay_seconds=60)
    assert store.jobs.take("w", 30) is None
    clock.turn(60)
    again = store.jobs.take("w", 30)
    assert again is not None
    assert again.attempts == 1
    assert store.jobs.requeue(again, count_attempt=True)
    third = store.jobs.take("w", 30)
    assert third is not None
    assert third.attempts == 2


def test_a_job_whose_workers_all_died_comes_back_exhausted_until_somebody_says_so(store: Store, clock: Clock) -> None:
    put(store, attempts_allowed=2)
    seen = []
    for _ in range(4):
        job = store.jobs.take("w", 30)
        assert job is not None
        seen.append(job.is_exhausted)
        clock.turn(31)
    assert seen == [False, False, True, True]
    last = store.jobs.take("w", 30)
    assert last is not None
    assert store.jobs.fail(last, "lost", "the worker died each time")
    clock.turn(31)
    assert store.jobs.take("w", 30) is None


def test_counts_and_active_jobs(store: Store) -> None:
    for key in "abc":
        put(store, key)
    job = store.jobs.take("w", 30)
    assert job is not None
    assert [active.key for active in store.jobs.active()] == ["a", "b", "c"]
    store.jobs.finish(job)
    assert store.jobs.counts() == {"waiting": 2, "running": 0, "done": 1, "failed": 0}
    assert store.jobs.get(999) is None


def test_threads_never_share_a_job(store: Store) -> None:
    for number in range(60):
        put(store, f"job {number}")
    taken: list[str] = []

    def work(name: str) -> None:
        while (job := store.jobs.take(name, 30)) is not None:
            taken.append(job.key)
            store.jobs.finish(job)

    workers = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(taken) == sorted(f"job {number}" for number in range(60))


TAKER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from storage.store import Store

    with Store.open(Path(sys.argv[1])) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        while (job := store.jobs.take(sys.argv[2], 30)) is not None:
            store.jobs.finish(job)
            print(job.key, flush=True)
""")

VICTIM = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from storage.store import Store

    with Store.open(Path(sys.argv[1])) as store:
        job = store.jobs.take("victim", 1.0)
        store.jobs.remember(job, reply="17.1")
        print("taken", flush=True)
        time.sleep(60)
""")


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_two_processes_share_the_queue_and_no_job(tmp_path: Path) -> None:
    path = tmp_path / "pileup.sqlite"
    with Store.open(path) as store:
        for number in range(40):
            put(store, f"job {number}")
    both = [start(TAKER, str(path), name) for name in ("one", "two")]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        outputs.append(process.communicate(timeout=60)[0].split("\n")[:-1])
        assert process.returncode == 0
    assert sorted(outputs[0] + outputs[1]) == sorted(f"job {number}" for number in range(40))


def test_a_killed_worker_loses_neither_the_job_nor_its_memory(tmp_path: Path) -> None:
    path = tmp_path / "pileup.sqlite"
    with Store.open(path) as store:
        put(store)
        victim = start(VICTIM, str(path))
        assert victim.stdout is not None
        assert victim.stdout.readline() == "taken\n"
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        assert store.jobs.take("w2", 30) is None  # the lease still runs
        clock = Clock(store.jobs.active()[0].created_at)
        clock.turn(120)
        with Store.open(path, clock) as later:
            job = later.jobs.take("w2", 30)
        assert job is not None
        assert (job.attempts, job.memory) == (2, {"reply": "17.1"})


class Queue(RuleBasedStateMachine):
    """Any order of calls: a key is active once, a job ends once, and only its holder ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Store.open(Path(self.directory()), self.clock)
        self.held: list[Job] = []
        self.ended: set[int] = set()

    def directory(self) -> str:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        return f"{self.folder.name}/queue.sqlite"

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(key=st.sampled_from("abc"))
    def enqueue(self, key: str) -> None:
        active = {job.key for job in self.store.jobs.active()}
        assert self.store.jobs.enqueue(NewJob(key, {}, attempts_allowed=100)).created == (key not in active)

    @rule(worker=st.sampled_from(["w1", "w2"]))
    def take(self, worker: str) -> None:
        job = self.store.jobs.take(worker, 10)
        if job is not None:
            assert job.id not in self.ended
            self.held = [other for other in self.held if other.id != job.id] + [job]

    @rule(seconds=st.sampled_from([1, 11]))
    def wait(self, seconds: int) -> None:
        self.clock.turn(seconds)

    @rule(data=st.data(), how=st.sampled_from(["finish", "fail", "requeue", "renew"]))
    def end(self, data: st.DataObject, how: str) -> None:
        if not self.held:
            return
        job = data.draw(st.sampled_from(self.held))
        current = job.id not in self.ended and self.store.jobs.get(job.id)
        holds = bool(current) and current.state == "running" and current.takes == job.takes  # type: ignore[union-attr]  # bool() above
        done = {
            "finish": lambda: self.store.jobs.finish(job),
            "fail": lambda: self.store.jobs.fail(job, "fault", "x"),
            "requeue": lambda: self.store.jobs.requeue(job),
            "renew": lambda: self.store.jobs.renew(job, 10),
        }[how]()
        assert done == holds
        if done and how in ("finish", "fail"):
            self.ended.add(job.id)

    @invariant()
    def one_active_job_a_key(self) -> None:
        keys = [job.key for job in self.store.jobs.active()]
        assert len(keys) == len(set(keys))


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
