"""Strings that a parameter points to: a UNICODE_STRING, or characters of one or two bytes up to a zero."""

from analysis.errors import Unreadable
from analysis.memory.reader import Memory

MAX_CHARACTERS = 260
LEAST_CHARACTERS = 3  # anything shorter is as likely a number


def read_text(memory: Memory, address: int) -> str | None:
    """The string at ``address``, whichever way it is written; None where there is none that can be printed."""
    if not memory.is_kernel(address):
        return None
    return _unicode_string(memory, address) or _wide(memory, address) or _narrow(memory, address)


def _unicode_string(memory: Memory, address: int) -> str | None:
    try:
        return _believed(memory.unicode_string(address))
    except Unreadable:
        return None


def _wide(memory: Memory, address: int) -> str | None:
    raw = memory.read_available(address, MAX_CHARACTERS * 2)
    text, _, _ = raw[: len(raw) & ~1].decode("utf-16-le", "replace").partition("\0")
    return _believed(text)


def _narrow(memory: Memory, address: int) -> str | None:
    raw = memory.read_available(address, MAX_CHARACTERS)
    found, end, _ = raw.partition(b"\0")
    return _believed(found.decode("ascii", "replace")) if end else None


def _believed(text: str) -> str | None:
    stripped = text.strip()
    # Bytes of another encoding read as UTF-16 give ideographs: names of drivers and processes are of the first plane's
    # lower half.
    plain = all(character.isprintable() and character < "\u2000" for character in stripped)
    return stripped if len(stripped) >= LEAST_CHARACTERS and plain and len(stripped) <= MAX_CHARACTERS else None
