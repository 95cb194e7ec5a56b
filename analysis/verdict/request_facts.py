"""The report's ``irps``: the requests that a bugcheck names or that the threads of the story wait for.

How long a request has been pending is recorded nowhere in it. A stop for a power request (0x9F/3) carries a list that
says when each was sent; else the thread that waits for it has done so since its wait began, and the request was sent
before that: then the figure is the least that it can be.
"""

from collections.abc import Iterator

from analysis.address import VirtAddr
from analysis.kernel.facts import Irp, KernelFacts, LockKind
from analysis.kernel.irp_names import major_name, minor_name
from analysis.trust import Trust
from analysis.verdict import report
from analysis.verdict.report import hexa
from analysis.verdict.story import Story
from analysis.verdict.surroundings import POWER_FAILURE, Surroundings

REQUEST_HELD = 3  # of 0x9F: parameter 3 is the block that lists the power requests


def request_facts(around: Surroundings, story: Story) -> tuple[report.IrpFacts, ...]:
    """Those that the bugcheck names, then those that the threads of the story wait for."""
    waited = dict(_waited(around.scene.facts))
    told = [story.root, story.thread, *(one.thread for one in story.waits.blocked)]
    told += [held.thread for link in story.waits.chains for held in link.lock.waiters]
    wanted = dict.fromkeys(VirtAddr(address) for address in story.explained.irps)
    wanted |= dict.fromkeys(waited[thread] for thread in told if thread in waited)
    return tuple(_facts(around, story, irp) for address in wanted if (irp := around.irp(address)))


def _waited(facts: KernelFacts) -> Iterator[tuple[VirtAddr, VirtAddr]]:
    for lock in facts.locks.values():
        if lock.kind is LockKind.IRP:
            yield from ((held.thread, lock.address) for held in lock.waiters)


def _facts(around: Surroundings, story: Story, irp: Irp) -> report.IrpFacts:
    now = irp.current
    seconds, trust = _pending(around, story, irp.address)
    return report.IrpFacts(
        address=hexa(irp.address),
        major=major_name(now.major) if now else None,
        minor=minor_name(now.major, now.minor) if now else None,
        driver=now.driver if now else None,
        device=hexa(now.device) if now and now.device else None,
        pending_seconds=seconds,
        pending_trust=trust.label if trust is not None else None,
    )


def _pending(around: Surroundings, story: Story, address: VirtAddr) -> tuple[float | None, Trust | None]:
    values = [one.value for one in story.explained.parameters]
    if story.explained.code == POWER_FAILURE and values[0] == REQUEST_HELD:
        sent = around.held_seconds(address, values[2])
        if sent is not None:
            return sent, Trust.PARAMETER
    lock = around.scene.facts.locks.get(address)
    waits = [
        (thread.wait_seconds, held.trust)
        for held in (lock.waiters if lock is not None and lock.kind is LockKind.IRP else ())
        if (thread := around.scene.thread(held.thread)) is not None and thread.wait_seconds is not None
    ]
    return max(waits, default=(None, None))
