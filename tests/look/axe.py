"""axe-core, the accessibility checker, from npm: the version and the digest that ``package-lock.json`` has."""

from pathlib import Path

from tests.second_slack.packages import KEPT, fetch, find_node

HERE = Path(__file__).parent


def axe() -> str:
    """The text of the checker, to be run in a page. Raises: LookupError, says why it is not to be had."""
    node = find_node()
    if node is None:
        raise LookupError("no Node.js that brings an npm here, so axe-core cannot be fetched")
    reason = fetch(node, HERE)
    if reason is not None:
        raise LookupError(f"axe-core is missing: {reason}")
    return (KEPT / HERE.name / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
