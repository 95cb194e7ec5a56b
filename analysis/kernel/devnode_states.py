"""What the state number of a devnode means (PNP_DEVNODE_STATE).

Windows Server 2022 and Windows 11 put two states in front of "initialized", so that the numbers behind them moved by
two. Which numbering a kernel has is told by the devnodes themselves: nearly all of a running machine are started.
"""

from collections import Counter
from collections.abc import Iterable

from analysis.kernel.facts import DeviceNode

STARTED_BEFORE, STARTED_SINCE = 0x308, 0x30A
FIRST_STATE, LAST_STATE = 0x300, 0x316

# By distance from "started", alike in both numberings.
NAMES = {
    -3: "start pending", -2: "start completion", -1: "start post-work", 0: "started", 1: "query stopped", 2: "stopped",
    3: "restart completion", 4: "enumerate pending", 5: "enumerate completion", 6: "awaiting queued deletion",
    7: "awaiting queued removal", 8: "query removed", 9: "remove pending closes", 10: "removed",
    11: "delete pending closes", 12: "deleted",
}  # fmt: skip
STARTING = range(-3, 0)
REMOVAL = range(6, 13)


def started_state(nodes: Iterable[DeviceNode]) -> int | None:
    """The number that means "started" here; None where the nodes do not tell."""
    states = Counter(node.state for node in nodes)
    before, since = states[STARTED_BEFORE], states[STARTED_SINCE]
    if before == since:
        return None
    return STARTED_BEFORE if before > since else STARTED_SINCE


def state_name(state: int | None, started: int | None) -> str | None:
    """The state in words; None where it is not known."""
    return None if state is None or started is None else NAMES.get(state - started)


def is_being_removed(state: int | None, started: int | None) -> bool:
    """Whether the state is one of a removal, from the queued request to the deleted node.

    Without the numbering, only states that mean removal in both count.
    """
    if state is None or not FIRST_STATE <= state <= LAST_STATE:
        return False
    known = (started,) if started is not None else (STARTED_BEFORE, STARTED_SINCE)
    return all(state - one in REMOVAL for one in known)


def is_starting(state: int | None, started: int | None) -> bool:
    """Whether the state is one of a start that is not finished."""
    return state is not None and started is not None and state - started in STARTING
