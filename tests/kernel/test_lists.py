"""Walks of lists that are whole, torn, endless or hostile."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.kernel.lists import walk_list
from tests.kernel.invented import Bytes

HEAD = 0xFFFF_8000_0000_1000
ENTRIES = [0xFFFF_8000_0000_2000 + index * 0x40 for index in range(5)]


def ring(*entries: int) -> Bytes:
    memory = Bytes()
    memory.link(HEAD, *entries)
    return memory


def test_a_whole_list_gives_its_entries_in_order() -> None:
    walk = walk_list(ring(*ENTRIES), HEAD, 100)
    assert list(walk.entries) == ENTRIES
    assert walk.is_whole


def test_an_empty_list_is_whole() -> None:
    walk = walk_list(ring(), HEAD, 100)
    assert walk.entries == ()
    assert walk.is_whole


def test_records_are_found_around_their_links() -> None:
    assert list(walk_list(ring(*ENTRIES), HEAD, 100).records(0x10)) == [entry - 0x10 for entry in ENTRIES]


def test_a_missing_page_costs_one_entry_only() -> None:
    memory = ring(*ENTRIES)
    memory.lose(ENTRIES[2], 16)
    walk = walk_list(memory, HEAD, 100)
    assert list(walk.entries) == [ENTRIES[0], ENTRIES[1], ENTRIES[3], ENTRIES[4]]
    assert walk.problem is not None
    assert "2 more were found from the other end" in walk.problem


def test_an_entry_that_does_not_point_back_is_not_believed() -> None:
    memory = ring(*ENTRIES)
    stranger = 0xFFFF_8000_0000_9000
    memory.put_u64(ENTRIES[1], stranger, ENTRIES[0])
    memory.put_u64(stranger, HEAD, 0)
    walk = walk_list(memory, HEAD, 100)
    assert stranger not in walk.entries
    assert list(walk.entries) == ENTRIES
    assert not walk.is_whole


def test_a_loop_that_misses_the_head_ends() -> None:
    memory = ring(*ENTRIES)
    memory.put_u64(ENTRIES[4], ENTRIES[2], ENTRIES[3])
    walk = walk_list(memory, HEAD, 100)
    assert list(walk.entries) == ENTRIES
    assert "runs into itself" in str(walk.problem)


def test_a_limit_holds_in_both_directions() -> None:
    walk = walk_list(ring(*ENTRIES), HEAD, 3)
    assert list(walk.entries) == ENTRIES[:3]
    assert "cut after 3" in str(walk.problem)


def test_a_head_that_was_not_saved_is_said() -> None:
    walk = walk_list(Bytes(), HEAD, 3)
    assert walk.entries == ()
    assert "head" in str(walk.problem)


def test_user_addresses_and_odd_pointers_are_not_followed() -> None:
    for wild in (0x7FF0_0000_1000, 1, HEAD + 3):
        memory = Bytes()
        memory.put_u64(HEAD, wild, wild)
        assert "no kernel pointer" in str(walk_list(memory, HEAD, 10).problem)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=8, max_size=8))
def test_whatever_the_links_the_walk_ends_and_repeats_nothing(links: list[tuple[int, int]]) -> None:
    memory = Bytes()
    places = [HEAD, *(0xFFFF_8000_0000_2000 + index * 0x40 for index in range(7))]
    for place, (flink, blink) in zip(places, links, strict=True):
        memory.put_u64(place, places[flink], places[blink])
    entries = walk_list(memory, HEAD, 5).entries
    assert len(set(entries)) == len(entries) <= 5
    assert HEAD not in entries
