"""What memory wrote into a hardware error record, in both forms of the section.

Layouts: UEFI Specification, appendix N.2.5 "Memory Error Section" and N.2.6 "Memory Error Section 2".
"""

import struct
from collections.abc import Sequence

from analysis.kernel.whea_section import Section, status_words

FIRST_SIZE, SECOND_SIZE = 73, 64  # bytes up to the kind of the error
ERRORS = {
    2: "single-bit ECC error", 3: "multi-bit ECC error", 4: "single-symbol ChipKill ECC error",
    5: "multi-symbol ChipKill ECC error", 6: "master abort", 7: "target abort", 8: "parity error",
    9: "watchdog timeout", 10: "invalid address", 11: "broken mirror", 12: "memory sparing",
    13: "corrected error found by scrubbing", 14: "uncorrected error found by scrubbing", 15: "memory mapped out",
}  # fmt: skip
# Where in the memory: validation bit, offset, struct format, name.
Place = tuple[int, int, str, str]
FIRST: tuple[Place, ...] = (
    (3, 32, "<H", "node"), (4, 34, "<H", "card"), (5, 36, "<H", "module"), (6, 38, "<H", "bank"),
    (7, 40, "<H", "device"), (8, 42, "<H", "row"), (9, 44, "<H", "column"), (10, 46, "<H", "bit"),
    (15, 74, "<H", "rank"),
)  # fmt: skip
SECOND: tuple[Place, ...] = (
    (3, 32, "<H", "node"), (4, 34, "<H", "card"), (5, 36, "<H", "module"), (6, 38, "<H", "bank"),
    (7, 40, "<I", "device"), (8, 44, "<I", "row"), (9, 48, "<I", "column"), (10, 52, "<I", "rank"),
    (11, 56, "<I", "bit"), (12, 60, "<B", "chip"),
)  # fmt: skip
# Where the bank's number stands as group and address (bits 8 to 15 and 0 to 7): the bits that say so.
FIRST_GROUP, SECOND_GROUP = 1 << 19, 1 << 20
# Row bits 16 and 17, which the first form's 16 bits have no room for.
EXTENDED_ROW, EXTENSION = 1 << 18, 73
SLOT = ("node", "card", "module", "rank")


def read_first(body: bytes) -> Section | None:
    """The first form: places of 16 bits; the kind of error at the end."""
    if len(body) < FIRST_SIZE:
        return None
    return _told(body, FIRST, ERRORS.get(body[72]) if _valid(body) & 1 << 14 else None, FIRST_GROUP)


def read_second(body: bytes) -> Section | None:
    """The second form, of DDR4 and later: places of 32 bits, rank and chip."""
    if len(body) < SECOND_SIZE:
        return None
    return _told(body, SECOND, ERRORS.get(body[61]) if _valid(body) & 1 << 13 else None, SECOND_GROUP)


def _told(body: bytes, places: Sequence[Place], kind: str | None, group: int) -> Section:
    valid, status, address = struct.unpack_from("<QQQ", body)
    found = [
        (name, struct.unpack_from(form, body, at)[0])
        for bit, at, form, name in places
        if valid & 1 << bit and at + struct.calcsize(form) <= len(body)
    ]
    if places is FIRST and valid & EXTENDED_ROW and len(body) > EXTENSION:
        found = [(name, value | (body[EXTENSION] & 3) << 16 if name == "row" else value) for name, value in found]
    said = [f"{name} {value}" for name, value in found]
    if valid & group:
        bank = struct.unpack_from("<H", body, 38)[0]
        said.append(f"bank group {bank >> 8}, bank {bank & 0xFF}")
    # Who changes memory modules wants socket, slot and rank; row, column and bit are for the evidence.
    slot = [f"{name} {value}" for name, value in found if name in SLOT]
    kind = kind or (status_words(status) if valid & 1 else None) or "error"
    fact = f"memory reported a{'n' if kind[0] in 'aeiou' else ''} {kind}" + (f" in {', '.join(said)}" if said else "")
    if valid & 1 << 1:
        fact += f" at physical address {address:#x}"
    return Section("memory", "a memory module" + (f" ({', '.join(slot)})" if slot else ""), fact, exact=int(bool(slot)))


def _valid(body: bytes) -> int:
    return int(struct.unpack_from("<Q", body)[0])
