"""Which PDB this is: its GUID, age and features, and the debug information's header."""

import struct
from dataclasses import dataclass

from analysis.symbols.pdb.msf import Msf

INFO_STREAM, DBI_STREAM = 1, 3
INFO = struct.Struct("<3I16s")
FIRST_VERSION = 20000404  # of the form that has a GUID (Visual C++ 7)
MINIMAL = 0x494E494D  # "MINI": linked with /DEBUG:FASTLINK
DBI = struct.Struct("<iII6H5iIiiHHI")


@dataclass(frozen=True, slots=True)
class Info:
    """GUID as 32 upper-case hex digits, the age that images name, and the features it was written with."""

    guid: str
    age: int
    features: tuple[int, ...]


def read_info(msf: Msf) -> Info:
    """What a PDB says of itself.

    Raises:
        BadSymbols: it is damaged, or holds no symbols of its own (/DEBUG:FASTLINK).
    """
    data = msf.stream(INFO_STREAM, "information stream")
    if len(data) < INFO.size:
        raise msf.bad("its information stream is cut short")
    version, _, age, raw = INFO.unpack_from(data)
    if version < FIRST_VERSION:
        raise msf.bad(f"written in the form of {version}, which has no GUID")
    first, second, third, rest = struct.unpack("<IHH8s", raw)
    features = _features(data)
    if MINIMAL in features:
        raise msf.bad("linked with /DEBUG:FASTLINK: its symbols are in the object files of whoever built it")
    return Info(f"{first:08X}{second:04X}{third:04X}{rest.hex().upper()}", _image_age(msf, age), features)


# Tools that add sources to a PDB raise its own age; images go by the age that the linker wrote beside the symbols.
def _image_age(msf: Msf, own: int) -> int:
    header = msf.stream(DBI_STREAM, "debug information", DBI.size) if msf.has(DBI_STREAM) else b""
    return own if len(header) < 12 else int.from_bytes(header[8:12], "little")


def named_stream(msf: Msf, wanted: str) -> int | None:
    """The number of a named stream ("/names"), or None: there is none of that name, or their table is damaged."""
    data = msf.stream(INFO_STREAM, "information stream")
    at = INFO.size
    texts = data[at + 4 : at + 4 + _u32(data, at)]
    at += 4 + len(texts)
    used = _u32(data, at)
    at += 8
    for _ in range(2):
        at += 4 + 4 * _u32(data, at)
    for where in range(at, min(at + 8 * used, len(data) - 7), 8):
        name, stream = struct.unpack_from("<II", data, where)
        if texts[name : name + len(wanted) + 1] == wanted.encode() + b"\0":
            return int(stream)
    return None


# Behind the names of the named streams: text, a hash table with its two bit sets, then words up to the end.
def _features(data: bytes) -> tuple[int, ...]:
    at = INFO.size
    at += 4 + _u32(data, at)
    size = _u32(data, at)
    at += 8
    for _ in range(2):
        at += 4 + 4 * _u32(data, at)
    at += 8 * size
    return tuple(_u32(data, where) for where in range(at, len(data) - 3, 4))


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
