"""Every parser on its seeds cut short, with fields at their extremes, and with noise in them.

The quick suite takes samples; the slow tests cut at every byte and set every field. ``python -m tests.hostile`` prints
which parser has which test.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.target import Target, runs
from tests.hostile.targets import TARGETS

EXTREMES = (b"\xff" * 8, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\xf8" + b"\xff" * 7, bytes(8))
INPUT_SECONDS = 10  # of the processor, for one input: a guard against hangs, nothing more
QUICK_CUTS, QUICK_FIELDS = 16, 12

# Made once: writers of archives put the time of day into them.
SEEDS = {target.name: tuple(seed for seed in target.seeds() if seed) for target in TARGETS}

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def cuts(seed: bytes, step: int) -> Iterator[bytes]:
    """The seed cut at every ``step``-th byte."""
    for length in range(0, len(seed), step):
        yield seed[:length]


def extremes(target: Target, seed: bytes, step: int) -> Iterator[bytes]:
    """The seed with every ``step``-th word of where its fields stand at each extreme."""
    places = [at for start, end in target.hot or ((0, len(seed)),) for at in range(start, min(end, len(seed)), 4)]
    for index, at in enumerate(places[::step]):
        for extreme in EXTREMES if step == 1 else (EXTREMES[index % len(EXTREMES)],):
            yield seed[:at] + extreme + seed[at + len(extreme) :]


def give(target: Target, data: bytes, scratch: Path) -> None:
    started = time.process_time()
    runs(target, data, scratch)
    assert time.process_time() - started < INPUT_SECONDS


@each_target
def test_a_seed_cut_short_is_read_or_refused(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds():
        for data in cuts(seed, max(1, len(seed) // QUICK_CUTS)):
            give(target, data, tmp_path / "input")


@each_target
def test_a_field_at_its_extremes_costs_little(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds():
        words = sum(end - start for start, end in target.hot) // 4 if target.hot else len(seed) // 4
        for data in extremes(target, seed, max(2, words // QUICK_FIELDS)):
            give(target, data, tmp_path / "input")


@each_target
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_noise_never_breaks_out(target: Target, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS[target.name])))
    for at, noise in data.draw(
        st.lists(st.tuples(st.integers(0, len(seed) - 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=12)
    ):
        seed[at : at + len(noise)] = noise
    give(target, bytes(seed), tmp_path_factory.getbasetemp() / "noise")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@each_target
def test_a_seed_cut_at_every_byte_is_read_or_refused(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds():
        for data in cuts(seed, 1):
            give(target, data, tmp_path / "input")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@each_target
def test_every_field_at_every_extreme_costs_little(target: Target, tmp_path: Path) -> None:
    for seed in target.seeds():
        for data in extremes(target, seed, 1):
            give(target, data, tmp_path / "input")
