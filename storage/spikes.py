"""When there are unusually many crashes: an explicit rule about weeks, kept apart from where the counts come from.

A week here is seven whole days in UTC, and today ends the last of them. The last week is a *spike* when all of this
holds:

1. It has at least LEAST crashes.
2. It has more crashes than any of the WEEKS weeks before it.
3. If crashes came independently of each other at the average rate of those weeks (a Poisson process; where they had
   hardly any, at FLOOR a week), so many or more would come in one week in a thousand (RARE).

The weeks before begin with the first one in which history has any crash at all: where these are less than FEWEST weeks,
there are no spikes. The second condition is there because crashes do not come independently: one machine that starts
up and crashes over and over makes the rate of a Poisson process look steadier than it is.

Source of the third condition: the upper tail of the Poisson distribution, as control charts for counts (c-charts) use
it; D. C. Montgomery, Introduction to Statistical Quality Control, on attributes control charts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WEEKS, FEWEST = 8, 3
LEAST = 5
FLOOR = 0.5
RARE = 0.001
DAYS = 7


@dataclass(frozen=True, slots=True)
class Spike:
    """A week with unusually many crashes: how many, how many a week there were before, in how many weeks."""

    count: int
    usual: float
    weeks: int


def spike_of(weeks: Sequence[int], known: int) -> Spike | None:
    """Whether the last of these weeks, the oldest first, is a spike. ``known`` is how many weeks before the last one
    history reaches back."""
    before = weeks[:-1][-min(WEEKS, known) :] if known > 0 else []
    count = weeks[-1] if weeks else 0
    if len(before) < FEWEST or count < LEAST or count <= max(before):
        return None
    usual = sum(before) / len(before)
    return Spike(count, usual, len(before)) if chance(count, max(usual, FLOOR)) < RARE else None


def chance(count: int, rate: float) -> float:
    """How likely a Poisson process of that rate gives ``count`` or more; for counts above the rate."""
    term = math.exp(count * math.log(rate) - rate - math.lgamma(count + 1))
    total = 0.0
    while term > total * 1e-12 and term > 0:
        total += term
        count += 1
        term *= rate / count
    return total


def in_weeks(days: Sequence[tuple[date, int]]) -> list[int]:
    """The counts of successive days as those of weeks, the last of which ends with the last day; an incomplete first
    week is left out."""
    counts = [count for _, count in days]
    starts = range(len(counts) % DAYS, len(counts), DAYS)
    return [sum(counts[start : start + DAYS]) for start in starts]
