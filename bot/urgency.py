"""What goes first: a person who waits before what nobody waits for, and a small dump before one that takes minutes.

How large a dump is shows only when it comes; until then its name must do.
"""

import re

BACKFILL, LARGE, USUAL, SMALL, TALK = 0, 10, 20, 30, 40
SMALL_BYTES = 16 << 20  # of a file whose size is known
LARGE_BYTES = 512 << 20

# Windows names small dumps by day and order: Mini101521-01.dmp, 101521-8343-01.dmp; live ones by what they watch.
_SMALL = re.compile(r"(mini)?\d{6}-(\d+-)?\d{2}\.dmp|.*\.(mdmp|txt|log)", re.IGNORECASE)
_LARGE = re.compile(r"memory\.dmp|.*(full|kernel|complete|memory).*\.(dmp|kdmp|hdmp|zip|7z|cab|gz|xz|zst|bz2|rar)",
                    re.IGNORECASE)  # fmt: skip


def of_dump(name: str, size: int | None = None) -> int:
    """The priority of a dump that a person posted: by its size in bytes, by its file name where that is not known."""
    if size is not None:
        return SMALL if size <= SMALL_BYTES else LARGE if size >= LARGE_BYTES else USUAL
    if _SMALL.fullmatch(name):
        return SMALL
    return LARGE if _LARGE.fullmatch(name) else USUAL
