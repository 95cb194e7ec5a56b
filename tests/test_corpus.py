"""Drawn crashes are put together far better than by two other ways; ``python -m tests.corpus`` draws more of them."""

from pathlib import Path
from random import Random

from storage.store import Store
from tests.corpus.crashes import draw_crashes
from tests.corpus.families import draw_families
from tests.corpus.score import Result, score


def drawn(seed: int, store: Store) -> Result:
    random = Random(seed)
    crashes = draw_crashes(random, draw_families(random), 400)
    return score(store, crashes, 60, random)


def test_one_bug_is_one_bucket(tmp_path: Path) -> None:
    with Store.open(tmp_path / "x.sqlite") as store:
        result = drawn(7, store)
    assert result.bucket.f >= 0.95
    assert result.similar.f >= 0.92
    assert result.bucket.f > max(result.top_frame.f, result.distance.f) + 0.1


def test_families_hold_what_makes_them_hard() -> None:
    families = draw_families(Random(7))
    drivers = [one.driver for one in families]
    assert len(families) == 60
    two_bugs = [one for one in families if one.driver == drivers[0]]
    assert len({one.path for one in two_bugs}) == 2
    assert len({one.driver for one in families if one.lock == families[0].lock and one.code == 0x9F}) >= 2
    kin = [one for one in families if one.kin == families[8].kin]
    assert {one.code for one in kin} == {0x9F, 0x15C}
    assert len({one.lock for one in kin}) == 1


def test_crashes_differ_and_repeat_with_their_seed() -> None:
    families = draw_families(Random(7))
    one, again = (draw_crashes(Random(3), families, 200) for _ in range(2))
    assert one == again
    assert {crash.family for crash in one} == {family.number for family in families}
    assert len({crash.stack for crash in one}) > 150
