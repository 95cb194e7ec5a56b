"""The page of one crash, from its report alone: what a person on call needs first stands first, all the rest below."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from analysis.verdict.report import BlockedThread, Report, ThreadFacts
from bot.web.drawing import pile_up_svg
from bot.web.stacks import search, stacks_of
from bot.web.templates import page, policy_with_own_style, style


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of a report by address: what is known of each, where its stack stands, what part it plays."""

    known: dict[str, ThreadFacts]
    places: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def of(self, address: str) -> ThreadFacts:
        """What is known of a thread, if only its address."""
        return self.known.get(address, ThreadFacts(address))


def crash_file(report: Report) -> str:
    """The page as one file that needs nothing beside it, with the report inside for downloading."""
    document = json.dumps(report.to_json(), indent=1).encode()
    raw = f"data:application/json;base64,{base64.b64encode(document).decode()}"
    return page("crash", css=style(), policy=policy_with_own_style(), raw=raw, **crash_values(report))


def crash_values(report: Report, words: str | None = None) -> dict[str, Any]:
    """What the crash template draws, but for its surroundings (style sheet, raw report). ``words`` are looked for among
    the stacks; None where nobody can be asked to look for any, as in a file."""
    stacks = stacks_of(report)
    places = {thread.address: stack.place for stack in stacks for thread in stack.threads}
    threads = Threads(_known(report), places, _roles(report))
    return {
        "report": report,
        "verdict": report.verdict,
        "stop": _stop(report),
        "threads": threads,
        "found": search(stacks, words or ""),
        "can_search": words is not None,
        "blocked": [(item, _lock(report, item)) for item in report.blocking.blocked_threads],
        "drawing": pile_up_svg(report, {address: f"#{place}" for address, place in threads.places.items()}),
        "loaded": [module for module in report.modules if not module.unloaded],
        "unloaded": [module for module in report.modules if module.unloaded],
    }


def _stop(report: Report) -> str:
    """The stop code or the exception in a few words."""
    said = report.bugcheck or report.exception
    return "" if said is None else " ".join(filter(None, (said.code, said.name)))


def _known(report: Report) -> dict[str, ThreadFacts]:
    blocked = report.blocking.blocked_threads
    known = {item.thread: ThreadFacts(item.thread, item.process, item.pid, item.tid) for item in blocked}
    return known | {thread.address: thread for thread in report.threads}


def _roles(report: Report) -> dict[str, str]:
    blocking = report.blocking
    roles = {item.thread: "blocked" for item in blocking.blocked_threads}
    roles |= {owner: "holds a lock" for chain in blocking.chains for owner in chain.owners}
    roles |= {thread: "in a deadlock" for cycle in blocking.deadlocks for thread in cycle.threads}
    return roles | ({blocking.root.thread: "root"} if blocking.root else {})


def _lock(report: Report, item: BlockedThread) -> str | None:
    """What a blocked thread waits for, by name."""
    locks = (chain.lock for chain in report.blocking.chains if chain.lock.address == item.waits_for)
    return next((lock.name or f"{lock.kind} {lock.address}" for lock in locks), item.waits_for)
