"""Grids of cases of which the quick suite takes a part: every row and every column, but not each with each."""

from collections.abc import Sequence
from typing import Any

import pytest


def thinned(rows: Sequence[Any], columns: Sequence[Any], each: int = 2) -> list[Any]:
    """``(row, column)`` of the whole grid; all but ``each`` columns of every row are marked slow.

    The quick ones lie on diagonals, spread over the columns, so that no column is left without one.
    """
    quick = {
        (row, (row + turn * len(columns) // each) % len(columns)) for row in range(len(rows)) for turn in range(each)
    }
    assert {column for _, column in quick} == set(range(len(columns))), "a column without a quick case"
    return [
        pytest.param(one, other, marks=() if (row, column) in quick else pytest.mark.slow)
        for row, one in enumerate(rows)
        for column, other in enumerate(columns)
    ]
