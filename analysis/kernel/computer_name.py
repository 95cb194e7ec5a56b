"""The name of the machine, from the environment of its programs: ``COMPUTERNAME`` as each of them was given it.

The kernel keeps the name in its registry alone. The members used of PEB and RTL_USER_PROCESS_PARAMETERS have not moved
in any 64-bit Windows. A program can change its own environment, so what most programs say counts.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from analysis.address import PAGE_SIZE, VirtAddr, is_user
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.facts import Process
from analysis.kernel.names import KernelNames
from analysis.memory.reader import Memory

MAX_ASKED = 12  # programs whose environment is looked at
MAX_PROCESSES = 64  # of which those may be: the pages of many are in the page file
MAX_ENVIRONMENT = 0x10000  # bytes
_PEB_PARAMETERS, _PARAMETERS_ENVIRONMENT = 0x20, 0x80
# NetBIOS names have at most 15 characters; a longer host name is cut there.
_NAME = re.compile(r"\0COMPUTERNAME=([\w-]{1,15})\0", re.IGNORECASE)


def computer_name(
    memory: Memory, names: KernelNames, space_of: Callable[[int], Memory], processes: Iterable[Process]
) -> str | None:
    """The name that most of the first programs give; None where none of them gives any.

    ``space_of`` opens a process' memory by its directory table.
    """
    told: list[str] = []
    for process in list(processes)[:MAX_PROCESSES]:
        told += _told(memory, names, space_of, process)
        if len(told) >= MAX_ASKED:
            break
    return Counter(told).most_common(1)[0][0] if told else None


def _told(memory: Memory, names: KernelNames, space_of: Callable[[int], Memory], process: Process) -> Iterator[str]:
    if not process.directory_table:
        return
    try:
        found = names.struct(memory, "_EPROCESS", process.address)
        peb = found.pointer("Peb") if found.has("Peb") else 0
        if not is_user(peb):
            return
        space = space_of(process.directory_table)
        parameters = space.u64(peb + _PEB_PARAMETERS)
        environment = space.u64(parameters + _PARAMETERS_ENVIRONMENT) if is_user(parameters) else 0
        if is_user(environment):
            match = _NAME.search(f"\0{_block(space, environment)}")
            yield from [match[1]] if match else []
    except (MissingLayout, Unreadable):
        return


def _block(space: Memory, at: int) -> str:
    # "A=1\0B=2\0", as far as it is there: a text that was cut has no end of its own.
    read = bytearray()
    while len(read) < MAX_ENVIRONMENT:
        place = VirtAddr(at + len(read))
        wanted = PAGE_SIZE - (place % PAGE_SIZE)
        got = space.read_available(place, wanted)
        read += got
        text = read.decode("utf-16-le", "replace")
        end = text.find("\0\0")
        if end >= 0 or len(got) < wanted:
            return text[: end + 1] if end >= 0 else text
    return read.decode("utf-16-le", "replace")
