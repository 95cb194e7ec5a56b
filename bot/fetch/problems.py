"""Why a link could not be fetched: one line each, with a word for programs and an exit status.

The line never holds a query, a password or an address that a host name turned out to have.
"""

from typing import Literal

Kind = Literal[
    "address",
    "refused",
    "dns",
    "connect",
    "tls",
    "status",
    "redirect",
    "network",
    "size",
    "time",
    "disk",
    "changed",
    "page",
]

LIMITS: frozenset[Kind] = frozenset({"size", "time", "disk"})
COULD_NOT_FETCH, STOPPED_BY_LIMIT = 4, 5


class Unchanged(Exception):
    """The server says that the file is still the one of the tag we know."""


class FetchFailed(Exception):
    """A link could not be fetched; ``kind`` says which way, ``line`` completes "I could not read this: …"."""

    def __init__(self, kind: Kind, line: str) -> None:
        super().__init__(line)
        self.kind: Kind = kind
        self.line = line

    @property
    def exit_code(self) -> int:
        """The command's exit status: 5 when a limit stopped it, else 4."""
        return STOPPED_BY_LIMIT if self.kind in LIMITS else COULD_NOT_FETCH
