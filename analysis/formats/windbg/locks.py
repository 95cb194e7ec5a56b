"""Resources as !locks prints them, and as !analyze does behind LOCK_ADDRESS.

The thread printed for an owner is the owner entry's value: its low bits are flags, and "Actual Thread" gives the
thread itself (the doc page of !locks says so).
"""

import re
from collections.abc import Sequence

from analysis.formats.windbg.facts import PrintedLock
from analysis.formats.windbg.patterns import ADDRESS, PROMPT, number
from analysis.limits import MAX_RESOURCE_OWNERS, MAX_WAITERS

_RESOURCE = re.compile(rf"\s*Resource @ (?:(\S{{1,200}}) \()?(?:0x)?({ADDRESS})\)?\s*(.*)$")
_CONTENTION = re.compile(r"\s*Contention Count = (\d{1,10})")
_COUNTED = re.compile(r"\s*NumberOf(?:Exclusive|Shared)Waiters = (\d{1,10})")
_WAITING = re.compile(r"\s*Threads Waiting On (Exclusive|Shared) Access:\s*(.*)$")
_OWNERS = re.compile(r"\s*Threads:\s*(.*)$")
_OWNER = re.compile(rf"({ADDRESS})-\d{{1,6}}(<\*>)?(?:\s*\*\*\*\s*Actual Thread ({ADDRESS}))?", re.IGNORECASE)
_ADDRESSES = re.compile(rf"(?<![0-9a-fA-F`]){ADDRESS}(?![0-9a-fA-F`-])")
_END = re.compile(r"\s*(?:KD: Scanning|\d+ total locks|[A-Z_]{4,}:)")
_FLAGS = 3


def read_locks(lines: Sequence[str]) -> tuple[PrintedLock, ...]:
    """Every resource in the text, the first mention of each."""
    found: dict[int, PrintedLock] = {}
    index = 0
    while index < len(lines):
        start = _RESOURCE.match(lines[index])
        index += 1
        if not start:
            continue
        block = []
        while index < len(lines) and not _RESOURCE.match(lines[index]) and not _ends(lines[index]):
            block.append(lines[index])
            index += 1
        lock = _lock(start, block)
        found.setdefault(lock.address, lock)
    return tuple(found.values())


def _ends(line: str) -> bool:
    return _END.match(line) is not None or PROMPT.match(line) is not None


def _lock(start: re.Match[str], block: Sequence[str]) -> PrintedLock:
    owners: list[int] = []
    waiters: dict[str, list[int]] = {"Exclusive": [], "Shared": []}
    counted: int | None = None
    contention: int | None = None
    into: list[int] | None = None
    for line in block:
        if told := _CONTENTION.match(line):
            contention = int(told[1])
        elif told := _COUNTED.match(line):
            counted = (counted or 0) + int(told[1])
        elif told := _WAITING.match(line):
            into = waiters[told[1]]
            into += _threads(told[2])
        elif (told := _OWNERS.match(line)) or (into is None and _OWNER.search(line)):
            owners += _owners(told[1] if told else line)
        elif into is not None and line.strip():
            into += _threads(line)
    state = start[3]
    return PrintedLock(
        address=number(start[2]),
        name=start[1],
        exclusive=True if "xclusively" in state else False if "hared" in state else None,
        owners=tuple(dict.fromkeys(owners))[:MAX_RESOURCE_OWNERS],
        exclusive_waiters=tuple(dict.fromkeys(waiters["Exclusive"]))[:MAX_WAITERS],
        shared_waiters=tuple(dict.fromkeys(waiters["Shared"]))[:MAX_WAITERS],
        waiters_counted=counted,
        contention=contention,
    )


def _owners(text: str) -> list[int]:
    return [number(one[3]) if one[3] else number(one[1]) & ~_FLAGS for one in _OWNER.finditer(text)]


def _threads(text: str) -> list[int]:
    return [number(one[0]) for one in _ADDRESSES.finditer(text)]
