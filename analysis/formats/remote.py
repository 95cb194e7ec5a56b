"""The pages of a dump that lies elsewhere: a sparse file of its size that fills up as pages are asked for.

Whoever started the analysis fetches; this process has no network. Both see one sparse file with the dump's bytes and,
beside it, a file with one byte for each page: 0 until the page is there. Both are mapped, so a page that was fetched
for this analysis or for an earlier one of the same dump costs a look at its byte, no copy and no question. Pages that
are not there are asked for in one line, many at once. Bytes sent through the pipe would be kept twice, and again by
every analysis of the same dump.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.limits import MAX_RUNS_ASKED

PAGE_SHIFT = 12

Run = tuple[int, int]  # first page, number of pages
Ask = Callable[[list[Run]], None]


class RemotePages:
    """Which pages of the sparse file are filled. ``ask`` returns once those asked for are.

    Raises:
        OSError: the file of marks cannot be opened.
    """

    __slots__ = ("_ask", "_map", "_marks")

    def __init__(self, marks: Path, ask: Ask) -> None:
        with marks.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._marks: NDArray[np.uint8] = np.frombuffer(self._map, dtype=np.uint8)
        self._ask = ask

    def need(self, first: int, last: int) -> None:
        """Have the pages from ``first`` to ``last``, both included, filled.

        Raises:
            OSError: they were asked for and are still not there.
        """
        if self._map.find(b"\0", first, last + 1) < 0:
            return
        missing = first + np.flatnonzero(self._marks[first : last + 1] == 0)
        self._fetch(missing)
        if self._map.find(b"\0", first, last + 1) >= 0:
            raise OSError(f"page {first} of the dump was asked for and did not come")

    def lacks(self, page: int) -> bool:
        """Whether a page is not there yet."""
        return not self._map[page]

    def want(self, pages: Iterable[int]) -> None:
        """Have these pages filled in as few questions as possible: they will be read soon. Others are left out."""
        wanted = np.unique(np.fromiter(pages, dtype=np.int64))
        wanted = wanted[(wanted >= 0) & (wanted < len(self._marks))]
        self._fetch(wanted[self._marks[wanted] == 0])

    def _fetch(self, pages: NDArray[np.int64]) -> None:
        if not len(pages):
            return
        runs = list(_runs(pages))
        for start in range(0, len(runs), MAX_RUNS_ASKED):
            self._ask(runs[start : start + MAX_RUNS_ASKED])


def _runs(pages: NDArray[np.int64]) -> Iterator[Run]:
    # Ascending pages as runs of consecutive ones.
    cuts = [0, *(np.flatnonzero(np.diff(pages) != 1) + 1).tolist(), len(pages)]
    for start, end in pairwise(cuts):
        yield int(pages[start]), end - start
