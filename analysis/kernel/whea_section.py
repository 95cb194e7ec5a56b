"""What the sections of a hardware error record have in common: the answer, and the status word of errors on buses.

Layout: UEFI Specification, appendix N.2.13 "Error Status" (bits 8 to 15: the kind; from bit 16: what was hit).
"""

from dataclasses import dataclass

ERROR_KINDS = {
    1: "internal", 4: "memory storage", 5: "address translation buffer", 6: "cache", 7: "access to a failed unit",
    8: "self-test", 9: "counter overflow", 16: "bus", 17: "address that is not mapped", 18: "improper access",
    19: "access to what does not exist", 20: "lost lockstep", 21: "unexpected answer", 22: "parity", 23: "protocol",
    24: "path", 25: "timeout", 26: "poisoned data",
}  # fmt: skip
ON_WIRES = {16: "address", 17: "control", 18: "data"}
BY_WHOM = {19: "seen by who answered", 20: "seen by who asked"}


@dataclass(frozen=True, slots=True)
class Section:
    """One section in words: ``kind`` is processor, memory, pcie, firmware or nmi; ``what`` a phrase naming the part
    that failed; ``fact`` a sentence with all that the section says. ``exact`` is higher the more exactly it names the
    part: 0 not at all, 1 by number, 2 by bank."""

    kind: str
    what: str
    fact: str
    exact: int = 0
    socket: int | None = None


def status_words(status: int) -> str | None:
    """An error status in words: "parity error on the data lines, seen by who asked"; None where it says nothing."""
    kind = ERROR_KINDS.get(status >> 8 & 0xFF)
    wires = [text for bit, text in ON_WIRES.items() if status & 1 << bit]
    if kind is None and not wires:
        return None
    told = f"{kind} error" if kind else "error"
    if wires:
        told += f" on the {' and '.join(wires)} lines"
    return ", ".join([told, *(text for bit, text in BY_WHOM.items() if status & 1 << bit)])
