"""An address to bytes, or the reason why not."""

from analysis.memory.arm64 import AddressSpaceArm64
from analysis.memory.blocks import BlockMemory
from analysis.memory.opening import open_memory
from analysis.memory.physical import PhysicalMemory
from analysis.memory.reader import Memory
from analysis.memory.x64 import AddressSpace

__all__ = ["AddressSpace", "AddressSpaceArm64", "BlockMemory", "Memory", "PhysicalMemory", "open_memory"]
