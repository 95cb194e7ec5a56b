"""From facts about threads and locks to who is stuck behind whom."""

from collections.abc import Iterable
from dataclasses import replace

from analysis.address import VirtAddr
from analysis.kernel.facts import Held, KernelFacts, Lock, LockKind, Thread, WaitObject
from analysis.trust import Trust
from analysis.waits import analyze_waits

SYSTEM = "System"


def a_thread(
    address: int,
    process: str = "svchost.exe",
    reason: str | None = "WrResource",
    objects: Iterable[int] = (),
    *,
    all_of: bool = False,
    terminated: bool = False,
    processor: int | None = None,
) -> Thread:
    waited = tuple(WaitObject(VirtAddr(at), "mutant", VirtAddr(at + 1)) for at in objects)
    return Thread(
        VirtAddr(address),
        VirtAddr(1),
        process,
        4,
        address,
        "Waiting" if reason else "Running",
        reason,
        300.0,
        waited,
        all_of,
        terminated=terminated,
        processor=processor,
    )


def a_lock(
    address: int,
    owners: Iterable[int],
    waiters: Iterable[int],
    kind: LockKind = LockKind.ERESOURCE,
    trust: Trust = Trust.STRUCTURE,
    name: str | None = None,
) -> Lock:
    return Lock(
        VirtAddr(address),
        kind,
        name=name,
        owners=tuple(Held(VirtAddr(o), Trust.STRUCTURE) for o in owners),
        waiters=tuple(Held(VirtAddr(w), trust) for w in waiters),
    )


def facts(threads: Iterable[Thread], locks: Iterable[Lock]) -> KernelFacts:
    return KernelFacts(threads={t.address: t for t in threads}, locks={lock.address: lock for lock in locks})


def test_a_lock_with_three_waiters_has_its_owner_as_root() -> None:
    waits = analyze_waits(
        facts(
            [a_thread(1, SYSTEM, "Executive"), a_thread(2, "wininit.exe"), a_thread(3), a_thread(4)],
            [a_lock(0x100, [1], [2, 3, 4], name="nt!Somewhere")],
        )
    )
    assert waits.root == 1
    assert [(b.thread, b.waits_for) for b in waits.blocked] == [(2, 0x100), (3, 0x100), (4, 0x100)]
    assert [chain.lock.name for chain in waits.chains] == ["nt!Somewhere"]
    assert waits.deadlocks == ()


def test_locks_that_nobody_waits_for_never_appear() -> None:
    waits = analyze_waits(
        facts([a_thread(1, reason=None)], [a_lock(0x100, [1], []), a_lock(0x200, [99], []), a_lock(0x300, [], [])])
    )
    assert waits.root is None
    assert waits.chains == ()
    assert waits.blocked == ()
    assert waits.notes == ()


def test_waiters_of_a_lock_without_an_owner_are_a_note() -> None:
    waits = analyze_waits(facts([a_thread(2), a_thread(3)], [a_lock(0x100, [], [2, 3], name="nt!Orphan")]))
    assert waits.blocked == ()
    assert waits.notes == ("2 threads wait for nt!Orphan, and no owner of it can be told",)


def test_a_chain_is_as_strong_as_its_weakest_link() -> None:
    waits = analyze_waits(facts([a_thread(2)], [a_lock(0x100, [1], [2], trust=Trust.SCAN)]))
    assert waits.chains[0].trust is Trust.SCAN


def test_wininit_alone_outweighs_a_crowd_of_services() -> None:
    crowd = [a_thread(at) for at in range(10, 18)]
    waits = analyze_waits(
        facts(
            [a_thread(1, reason=None), a_thread(2, reason=None), a_thread(3, "wininit.exe"), *crowd],
            [a_lock(0x100, [1], [t.address for t in crowd]), a_lock(0x200, [2], [3])],
        )
    )
    assert [pileup.root for pileup in waits.pileups] == [2, 1]


