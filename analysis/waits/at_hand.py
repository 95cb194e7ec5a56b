"""Who may signal an object that nobody owns: threads that have its address on the stack in use.

That is a hint and no proof: a thread that has signaled it, or only once looked at it, may have it there as well.
"""

from collections.abc import Collection, Iterator

import numpy as np

from analysis.address import VirtAddr
from analysis.kernel.facts import Thread
from analysis.kernel.scene import Scene

_WINDOW = 0x1000  # bytes of each stack, from the stack pointer up
_MAX_THREADS = 4096


def at_hand(scene: Scene, objects: Collection[int]) -> dict[int, tuple[Thread, ...]]:
    """The threads that have the address of one of the objects on their stack and do not wait for it, by object."""
    wanted = np.array(sorted(objects), np.uint64)
    found: dict[int, list[Thread]] = {}
    for thread, pointer in _stacks(scene) if objects else ():
        data = scene.memory.read_available(pointer, _window(thread, pointer))
        words = np.frombuffer(data[: len(data) // 8 * 8], np.uint64)
        waited = {one.address for one in thread.waits}
        for address in map(int, np.unique(words[np.isin(words, wanted)])):
            if address not in waited:
                found.setdefault(address, []).append(thread)
    return {address: tuple(threads) for address, threads in found.items()}


def _stacks(scene: Scene) -> Iterator[tuple[Thread, VirtAddr]]:
    for processor in scene.processors:
        if processor.registers is not None:
            yield processor.thread, VirtAddr(processor.registers.rsp)
    for thread in list(scene.facts.threads.values())[:_MAX_THREADS]:
        if thread.processor is None and thread.kernel_stack is not None and thread.stack_resident:
            yield thread, thread.kernel_stack


def _window(thread: Thread, pointer: int) -> int:
    base = thread.stack_base or 0
    return min(_WINDOW, base - pointer) if base > pointer else _WINDOW
