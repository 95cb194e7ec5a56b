"""What counts as a spike: the rule about weeks, condition by condition."""

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.spikes import FLOOR, RARE, WEEKS, Spike, chance, in_weeks, spike_of

QUIET = [0] * WEEKS


def test_five_crashes_after_quiet_weeks_are_a_spike_and_four_are_none() -> None:
    assert spike_of([*QUIET, 5], WEEKS) == Spike(5, 0, WEEKS)
    assert spike_of([*QUIET, 4], WEEKS) is None


def test_more_than_in_any_week_before_is_not_enough() -> None:
    # 20 against 12 a week: a Poisson process of that rate gives as many or more in two weeks of a hundred.
    assert spike_of([12] * WEEKS + [20], WEEKS) is None
    assert spike_of([12] * WEEKS + [25], WEEKS) == Spike(25, 12, WEEKS)


def test_a_week_like_one_before_is_none_however_rare_by_the_mean() -> None:
    assert spike_of([0] * (WEEKS - 1) + [40, 40], WEEKS) is None
    assert spike_of([0] * (WEEKS - 1) + [40, 41], WEEKS) == Spike(41, 5, WEEKS)


@pytest.mark.parametrize(("known", "is_spike"), [(0, False), (2, False), (3, True), (8, True), (20, True)])
def test_a_young_history_knows_no_spikes(known: int, is_spike: bool) -> None:
    assert (spike_of([*QUIET, 9], known) is not None) == is_spike


def test_weeks_before_history_do_not_make_the_usual_rate_smaller() -> None:
    assert spike_of([0, 0, 0, 0, 9, 9, 9, 9, 15], WEEKS) == Spike(15, 4.5, WEEKS)
    assert spike_of([0, 0, 0, 0, 9, 9, 9, 9, 15], 4) is None


@given(st.integers(1, 400), st.floats(FLOOR, 300))
def test_the_chance_is_the_upper_tail_of_a_poisson_distribution(count: int, rate: float) -> None:
    if count <= rate:
        return
    below = math.fsum(math.exp(k * math.log(rate) - rate - math.lgamma(k + 1)) for k in range(count))
    assert chance(count, rate) == pytest.approx(1 - below, abs=1e-9)


def test_by_chance_alone_a_week_in_a_thousand_is_called_a_spike_at_most() -> None:
    for rate in (0.5, 1, 3, 10, 100, 1000):
        least = next(count for count in range(5, 3000) if spike_of([round(rate)] * WEEKS + [count], WEEKS))
        assert chance(least, max(round(rate), FLOOR)) < RARE


def test_a_rate_of_many_thousands_is_no_trouble() -> None:
    assert spike_of([100_000] * WEEKS + [100_100], WEEKS) is None
    assert spike_of([100_000] * WEEKS + [105_000], WEEKS) is not None


def test_weeks_end_with_the_last_day() -> None:
    days = [(date(2026, 6, 1) + timedelta(days=n), n) for n in range(16)]
    assert in_weeks(days) == [sum(range(2, 9)), sum(range(9, 16))]
    assert in_weeks([]) == []
