"""Changes that a byte-wise fuzzer finds slowly: whole fields set to values at which checks break."""

import random
import re
from collections.abc import Sequence

_WORD = re.compile(rb'"[^"]*"|\{[^{}]*\}|\[[^\[\]]*\]|[\w.`!+-]+')
_EDGES = (0, 1, 2, 3, 7, 8, 0x10, 0x18, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0x2000, 0x7FFF, 0x8000, 0xFFFF, 1 << 16)
_ONES = (1 << 31, (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 0xFFFF_F800_0000_0000)


def change_fields(data: bytes, hot: Sequence[tuple[int, int]], rng: random.Random) -> bytes:
    """The same input with one to four aligned fields of 1 to 8 bytes set, each in one of the ranges ``hot``."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start, end = rng.choice(hot) if hot and rng.random() < 0.8 else (0, len(changed))
        width = rng.choice((1, 2, 4, 4, 8))
        at = rng.randrange(start, max(start + 1, min(end, len(changed)))) // width * width
        if at + width <= len(changed):
            value = _value(changed, at, width, rng)
            changed[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(changed)


def change_words(data: bytes, words: Sequence[bytes], rng: random.Random) -> bytes:
    """The same text with one to three of its words, strings or innermost brackets replaced by one of ``words``, or by
    another of its own."""
    changed = data
    for _ in range(rng.randint(1, 3)):
        found = list(_WORD.finditer(changed))
        if not found:
            break
        place = rng.choice(found)
        put = rng.choice(words) if rng.random() < 0.7 else rng.choice(found)[0]
        changed = changed[: place.start()] + put + changed[place.end() :]
    return changed


def _value(data: bytearray, at: int, width: int, rng: random.Random) -> int:
    now = int.from_bytes(data[at : at + width], "little")
    match rng.randrange(6):
        case 0:
            return rng.choice(_EDGES)
        case 1:
            return rng.choice(_ONES) - rng.choice((0, 0, 1, 8, 0x1000))
        case 2:
            return now + rng.choice((-8, -1, 1, 8, 0x1000))
        case 3:
            return len(data) - rng.choice((0, 1, 4, 8, 16))
        case 4:
            other = rng.randrange(0, max(1, len(data) - width))
            return int.from_bytes(data[other : other + width], "little")
    return rng.getrandbits(8 * width)