def test_any_of_two_mutexes_is_a_queue_only_if_both_are_owned() -> None:
    locks = [a_lock(0x100, [1], [3], LockKind.MUTANT), a_lock(0x200, [], [3], LockKind.MUTANT)]
    either = a_thread(3, reason="UserRequest", objects=[0x100, 0x200])
    both = a_thread(3, reason="UserRequest", objects=[0x100, 0x200], all_of=True)
    assert analyze_waits(facts([either], locks)).blocked == ()
    assert [b.waits_for for b in analyze_waits(facts([both], locks)).blocked] == [0x100]


def test_a_mutex_or_an_event_is_no_deadlock() -> None:
    either = a_thread(3, reason="UserRequest", objects=[0x100, 0x999])
    other = a_thread(1, reason="UserRequest", objects=[0x200])
    locks = [a_lock(0x100, [1], [3], LockKind.MUTANT), a_lock(0x200, [3], [1], LockKind.MUTANT)]
    waits = analyze_waits(facts([either, other], locks))
    assert waits.deadlocks == ()
    assert waits.root == 3


def test_a_program_that_waits_for_its_idle_worker_is_nothing_to_tell() -> None:
    worker = a_thread(1, reason="WrQueue")
    waits = analyze_waits(facts([worker, a_thread(2, reason="UserRequest")], [a_lock(1, [1], [2], LockKind.THREAD)]))
    assert waits.pileups == ()


def test_a_program_that_waits_for_a_stuck_worker_is_stuck_too() -> None:
    waits = analyze_waits(
        facts(
            [
                a_thread(1),
                a_thread(2, reason="UserRequest"),
                a_thread(3, reason="UserRequest"),
                a_thread(9, reason=None),
            ],
            [
                a_lock(0x100, [9], [1]),
                a_lock(1, [1], [2], LockKind.THREAD),
                a_lock(2, [2], [3], LockKind.THREAD),
            ],
        )
    )
    assert waits.root == 9
    assert [b.thread for b in waits.blocked] == [1, 2, 3]


def test_two_threads_that_wait_for_each_others_end_are_a_deadlock() -> None:
    waits = analyze_waits(
        facts(
            [a_thread(1, reason="UserRequest"), a_thread(2, reason="UserRequest")],
            [a_lock(1, [1], [2], LockKind.THREAD), a_lock(2, [2], [1], LockKind.THREAD)],
        )
    )
    assert [cycle.threads for cycle in waits.deadlocks] == [(1, 2)]


def test_the_kernel_waiting_for_a_thread_counts_whatever_that_thread_does() -> None:
    waits = analyze_waits(
        facts([a_thread(1, reason="WrQueue"), a_thread(2, SYSTEM, "Executive")], [a_lock(1, [1], [2], LockKind.THREAD)])
    )
    assert waits.root == 1


def test_an_owner_that_ended_runs_or_is_idle_is_remarked() -> None:
    for owner, remark in (
        (a_thread(1, reason=None, terminated=True), "has ended"),
        (a_thread(1, reason=None, processor=3), "runs on processor 3"),
        (a_thread(1, reason="WrQueue"), "is idle"),
    ):
        waits = analyze_waits(facts([owner, a_thread(2)], [a_lock(0x100, [1], [2], name="nt!L")]))
        assert waits.root == 1
        assert remark in waits.notes[0]
        assert "nt!L" in waits.notes[0]


def test_of_those_who_share_a_lock_the_one_that_does_not_move_is_the_root() -> None:
    lock = a_lock(0x100, [1, 2, 3, 4], [9])
    ready = [replace(a_thread(at, reason=None), state="Ready") for at in (1, 4)]
    brief = replace(a_thread(2, reason="Executive"), wait_seconds=0.5)
    long = a_thread(3, reason="Executive")
    assert analyze_waits(facts([*ready, brief, long, a_thread(9)], [lock])).root == 3
    gone = a_thread(4, reason=None, terminated=True)
    assert analyze_waits(facts([ready[0], brief, long, gone, a_thread(9)], [lock])).root == 4
    silent = replace(brief, wait_seconds=None)
    assert analyze_waits(facts([*ready, silent, a_thread(9)], [replace(lock, owners=lock.owners[:2])])).root == 2


