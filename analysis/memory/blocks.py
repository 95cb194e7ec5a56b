"""Virtual memory of a small dump: the blocks it kept, found by bisection."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from analysis.errors import Absence, Unreadable
from analysis.formats.image import DataBlock
from analysis.formats.raw import RawFile
from analysis.memory.reader import Memory, readable


class BlockMemory(Memory):
    """Blocks of virtual memory. Where blocks overlap, the one that starts first is read; all were saved at once."""

    def __init__(self, raw: RawFile, blocks: Iterable[DataBlock]) -> None:
        self._raw = raw
        self._blocks = _disjoint(blocks)
        self._starts = [block.address for block in self._blocks]

    @property
    def blocks(self) -> tuple[DataBlock, ...]:
        """What is there, in order of address, without overlaps."""
        return self._blocks

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes, across adjacent blocks if need be. Raises: Unreadable."""
        return b"".join(self._parts(address, size))

    def read_available(self, address: int, size: int) -> bytes:
        """The longest readable prefix."""
        return readable(self._parts(address, size))

    def _parts(self, address: int, size: int) -> Iterator[bytes]:
        position, end = address, address + size
        while position < end:
            index = bisect_right(self._starts, position) - 1
            block = self._blocks[index] if index >= 0 else None
            if block is None or position >= block.address + block.size:
                raise Unreadable(position, Absence.NOT_SAVED, "a small dump keeps few blocks of memory")
            within = position - block.address
            length = min(block.size - within, end - position)
            yield self._raw.read(block.offset + within, length, "a block of memory")
            position += length


def _disjoint(blocks: Iterable[DataBlock]) -> tuple[DataBlock, ...]:
    result: list[DataBlock] = []
    end = 0
    for block in sorted(blocks, key=lambda block: (block.address, -block.size)):
        hidden = max(0, end - block.address)
        if hidden < block.size:
            result.append(DataBlock(block.address + hidden, block.offset + hidden, block.size - hidden))
            end = block.address + block.size
    return tuple(result)
