"""THREAD blocks as !thread, !process and !stacks print them: state, what the thread waits for, requests, stack."""

import re
from collections.abc import Sequence
from dataclasses import replace

from analysis.formats.windbg.facts import PrintedThread
from analysis.formats.windbg.patterns import ADDRESS, PROMPT, number
from analysis.formats.windbg.stack import HEADER, read_stack, returns_first

MAX_THREADS = 4096
_THREAD = re.compile(
    rf"\s*THREAD\s+({ADDRESS})\s+Cid\s+([0-9a-fA-F]{{1,8}})\.([0-9a-fA-F]{{1,8}})\s*(?:Teb:\s*\S+)?"
    rf"\s*(?:Win32Thread:\s*\S+)?\s*(.*)$"
)
_WAIT = re.compile(r"WAIT: \((\w+)\)")
_RUNNING = re.compile(r"RUNNING on processor ([0-9a-fA-F]{1,3})", re.IGNORECASE)
_OBJECT = re.compile(
    rf"\s+({ADDRESS})\s+(NotificationEvent|SynchronizationEvent|Mutant|Semaphore|Thread|ProcessObject|Process|"
    r"QueueObject|NotificationTimer|SynchronizationTimer|Gate|Unknown)\b"
)
_IRP = re.compile(rf"\s+({ADDRESS}): \([0-9a-fA-F]{{4}},[0-9a-fA-F]{{4}}\) Flags:")
_OWNER = re.compile(rf"\s*Owning Process\s+({ADDRESS})\s+Image:\s+(.+?)\s*$")
_TICKS = re.compile(r"\s*Wait Start TickCount\s.*\((?:(\d+):)?(\d+):(\d+):(\d+)(?:\.(\d+))?\)")
_START = re.compile(r"\s*Start Address\s+(\S+)")
_PROCESS = re.compile(rf"\s*PROCESS\s+{ADDRESS}\b")
_IMAGE = re.compile(r"\s*Image:\s+(\S.{0,60}?)\s*$")


def read_threads(lines: Sequence[str]) -> tuple[PrintedThread, ...]:
    """Every thread that the text shows, the fullest mention of each."""
    found: dict[int, PrintedThread] = {}
    image: str | None = None
    index = 0
    while index < len(lines) and len(found) < MAX_THREADS:
        line = lines[index]
        if _PROCESS.match(line):
            image = None
        elif told := _IMAGE.match(line):
            image = told[1]
        elif PROMPT.match(line):
            image = None
        start = _THREAD.match(line)
        index += 1
        if not start:
            continue
        if start[4].rstrip().endswith("WAIT:") and index < len(lines):  # wrapped by whoever posted it
            start = _THREAD.match(f"{line} {lines[index].strip()}") or start
            index += 1
        thread, index = _read(lines, index, _head(start))
        thread = thread if thread.image else replace(thread, image=image)
        known = found.get(thread.address)
        if known is None or (known.stack is None and thread.stack is not None):
            found[thread.address] = thread
    return tuple(found.values())


def _head(start: re.Match[str]) -> PrintedThread:
    rest = start[4]
    wait, running = _WAIT.search(rest), _RUNNING.search(rest)
    state = rest.split()[0].strip(":").capitalize() if rest.split() else ""
    return PrintedThread(
        address=number(start[1]),
        pid=int(start[2], 16),
        tid=int(start[3], 16),
        state="Waiting" if wait else "Running" if running else state,
        wait_reason=wait[1] if wait else None,
        processor=int(running[1], 16) if running else None,
    )


def _read(lines: Sequence[str], index: int, thread: PrintedThread) -> tuple[PrintedThread, int]:
    objects: list[tuple[int, str]] = []
    irps: list[int] = []
    while index < len(lines):
        line = lines[index]
        if _THREAD.match(line) or _PROCESS.match(line) or PROMPT.match(line):
            break
        if HEADER.match(line):
            stack, index = read_stack(lines, index + 1, return_first=returns_first(line))
            thread = replace(thread, stack=stack)
            break
        if told := _OBJECT.match(line):
            objects.append((number(told[1]), told[2]))
        elif told := _IRP.match(line):
            irps.append(number(told[1]))
        elif told := _OWNER.match(line):
            thread = replace(thread, process=number(told[1]), image=told[2])
        elif told := _TICKS.match(line):
            thread = replace(thread, wait_seconds=_seconds(told) if thread.wait_reason else None)
        elif (told := _START.match(line)) and thread.start is None:
            thread = replace(thread, start=told[1])
        index += 1
    return replace(thread, objects=tuple(objects[:64]), irps=tuple(irps[:64])), index


def _seconds(told: re.Match[str]) -> float:
    # "(0:00:05:00.117)": days, hours, minutes, seconds; older ones without days.
    days, hours, minutes, seconds = (int(told[which] or 0) for which in range(1, 5))
    fraction = float(f"0.{told[5]}") if told[5] else 0.0
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + fraction
