"""Exported names of an image in memory, as a symbol table that knows no private functions."""

import struct
from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analysis.errors import Unreadable
from analysis.limits import MAX_EXPORTS
from analysis.memory.reader import Memory
from analysis.symbols.layout import Layout
from analysis.symbols.names import NameIndex

DIRECTORY_BYTES = 40
MAX_NAME = 512


class Exports:
    """The names an image exports. ``name`` is the image's own in the table, ``forwarders`` name → "OTHER.Function"."""

    has_functions = False

    def __init__(self, name: str, names: Mapping[str, int], forwarders: Mapping[str, str]) -> None:
        self.name = name
        self.forwarders = forwarders
        self.origin = f"exports of {name or 'an image'}"
        self.names = names

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def rva(self, name: str) -> int | None:
        """The RVA of an exported symbol, or None. A forwarded name has no RVA here."""
        return self.names.get(name)

    def nearest(self, rva: int) -> tuple[str, int] | None:
        """The export at or below ``rva`` and the distance in bytes. Only a distance of 0 names anything for sure."""
        return self._index.nearest(rva)

    def layout(self, name: str) -> Layout | None:  # noqa: ARG002 -- the protocol's signature
        """Always None."""
        return None


def read_exports(memory: Memory, base: int, image_size: int, rva: int, size: int) -> Exports | None:
    """The export table at ``rva`` (``size`` bytes), or None where its directory or its arrays cannot be read.

    A name whose characters lie on a missing page is left out; the others stay.
    """
    window = _Window(memory, base, rva, memory.read_available(base + rva, size))
    try:
        head = window.read(rva, DIRECTORY_BYTES)
        name_rva, _, functions, names, addresses_at, names_at, ordinals_at = struct.unpack_from("<7I", head, 12)
        if not 0 < names <= MAX_EXPORTS or not 0 < functions <= MAX_EXPORTS:
            return None
        addresses = window.array(addresses_at, functions, "<u4")
        name_rvas = window.array(names_at, names, "<u4")
        ordinals = window.array(ordinals_at, names, "<u2")
    except Unreadable:
        return None
    plain: dict[str, int] = {}
    forwarders: dict[str, str] = {}
    for where, ordinal in zip(name_rvas.tolist(), ordinals.tolist(), strict=True):
        name = window.text(where)
        target = int(addresses[ordinal]) if ordinal < functions else 0
        if not name or not 0 < target < image_size:
            continue
        # An "address" inside the export table is the text "OTHERDLL.Name": the function lives elsewhere.
        if rva <= target < rva + size:
            forwarders[name] = window.text(target)
        else:
            plain[name] = target
    return Exports(window.text(name_rva), plain, forwarders)


class _Window:
    """The export section as far as it was saved, and the memory for what lies outside of it."""

    def __init__(self, memory: Memory, base: int, rva: int, data: bytes) -> None:
        self._memory = memory
        self._base = base
        self._rva = rva
        self._data = data

    def read(self, rva: int, size: int) -> bytes:
        at = rva - self._rva
        if at >= 0 and at + size <= len(self._data):
            return self._data[at : at + size]
        return self._memory.read(self._base + rva, size)

    def array(self, rva: int, count: int, kind: str) -> NDArray[np.uint32]:
        return np.frombuffer(self.read(rva, count * np.dtype(kind).itemsize), kind).astype(np.uint32)

    def text(self, rva: int) -> str:
        at = rva - self._rva
        if not 0 <= at < len(self._data):
            raw = self._memory.read_available(self._base + rva, MAX_NAME)
        else:
            raw = self._data[at : at + MAX_NAME]
            if b"\0" not in raw:
                raw = self._memory.read_available(self._base + rva, MAX_NAME)
        text, end, _ = raw.partition(b"\0")
        return text.decode("ascii", "replace") if end else ""
