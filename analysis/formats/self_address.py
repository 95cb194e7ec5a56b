"""Where a copied structure lived, told by the pointers in it.

A small dump keeps copies of the crashing processor's block, process and thread without saying where they lived.
Kernel structures are full of list heads, and an empty list head points at itself: the value at offset ``o`` is then
the structure's address plus ``o``. Several of them that
agree on one address settle it without any layout.
"""

from collections import Counter

import numpy as np

from analysis.address import is_kernel

_FEWEST_HEADS = 2  # one empty list head may be chance


def address_of_copy(data: bytes) -> int | None:
    """The address at which ``data`` lived, or None where its list heads do not agree on one."""
    words = np.frombuffer(data, dtype="<u8", count=len(data) // 8)
    if len(words) < 2:
        return None
    slots = np.arange(len(words) - 1, dtype=np.uint64) * np.uint64(8)
    # Forward and backward link are the same. Small numbers wrap around here and fall out as no kernel address.
    heads = (words[:-1] - slots)[words[:-1] == words[1:]]
    votes: Counter[int] = Counter(base for base in heads.tolist() if is_kernel(base) and base % 16 == 0)
    ranked = votes.most_common(2)
    if not ranked or ranked[0][1] < _FEWEST_HEADS:
        return None
    if len(ranked) > 1 and ranked[1][1] == ranked[0][1]:
        return None
    return ranked[0][0]
