"""What the unpacking of one archive may cost, and what stops it. Light: the settings are built from these."""

from dataclasses import dataclass
from typing import Literal

# What people lock dumps with by habit: the two passwords that mail filters and malware analysts agreed on.
USUAL_PASSWORDS = ("infected", "password")

Kind = Literal["password", "limit", "damaged", "unsupported", "no-dump", "fault"]

NOT_A_DUMP, STOPPED_BY_LIMIT, FAULT = 3, 5, 1


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Caps on one archive: dumps taken out, members looked at, bytes that come out of every decoder together, and how
    many times the archive's own size that may be (of more than ``free_bytes``). ``depth`` archives in an archive.

    Deflate packs at most 1,032 to 1; real memory dumps pack 3 to 50 to 1.
    """

    max_dumps: int = 20
    max_members: int = 20_000
    max_bytes: int = 64_000_000_000
    max_ratio: int = 300
    free_bytes: int = 256 << 20
    depth: int = 1
    seconds: float = 1800.0
    memory_bytes: int = 1_000_000_000


class ArchiveFailed(Exception):
    """No dump came out. ``kind`` is a word for programs, ``line`` completes "I could not open this archive: …"."""

    def __init__(self, kind: Kind, line: str) -> None:
        super().__init__(line)
        self.kind: Kind = kind
        self.line = line

    @property
    def exit_code(self) -> int:
        """The command's exit status: 5 when a limit stopped it, 1 for a fault of ours, else 3."""
        return {"limit": STOPPED_BY_LIMIT, "fault": FAULT}.get(self.kind, NOT_A_DUMP)
