"""The pile-up as a picture: a report in, DOT text, a PNG or an SVG out.

Threads are boxes, locks are ovals; an arrow says "waits for" or "is held by". The root has a double border and a
cycle is labelled as such, so that nothing is told by colour alone. Drawing is done by the graphviz-pure program;
where it is missing or fails there is simply no picture.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from analysis.verdict.report import Chain, Report, ThreadFacts
from bot.mrkdwn import visible
from bot.wording import duration

MAX_WAITERS = 12  # of one lock; the rest become one box that says how many
MAX_LOCKS = 12
MAX_LABEL = 44
DRAW_SECONDS = 20
MAX_PICTURE = 4 << 20
NO_LINKS: Mapping[str, str] = {}

_ACROSS, _DOWN = "rankdir=LR, nodesep=0.25, ranksep=0.7", "rankdir=TB, nodesep=0.1, ranksep=0.35"
_HEAD = """digraph pileup {
  graph [%s, bgcolor=white, dpi=110, pad=0.3];
  node [fontname=Helvetica, fontsize=11, shape=box, style=filled, fillcolor="#eef2f7", color="#44546a"];
  edge [fontname=Helvetica, fontsize=9, color="#44546a"];
"""


def wait_graph(report: Report, links: Mapping[str, str] = NO_LINKS, *, down: bool = False) -> str | None:
    """DOT text of who waits for whom; None where nobody does. ``links`` has a target for the boxes of some threads,
    by their address. ``down``: from top to bottom, which makes chains narrow, and not from left to right."""
    chains = report.blocking.chains[:MAX_LOCKS]
    if not chains:
        return None
    cycle = {address for item in report.blocking.deadlocks for address in (*item.threads, *item.locks)}
    root = report.blocking.root.thread if report.blocking.root else None
    lines: dict[str, None] = {}  # ordered and without repeats
    named = _thread_labels(report)
    for chain in chains:
        lines[_lock_node(chain)] = None
        for owner in chain.owners[:MAX_WAITERS]:
            lines[_thread_node(owner, named, links, owner == root)] = None
            lines[_edge(chain.lock.address, owner, "held by", cycle)] = None
        if chain.lock.driver is not None:
            lines[_driver_node(chain.lock.driver)] = None
            lines[_edge(chain.lock.address, chain.lock.driver, "is at", cycle)] = None
        for waiter in chain.waiters[:MAX_WAITERS]:
            lines[_thread_node(waiter, named, links, waiter == root)] = None
            lines[_edge(waiter, chain.lock.address, _waits(report, waiter), cycle)] = None
        hidden = len(chain.waiters) - MAX_WAITERS
        if hidden > 0:
            lines[f'  "more {chain.lock.address}" [label="and {hidden} more", style=dashed];'] = None
            lines[f'  "more {chain.lock.address}" -> "{chain.lock.address}";'] = None
    return _HEAD % (_DOWN if down else _ACROSS) + "\n".join(lines) + "\n}\n"


def draw(dot: str) -> bytes | None:
    """DOT text as PNG bytes; None where the program is missing, fails, or takes over ``DRAW_SECONDS``."""
    return _drawn(dot, "png", b"\x89PNG")


def draw_svg(dot: str) -> bytes | None:
    """DOT text as an SVG document in UTF-8; None where ``draw`` has none."""
    return _drawn(dot, "svg", b"<?xml")


def _drawn(dot: str, form: str, start: bytes) -> bytes | None:
    program = _program()
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # our own program with a fixed command line
            [program, f"-T{form}"], input=dot.encode(), capture_output=True, timeout=DRAW_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    picture = done.stdout
    if done.returncode or not picture.startswith(start) or len(picture) > MAX_PICTURE:
        return None
    return picture


def _program() -> str | None:
    # An installed application's scripts stand beside its interpreter and are often not on PATH.
    beside = Path(sys.executable).parent
    return shutil.which("graphviz-pure", path=str(beside)) or shutil.which("graphviz-pure")


def _thread_labels(report: Report) -> dict[str, ThreadFacts]:
    labels = {
        item.thread: ThreadFacts(item.thread, item.process, item.pid, item.tid)
        for item in report.blocking.blocked_threads
    }
    return labels | {thread.address: thread for thread in report.threads}


def _waits(report: Report, address: str) -> str:
    for item in report.blocking.blocked_threads:
        if item.thread == address and item.wait_seconds is not None:
            return f"waits {duration(item.wait_seconds)} for"
    return "waits for"


def _lock_node(chain: Chain) -> str:
    lock = chain.lock
    title = lock.name or lock.description or lock.kind
    label = rf"{_text(title)}\n{_text(lock.kind)} {_text(lock.address)}"
    return f'  "{_text(lock.address)}" [label="{label}", class=lock, shape=ellipse, fillcolor="#fff4d6"];'


def _thread_node(address: str, named: dict[str, ThreadFacts], links: Mapping[str, str], is_root: bool) -> str:
    thread = named.get(address)
    label = _text(address)
    if thread is not None and thread.process:
        numbers = f" ({thread.pid}:{thread.tid})" if thread.pid is not None else ""
        label = rf"{_text(thread.process)}{numbers}\n{label}"
    extra = ", peripheries=2, penwidth=1.6" if is_root else ""
    if address in links:
        extra += f', URL="{_text(links[address])}"'
    title = "root: " if is_root else ""
    return f'  "{_text(address)}" [label="{title}{label}"{extra}];'


def _driver_node(driver: str) -> str:
    return f'  "{_text(driver)}" [label="{_text(driver)}", shape=component];'


def _edge(start: str, end: str, label: str, cycle: set[str]) -> str:
    in_cycle = start in cycle and end in cycle
    shown = f"{label} (deadlock)" if in_cycle else label
    extra = ', class=cycle, color="#b00020", penwidth=2' if in_cycle else ""
    return f'  "{_text(start)}" -> "{_text(end)}" [label="{_text(shown)}"{extra}];'


def _text(value: str) -> str:
    # DOT reads backslash sequences, quotes and HTML entities inside a quoted label.
    shown = visible(value)[:MAX_LABEL]
    return shown.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
