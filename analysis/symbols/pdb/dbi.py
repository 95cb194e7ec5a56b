"""The debug information stream: modules, whose code is where, and which other streams matter.

Source: LLVM's documentation ("The PDB DBI Stream").
"""

import struct
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.symbols.pdb.info import DBI, DBI_STREAM
from analysis.symbols.pdb.msf import Msf
from analysis.symbols.pdb.sections import Sections, read_omap, read_sections

NO_INDEX = 0xFFFF
MODULE = struct.Struct("<4x28xHHI24x")  # … flags, stream, bytes of symbols, …
CONTRIBUTIONS_60, CONTRIBUTIONS_2 = 0xEFFE_0000 + 19970605, 0xEFFE_0000 + 20140516
_CONTRIBUTION = [
    ("section", "<u2"),
    ("pad", "<u2"),
    ("offset", "<u4"),
    ("size", "<u4"),
    ("flags", "<u4"),
    ("module", "<u2"),
    ("rest", "V10"),
]
CONTRIBUTION = {CONTRIBUTIONS_60: np.dtype(_CONTRIBUTION), CONTRIBUTIONS_2: np.dtype([*_CONTRIBUTION, ("coff", "<u4")])}
FPO, OMAP_FROM_IMAGE, OMAP_TO_IMAGE, SECTIONS, FRAME_DATA, ORIGINAL_SECTIONS = 0, 3, 4, 5, 9, 10


@dataclass(frozen=True, slots=True)
class ModuleStream:
    """One object file's symbols: the stream (None: it has none) and how many of its bytes are symbols."""

    stream: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Contributions:
    """Whose code and data lies where: ``starts``, ``ends`` as linked RVAs by rising start, ``modules`` as indices."""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    modules: NDArray[np.int64]

    def at(self, linked: int) -> int | None:
        """The row that an RVA as linked lies in, or None."""
        row = int(np.searchsorted(self.starts, linked, side="right")) - 1
        return row if row >= 0 and linked < int(self.ends[row]) else None

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Dbi:
    """What the debug information stream says. ``symbols`` is the stream of public and global symbols, or None; ``fpo``
    and ``frames`` are those that describe the stack frames of 32-bit x86 code."""

    machine: int
    stripped: bool
    symbols: int | None
    modules: tuple[ModuleStream, ...]
    sections: Sections
    contributions: Contributions
    fpo: int | None = None
    frames: int | None = None


def read_dbi(msf: Msf) -> Dbi:
    """The debug information of a PDB.

    Raises:
        BadSymbols: it has none, or it contradicts itself.
    """
    data = msf.stream(DBI_STREAM, "debug information")
    if len(data) < DBI.size:
        raise msf.bad("it has no debug information")
    header = DBI.unpack_from(data)
    symbols, sizes = header[7], (*header[9:14], header[16], header[15])
    if header[0] != -1 or any(size < 0 for size in sizes) or DBI.size + sum(sizes) > len(data):
        raise msf.bad(f"its debug information of {len(data)} bytes contradicts itself")
    ends = np.cumsum((DBI.size, *sizes)).tolist()
    parts = [data[start:end] for start, end in pairwise(ends)]
    modules, contributions, _, _, _, _, streams = parts
    numbers = struct.unpack_from(f"<{len(streams) // 2}H", streams)
    sections = _sections(msf, numbers)
    return Dbi(
        machine=header[18],
        stripped=bool(header[17] & 2),
        symbols=symbols if symbols != NO_INDEX else None,
        modules=tuple(_modules(msf, modules)),
        sections=sections,
        contributions=_contributions(msf, contributions, sections),
        fpo=_optional(numbers, FPO),
        frames=_optional(numbers, FRAME_DATA),
    )


def _modules(msf: Msf, data: bytes) -> list[ModuleStream]:
    found = []
    at = 0
    while at + MODULE.size <= len(data):
        _, stream, size = MODULE.unpack_from(data, at)
        at += MODULE.size
        for _ in range(2):  # the names of the module and of its object file
            end = data.find(b"\0", at)
            if end < 0:
                raise msf.bad("its list of modules is cut short")
            at = end + 1
        at = at + 3 & ~3
        found.append(ModuleStream(stream if stream != NO_INDEX else None, size))
    return found


def _contributions(msf: Msf, data: bytes, sections: Sections) -> Contributions:
    kind = CONTRIBUTION.get(int.from_bytes(data[:4], "little"))
    if kind is None:
        if data:
            raise msf.bad("its section contributions are of an unknown form")
        return Contributions(*(np.empty(0, np.int64) for _ in range(3)))
    rows = np.frombuffer(data, kind, (len(data) - 4) // kind.itemsize, 4)
    starts = sections.linked(rows["section"], rows["offset"])
    sound = (starts >= 0) & (rows["size"] > 0)
    starts, rows = starts[sound], rows[sound]
    order = np.argsort(starts, kind="stable")
    ends = starts + rows["size"].astype(np.int64)
    return Contributions(starts[order], ends[order], rows["module"].astype(np.int64)[order])


def _optional(streams: tuple[int, ...], index: int) -> int | None:
    number = streams[index] if index < len(streams) else NO_INDEX
    return number if number != NO_INDEX else None


def _sections(msf: Msf, streams: tuple[int, ...]) -> Sections:
    def optional(index: int, what: str) -> bytes | None:
        number = _optional(streams, index)
        return msf.stream(number, what) if number is not None else None

    headers = optional(SECTIONS, "section headers")
    if headers is None:
        raise msf.bad("it has no section headers, so nothing in it has an address")
    to_image, from_image = optional(OMAP_TO_IMAGE, "address map"), optional(OMAP_FROM_IMAGE, "address map")
    original = optional(ORIGINAL_SECTIONS, "section headers as linked")
    if not to_image or not from_image or not original:
        return Sections(*read_sections(headers))
    return Sections(*read_sections(original), read_omap(to_image), read_omap(from_image))
