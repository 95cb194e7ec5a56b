"""How functions of 32-bit x86 code lay out their stack frames: the FPO and the frame data streams of a PDB.

Such code has no unwind data in its image. Source: FPO_DATA of the public winnt.h, FRAMEDATA of cvinfo.h in Microsoft's
microsoft-pdb repository, and LLVM's documentation.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from analysis.symbols.pdb.records import BadRecord

FPO = np.dtype([("start", "<u4"), ("size", "<u4"), ("locals", "<u4"), ("params", "<u2"), ("bits", "<u2")])
FRAME = np.dtype(
    [
        ("start", "<u4"),
        ("size", "<u4"),
        ("locals", "<u4"),
        ("params", "<u4"),
        ("most", "<u4"),
        ("program", "<u4"),
        ("prolog", "<u2"),
        ("saved", "<u2"),
        ("flags", "<u4"),
    ]
)
FUNCTION_START = 4  # of flags
PROLOG, SAVED_SHIFT, SAVED, SAVES_EBP, KIND_SHIFT = 0xFF, 8, 7, 1 << 12, 14  # of bits
NAMES_SIGNATURE = 0xEFFE_EFFE
NAMES_START = 12
LONGEST_PROGRAM = 1024
MOST_STEPS = 64  # records of one prologue


class FrameKind(Enum):
    """How a frame is described."""

    PROGRAM = "a program in reverse Polish notation"
    NO_POINTER = "sizes alone, counted from the stack pointer"
    POINTER = "with a frame pointer"
    TRAP = "a trap frame, or a task's"


_KINDS = (FrameKind.NO_POINTER, FrameKind.TRAP, FrameKind.TRAP, FrameKind.POINTER)


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """The frame of the code from ``start`` (an RVA as linked) on for ``size`` bytes; all sizes are bytes.

    ``function`` is where the function begins, ``prolog`` how much of its prologue is still to run at ``start``.
    ``program`` is there for the kind of that name only; ``saves_ebp``: Ebp is a register like any other here, saved
    where nothing tells.
    """

    start: int
    size: int
    kind: FrameKind
    function: int
    locals: int
    params: int
    saved: int
    prolog: int
    program: str = ""
    saves_ebp: bool = False


class FrameData:
    """The records of one PDB. ``names`` is the stream that the programs' texts lie in.

    Raises:
        BadRecord: a stream is damaged.
    """

    def __init__(self, fpo: bytes, frames: bytes, names: bytes) -> None:
        # The linker may put a relocation in front of the frame data.
        first = len(frames) % FRAME.itemsize
        if len(fpo) % FPO.itemsize or first not in (0, 4):
            raise BadRecord("has frame data that are no whole number of records")
        self._fpo = _sorted(np.frombuffer(fpo, FPO))
        self._frames = _sorted(np.frombuffer(frames, FRAME, offset=first))
        self._texts = _texts(names)

    def __len__(self) -> int:
        return len(self._fpo) + len(self._frames)

    def at(self, rva: int) -> FrameRecord | None:
        """The record that describes the code at an RVA as linked, the richer kind first; None where there is none."""
        row = _row(self._frames, rva)
        return self._frame(row) if row is not None else self._plain(rva)

    def _frame(self, row: int) -> FrameRecord | None:
        one = self._frames[row]
        return FrameRecord(
            int(one["start"]),
            int(one["size"]),
            FrameKind.PROGRAM,
            self._function(row),
            int(one["locals"]),
            int(one["params"]),
            int(one["saved"]),
            int(one["prolog"]),
            self._program(int(one["program"])),
        )

    def _plain(self, rva: int) -> FrameRecord | None:
        row = _row(self._fpo, rva)
        if row is None:
            return None
        one = self._fpo[row]
        bits = int(one["bits"])
        kind = _KINDS[bits >> KIND_SHIFT]
        start = int(one["start"])
        return FrameRecord(
            start,
            int(one["size"]),
            kind,
            start,
            4 * int(one["locals"]),
            4 * int(one["params"]),
            4 * (bits >> SAVED_SHIFT & SAVED),
            bits & PROLOG,
            saves_ebp=kind is FrameKind.NO_POINTER and bool(bits & SAVES_EBP),
        )

    # A function has a record for each step of its prologue; all but the first begin inside the first.
    def _function(self, row: int) -> int:
        starts = np.flatnonzero(self._frames["flags"][: row + 1] & FUNCTION_START)
        first = self._frames[int(starts[-1])] if len(starts) else self._frames[row]
        inside = int(self._frames[row]["start"]) < int(first["start"]) + int(first["size"])
        return int(first["start"]) if inside else int(self._frames[row]["start"])

    def _program(self, offset: int) -> str:
        end = self._texts.find(b"\0", offset, offset + LONGEST_PROGRAM + 1)
        return self._texts[offset:end].decode("ascii", "replace") if 0 <= offset < end else ""


def _texts(names: bytes) -> bytes:
    if not names:
        return b""
    size = int.from_bytes(names[8:12], "little")
    if int.from_bytes(names[:4], "little") != NAMES_SIGNATURE or NAMES_START + size > len(names):
        raise BadRecord("has a table of names that contradicts itself")
    return names[NAMES_START : NAMES_START + size]


def _sorted(rows: NDArray[np.void]) -> NDArray[np.void]:
    return rows[np.argsort(rows["start"], kind="stable")]


# Of records that overlap, the one that begins last describes the code best.
def _row(rows: NDArray[np.void], rva: int) -> int | None:
    last = int(np.searchsorted(rows["start"], rva, side="right")) - 1
    for row in range(last, max(-1, last - MOST_STEPS), -1):
        start, size = int(rows["start"][row]), int(rows["size"][row])
        if rva < start + size:
            return row
        # What ends before may lie inside a longer record of the same function, and only there.
        if "flags" not in (rows.dtype.names or ()) or int(rows["flags"][row]) & FUNCTION_START:
            return None
    return None
