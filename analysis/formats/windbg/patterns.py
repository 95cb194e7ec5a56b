"""The spellings that several readers share: numbers, symbols, prompts."""

import re

# "fffff800`1234abcd", "fffff8001234abcd", "85f6da70", with or without 0x.
HEX = r"(?:0x)?[0-9a-fA-F]{1,8}(?:`[0-9a-fA-F]{8}|[0-9a-fA-F]{0,8})"
ADDRESS = r"(?:[0-9a-fA-F]{8}`[0-9a-fA-F]{8}|[0-9a-fA-F]{16}|[0-9a-fA-F]{8})"
MODULE = r"[A-Za-z0-9_.$@-]{1,64}"
PROMPT = re.compile(r"^\s*(?:\d{1,3}: )?(?:kd|lkd|\d{1,3}:\d{3})(?::x86)?> ?(.{0,300})$")
SYMBOL = re.compile(rf"({MODULE})(?:!(\S.{{0,250}}?))?(?:\+(?:0x)?([0-9a-fA-F]{{1,16}}))?$")


def number(text: str) -> int:
    """The value of a printed number: hex, with or without ``0x`` and backtick.

    Raises:
        ValueError: it is none.
    """
    return int(text.replace("`", ""), 16)


def module_of(symbol: str) -> str | None:
    """The module of a printed symbol; None where it is a bare address or no symbol at all."""
    if symbol.startswith("0x"):
        return None
    found = SYMBOL.match(symbol)
    return found[1] if found and (found[2] or found[3]) else None


def spell(symbol: str) -> str:
    """A symbol as reports print it: an offset has ``0x``, and there is none for zero ("nt!Foo+0")."""
    found = re.match(r"(.{1,300}?)\+(?:0x)?([0-9a-fA-F]{1,16})$", symbol)
    if not found:
        return symbol
    offset = int(found[2], 16)
    return f"{found[1]}+{offset:#x}" if offset else found[1]
