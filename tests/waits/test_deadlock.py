"""Which threads are lost, and the cycles that hold them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.address import VirtAddr
from analysis.waits.deadlock import doomed, find_cycles
from analysis.waits.graph import WaitGraph
from tests.waits.notation import names, thread, waits


def lost(text: str) -> set[str]:
    return names(doomed(waits(text)))


def cycles(text: str) -> list[set[str]]:
    graph = waits(text)
    return [names(cycle.threads) for cycle in find_cycles(graph, doomed(graph))]


def test_a_chain_is_not_a_deadlock() -> None:
    assert lost("A>B B>C") == set()


def test_a_diamond_is_not_a_deadlock() -> None:
    assert lost("A>B A>C B>D C>D") == set()


def test_two_threads_that_hold_each_other_are() -> None:
    assert lost("A>B B>A") == {"A", "B"}
    assert cycles("A>B B>A") == [{"A", "B"}]


def test_a_thread_can_wait_for_itself() -> None:
    assert cycles("A>A B>A") == [{"A"}]
    assert lost("A>A B>A") == {"A", "B"}


def test_those_behind_a_cycle_are_lost_but_not_in_it() -> None:
    assert lost("A>B B>A C>A D>C") == {"A", "B", "C", "D"}
    assert cycles("A>B B>A C>A D>C") == [{"A", "B"}]


def test_one_way_out_of_any_saves() -> None:
    assert lost("A>B|C B>A C>D") == set()
    assert lost("A>B|- B>A") == set()


def test_any_of_is_lost_when_every_way_is() -> None:
    assert lost("A>B|C B>A C>A") == {"A", "B", "C"}
    assert cycles("A>B|C B>A C>A") == [{"A", "B", "C"}]


def test_all_of_is_lost_with_the_first() -> None:
    assert lost("A>B A>C B>A C>D") == {"A", "B"}


def test_a_shared_lock_is_free_only_when_every_owner_lets_go() -> None:
    assert lost("A>B&C B>A") == {"A", "B"}
    assert lost("A>B&C B>D") == set()


def test_of_a_queue_one_worker_that_comes_back_is_enough() -> None:
    assert lost("A>B/C B>A") == set()
    assert lost("A>B/C B>A C>A") == {"A", "B", "C"}
    assert cycles("A>B/C B>A C>A") == [{"A", "B", "C"}]
    assert lost("A>A/B B>D") == set()


def test_two_cycles_are_two() -> None:
    assert cycles("A>B B>A C>D D>E E>C") == [{"A", "B"}, {"C", "D", "E"}]


def test_a_cycle_is_told_in_the_order_of_waiting() -> None:
    graph = waits("A>C C>B B>A")
    (cycle,) = find_cycles(graph, doomed(graph))
    assert cycle.threads == tuple(map(thread, "ACB"))
    assert len(cycle.locks) == 3


@pytest.mark.parametrize("text", ["", "A>-", "A>B", "A>-|-"])
def test_nothing_is_lost_without_a_circle(text: str) -> None:
    assert lost(text) == set()


def test_a_long_chain_takes_no_time() -> None:
    links = " ".join(f"T{n}>T{n + 1}" for n in range(20_000))
    assert lost(links) == set()
    assert len(lost(links + " T20000>T0")) == 20_001


def _is_lost(graph: WaitGraph, lock: VirtAddr, inside: set[VirtAddr]) -> bool:
    lost_owners = [owner in inside for owner in graph.owners_of(lock)]
    return all(lost_owners) and bool(lost_owners) if lock in graph.any_owner else any(lost_owners)


def slowly(graph: WaitGraph) -> set[VirtAddr]:
    # By definition: try every set of threads; the union of the self-supporting ones is what is lost.
    threads = list(graph.waits)
    best: set[VirtAddr] = set()
    for size in range(len(threads) + 1):
        for chosen in itertools.combinations(threads, size):
            inside = set(chosen)

            def stuck(t: VirtAddr, inside: set[VirtAddr] = inside) -> bool:
                wait = graph.waits[t]
                dead = [_is_lost(graph, lock, inside) for lock in wait.locks]
                return all(dead) if wait.any_of else any(dead)

            if all(stuck(t) for t in inside):
                best |= inside
    return best


THREADS = "ABCDE"
OWNERS = st.tuples(st.sampled_from("&/"), st.lists(st.sampled_from(THREADS), max_size=2, unique=True)).map(
    lambda drawn: drawn[0].join(drawn[1]) or "-"
)
WAITS = st.lists(
    st.tuples(st.sampled_from(THREADS), st.lists(OWNERS, min_size=1, max_size=3).map("|".join)).map(">".join),
    max_size=5,
    unique_by=lambda word: word[0],
)


@given(WAITS)
def test_the_fixed_point_is_what_trying_every_set_finds(words: list[str]) -> None:
    graph = waits(" ".join(words))
    assert set(doomed(graph)) == slowly(graph)


@given(st.lists(st.tuples(st.sampled_from(THREADS), OWNERS).map(">".join), max_size=8))
def test_that_holds_for_waits_for_all_too(words: list[str]) -> None:
    graph = waits(" ".join(words))
    assert set(doomed(graph)) == slowly(graph)


@given(WAITS)
def test_every_lost_thread_is_in_or_behind_a_cycle(words: list[str]) -> None:
    graph = waits(" ".join(words))
    gone = doomed(graph)
    reached = {t for cycle in find_cycles(graph, gone) for t in cycle.threads}
    for _ in THREADS:
        reached |= {t for t in gone if reached.intersection(graph.blockers(t))}
    assert reached == set(gone)