def test_thousands_of_shared_owners_take_no_time() -> None:
    owners, waiters = range(10_000, 13_000), range(20_000, 23_000)
    waits = analyze_waits(facts([a_thread(at) for at in waiters], [a_lock(0x100, owners, waiters)]))
    assert len(waits.pileups) == 3_000
    assert len(waits.blocked) == 3_000


def test_the_named_threads_pile_up_is_told_first() -> None:
    made = facts(
        [a_thread(1, reason=None), a_thread(2, reason=None), a_thread(3, "wininit.exe"), a_thread(4)],
        [a_lock(0x100, [1], [3]), a_lock(0x200, [2], [4])],
    )
    assert analyze_waits(made).root == 1
    assert analyze_waits(made, prefer=VirtAddr(2)).root == 2
    assert [chain.lock.address for chain in analyze_waits(made, prefer=VirtAddr(2)).chains] == [0x200, 0x100]


def test_who_waits_for_a_thread_that_hangs_on_its_way_out_is_stuck() -> None:
    hanging = replace(a_thread(1, reason="Executive"), exiting=True)
    waits = analyze_waits(
        facts([hanging, a_thread(2, reason="UserRequest")], [a_lock(0x50, [1], [2], LockKind.PROCESS)])
    )
    assert waits.root == 1
    assert [b.thread for b in waits.blocked] == [2]


def test_an_owner_that_is_only_waiting_for_its_processor_is_a_way_out_of_any_of() -> None:
    chooser = a_thread(3, reason="UserRequest", objects=[0x100, 0x200])
    locks = [
        a_lock(0x100, [1], [3], LockKind.MUTANT),
        a_lock(0x200, [2], [3], LockKind.MUTANT),
        a_lock(0x300, [3], [1]),
    ]
    stuck = analyze_waits(facts([chooser, a_thread(1), a_thread(2, reason="Executive")], locks))
    assert (stuck.root, {b.thread for b in stuck.blocked}) == (2, {1, 3})
    free = analyze_waits(facts([chooser, a_thread(1), replace(a_thread(2, reason=None), state="Ready")], locks))
    assert (free.root, {b.thread for b in free.blocked}) == (3, {1})


def a_request(address: int, waiter: int) -> Lock:
    return replace(a_lock(address, [], [waiter], LockKind.IRP, Trust.SCAN), driver="probe.sys")


def test_the_request_that_the_root_waits_for_ends_the_chain() -> None:
    found = analyze_waits(
        facts([a_thread(1, SYSTEM, "Executive"), a_thread(2)], [a_request(0x900, 1), a_lock(0x100, [1], [2])])
    )
    assert [(chain.lock.address, chain.trust) for chain in found.chains] == [
        (0x100, Trust.STRUCTURE), (0x900, Trust.SCAN),
    ]  # fmt: skip
    assert [one.thread for one in found.blocked] == [2]
    assert found.root == 1


def test_a_request_is_told_where_the_kernel_waits_long_and_not_where_a_program_reads() -> None:
    long = a_thread(1, SYSTEM, "Executive")
    reads = replace(a_thread(2, reason="Executive"), in_user_mode=True)
    brief = replace(a_thread(3, SYSTEM, "Executive"), wait_seconds=2.0)
    locks = [a_request(0x900, 1), a_request(0xA00, 2), a_request(0xB00, 3)]
    everybody = facts([long, reads, brief], locks)
    assert [chain.lock.address for chain in analyze_waits(everybody).chains] == [0x900]
    named = analyze_waits(everybody, prefer=VirtAddr(3))
    assert [chain.lock.address for chain in named.chains] == [0xB00, 0x900]
    assert named.blocked == ()
    assert analyze_waits(everybody, is_hang=False).chains == ()
