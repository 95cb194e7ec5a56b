"""All rows, and playing one by its name."""

import asyncio
import logging
from collections.abc import Iterator

from tests.slack_faults import events, hostile, limits, lines, people, refusals, signatures
from tests.slack_faults.scene import Case, Result, played


def cases() -> Iterator[Case]:
    """Every row, by subject."""
    for part in (events, lines, limits, refusals, people, hostile, signatures):
        yield from part.cases()


def play(group: str, name: str, transport: str) -> Result:
    """What comes of one row, with nothing logged."""
    logging.disable(logging.CRITICAL)
    (case,) = (case for case in cases() if (case.group, case.name) == (group, name))
    return asyncio.run(played(case, transport))
