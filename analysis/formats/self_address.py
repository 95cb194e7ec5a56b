"""Where a copied structure lived, told by the pointers in it.

A small dump keeps copies of the crashing processor's block, process and thread without saying where they lived.
Kernel structures are full of list heads, and an empty list head points at itself: the value at offset ``o`` is then
the structure's address plus ``o``. Many slots voting for one address settle it without knowing any layout.
"""

from collections import Counter

import numpy as np

from analysis.address import is_kernel

_FEWEST_VOTES = 4  # two empty list heads


def address_of_copy(data: bytes) -> int | None:
    """The address at which ``data`` lived, or None where its pointers do not agree on one."""
    words = np.frombuffer(data, dtype="<u8", count=len(data) // 8)
    slots = np.arange(len(words), dtype=np.uint64) * np.uint64(8)
    bases = words - slots  # wraps for small values; those are no kernel addresses and fall out below
    likely = bases[(words >= np.uint64(0xFFFF_8000_0000_0000)) & (words % np.uint64(8) == 0)]
    votes = Counter(int(base) for base in likely if is_kernel(int(base)) and base % np.uint64(16) == 0)
    ranked = votes.most_common(2)
    if not ranked or ranked[0][1] < _FEWEST_VOTES:
        return None
    if len(ranked) > 1 and ranked[1][1] == ranked[0][1]:
        return None
    return ranked[0][0]
