"""Pile-ups, their order and the paths to their roots."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.waits.chains import Pileup, find_pileups, path_to_root
from analysis.waits.deadlock import doomed
from analysis.waits.graph import Wait, WaitGraph
from tests.waits.notation import names, thread, waits


def pileups(text: str, prefer: str | None = None, **weights: int) -> list[Pileup]:
    by_thread = {thread(name): weight for name, weight in weights.items()}
    return list(find_pileups(waits(text), lambda t: by_thread.get(t, 1), thread(prefer) if prefer else None))


def roots(text: str, prefer: str | None = None, **weights: int) -> list[str]:
    return ["".join(names([p.root])) if p.root else "" for p in pileups(text, prefer, **weights)]


def test_the_root_is_the_one_that_waits_for_nobody() -> None:
    (pileup,) = pileups("A>B B>C D>B C>-")
    assert names([pileup.root]) == {"C"}
    assert names(pileup.blocked) == {"A", "B", "D"}
    assert names(pileup.blocked[:1]) == {"B"}, "the nearest to the root first"


def test_the_roots_own_lock_comes_first() -> None:
    graph = waits("A>B B>C D>B C>-")
    (pileup,) = find_pileups(graph, lambda _: 1)
    assert graph.owners_of(pileup.locks[0]) == (thread("C"),)
    assert len(pileup.locks) == 3


def test_nobody_is_behind_an_owner_that_nobody_waits_for() -> None:
    assert pileups("A>- B>-|-") == []


def test_the_larger_pile_up_comes_first() -> None:
    assert roots("A>R B>R C>S") == ["R", "S"]
    assert roots("A>R B>S C>S") == ["S", "R"]


def test_an_important_thread_outweighs_several_others() -> None:
    assert roots("A>R B>R C>S", C=12) == ["S", "R"]


def test_the_pile_up_that_the_bugcheck_names_comes_first() -> None:
    assert roots("A>R B>R C>S", prefer="S") == ["S", "R"]
    assert roots("A>R B>R C>S D>C", prefer="C") == ["S", "R"], "also when the named thread is itself blocked"


def test_a_deadlock_has_no_root_and_outweighs_a_small_queue() -> None:
    first, second = pileups("A>B B>A C>A D>R E>R")
    assert first.root is None
    assert names(first.blocked) == {"A", "B", "C"}
    assert names(second.blocked) == {"D", "E"}


def test_the_lock_of_a_deadlock_with_the_longest_queue_comes_first() -> None:
    graph = waits("A>B B>A")
    queue = thread("C")
    lock_of_b = graph.waits[thread("A")].locks[0]
    lock_of_a = graph.waits[thread("B")].locks[0]
    for lock in (lock_of_a, lock_of_b):
        longer = WaitGraph({**graph.waits, queue: Wait((lock,))}, graph.owners)
        (pileup,) = find_pileups(longer, lambda _: 1)
        assert pileup.locks[0] == lock
        assert set(pileup.locks) == {lock_of_a, lock_of_b}


def test_who_is_lost_is_not_behind_a_root_as_well() -> None:
    found = pileups("A>B&R B>A C>R")
    assert [names(p.blocked) for p in found] == [{"A", "B"}, {"C"}]


def test_a_thread_that_an_event_can_free_is_not_stuck() -> None:
    assert roots("A>R|-") == []
    assert roots("A>R|S") == ["R", "S"]
    assert roots("A>R A>-") == ["R"]


def test_shared_owners_are_all_roots() -> None:
    assert roots("A>R&S") == ["R", "S"]


def test_a_path_leads_through_the_owner_that_is_itself_blocked() -> None:
    assert "".join(n for t in path_to_root(waits("A>X&B B>C"), thread("A")) for n in names([t])) == "ABC"
    assert len(path_to_root(waits("A>B B>C C>B"), thread("A"))) == 4


OWNERS = st.lists(st.sampled_from("ABCDEF"), max_size=2, unique=True).map(lambda owners: "&".join(owners) or "-")
WORDS = st.lists(
    st.tuples(st.sampled_from("ABCDEF"), st.lists(OWNERS, min_size=1, max_size=2).map("|".join)).map(">".join),
    max_size=7,
)


@given(WORDS)
def test_pile_ups_cover_exactly_the_blocked_threads(words: list[str]) -> None:
    graph = waits(" ".join(words))
    found = find_pileups(graph, lambda _: 1)
    assert {t for p in found for t in p.blocked} == set(graph.blocked())
    for pileup in found:
        assert len(set(pileup.blocked)) == len(pileup.blocked)
        if pileup.root is not None:
            assert not graph.is_blocked(pileup.root)
            assert not doomed(graph).intersection(pileup.blocked)
        for lock in pileup.locks:
            assert graph.owners_of(lock), "a lock without an owner holds nobody up"
            assert any(lock in graph.blocking_locks(t) for t in pileup.blocked), "unwaited locks never appear"


@given(WORDS)
def test_every_path_ends_at_a_root_or_bites_its_tail(words: list[str]) -> None:
    graph = waits(" ".join(words))
    for start in graph.blocked():
        path = path_to_root(graph, start)
        assert not graph.is_blocked(path[-1]) or path[-1] in path[:-1]
