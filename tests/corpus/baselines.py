"""Two ways to group crashes that others use, on the same frames: the exact top frame, and a weighted stack distance."""

import numpy as np
import numpy.typing as npt

from tests.corpus.crashes import Crash, Line

DEPTH = 12
# As published for ReBucket (Dang et al., ICSE 2012): how fast deeper frames count less, and shifted ones.
DISTANCE_TO_TOP, ALIGNMENT_OFFSET = 0.04, 0.13


def name(line: Line) -> str:
    """A frame without its offset."""
    return f"{line.module}!{line.function}" if line.function else line.module


def top_frames(crashes: tuple[Crash, ...]) -> list[str]:
    """For each crash the code and its innermost frame outside nt: equal texts are one group."""
    return [f"{crash.code:x} {next((name(one) for one in crash.stack if one.module != 'nt'), '')}" for crash in crashes]


class StackDistance:
    """The position-dependent similarity of ReBucket between one stack and all, from 0 to 1."""

    def __init__(self, crashes: tuple[Crash, ...]) -> None:
        numbers: dict[str, int] = {}
        self._stacks = np.full((len(crashes), DEPTH), -1, dtype=np.int32)
        for row, crash in enumerate(crashes):
            for column, line in enumerate(crash.stack[:DEPTH]):
                self._stacks[row, column] = numbers.setdefault(name(line), len(numbers))
        self._lengths = (self._stacks >= 0).sum(axis=1)

    def to_all(self, row: int) -> npt.NDArray[np.float64]:
        """The similarity of one crash's stack to each crash's."""
        mine, length = self._stacks[row], int(self._lengths[row])
        count = len(self._stacks)
        best = np.zeros((length + 1, DEPTH + 1, count))
        for i in range(1, length + 1):
            for j in range(1, DEPTH + 1):
                gain = np.exp(-DISTANCE_TO_TOP * min(i - 1, j - 1)) * np.exp(-ALIGNMENT_OFFSET * abs(i - j))
                matched = best[i - 1, j - 1] + gain * (self._stacks[:, j - 1] == mine[i - 1])
                best[i, j] = np.maximum(matched, np.maximum(best[i - 1, j], best[i, j - 1]))
        shorter = np.minimum(self._lengths, length)
        whole = np.concatenate(([0.0], np.cumsum(np.exp(-DISTANCE_TO_TOP * np.arange(DEPTH)))))
        scale = whole[shorter]
        alike: npt.NDArray[np.float64] = np.divide(best[length, DEPTH], scale, out=np.zeros(count), where=scale > 0)
        return alike
