"""What the state number of a devnode means (PNP_DEVNODE_STATE), and its problem (CM_PROB_… of the public cfg.h).

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
# What Device Manager says as "Code 43", shortened.
PROBLEMS = {
    1: "it is not configured", 3: "memory ran out, or its driver is damaged", 9: "its firmware names it wrong",
    10: "it cannot start", 12: "it finds no free resources", 14: "it needs a restart", 16: "its resources are unclear",
    18: "its driver must be installed again", 19: "its registry entries are damaged", 21: "it is being removed",
    22: "it is disabled", 24: "it is not there, or lacks drivers", 28: "it has no driver",
    29: "the firmware disabled it", 31: "its driver could not be added", 32: "its driver's service is disabled",
    33: "its resources could not be translated", 35: "the firmware's tables lack it", 36: "its interrupt cannot be set",
    37: "its driver could not be initialized", 38: "its driver is still in memory from before",
    39: "its driver is damaged or missing", 40: "its driver's registry key is wrong", 41: "its driver found no device",
    42: "it was reported twice", 43: "its driver reported a failure", 44: "a program or service shut it down",
    45: "it is not connected", 46: "the system is shutting down", 47: "it waits to be ejected",
    48: "its driver is blocked", 50: "its properties could not be set", 51: "it waits for another device",
    52: "its driver is not signed", 53: "the kernel debugger uses it", 54: "it failed and is being reset",
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


def describe_node(node: DeviceNode, started: int | None) -> str | None:
    """State and problem: "in the state 'query removed', marked with problem 43: …"; None for a sound device."""
    name = state_name(node.state, started)
    told = [f"in the state {name!r}"] if name is not None and node.state != started else []
    problem = describe_problem(node)
    return ", ".join([*told, *([problem] if problem else [])]) or None


def describe_problem(node: DeviceNode) -> str | None:
    """The problem that Device Manager would show, "marked with problem 43: …"; None where there is none."""
    if not node.problem:
        return None
    text = PROBLEMS.get(node.problem)
    return f"marked with problem {node.problem}" + (f": {text}" if text else "")
