"""Public names of 32-bit x86 code: C's calling conventions decorate them.

Source: Microsoft's documentation of decorated names: "_Name" (cdecl and data), "_Name@8" (stdcall) and "@Name@8"
(fastcall), the number being the bytes of parameters. Names of C++ are decorated in another way on every machine.
"""

import re
from collections.abc import Iterator

MOST_PARAMETERS = 0x60  # bytes; nt's functions have at most 17 parameters
_DECORATED = re.compile(r"_(.+?)(?:@\d+)?|@([^@]+)@\d+")


def undecorated(name: str) -> str:
    """The name in the source; what is not decorated stays as it is."""
    found = _DECORATED.fullmatch(name)
    return (found[1] or found[2]) if found else name


def spellings(name: str) -> Iterator[str]:
    """How a name of the source may be written, the likeliest first; what is written as asked for comes before all."""
    yield name
    yield f"_{name}"
    for size in range(0, MOST_PARAMETERS + 1, 4):
        yield f"_{name}@{size}"
        yield f"@{name}@{size}"
