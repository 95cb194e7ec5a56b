"""Which threads have an object's address on their stack: a hint at who may signal it."""

from dataclasses import replace
from typing import cast

from analysis.address import VirtAddr
from analysis.kernel.context import Registers
from analysis.kernel.facts import KernelFacts, Stack, Thread, WaitObject
from analysis.kernel.scene import Scene
from analysis.kernel.spinning import Processor
from analysis.waits.at_hand import at_hand
from tests.kernel.invented import Bytes

EVENT, STACKS = 0xFFFF_A000_0000_0000, 0xFFFF_B000_0000_0000


class Around:
    """What is asked of a scene."""

    def __init__(self) -> None:
        self.memory = Bytes()
        self.facts = KernelFacts()
        self.processors: tuple[Processor, ...] = ()

    def add(self, number: int, *words: int, waits_for: int | None = None) -> Thread:
        """A thread with these words above its stack pointer."""
        pointer = STACKS + number * 0x1_0000
        self.memory.put(pointer, bytes(0x800))
        self.memory.put_u64(pointer + 0x100, *words)
        waits = (WaitObject(VirtAddr(waits_for), "event", VirtAddr(1)),) if waits_for else ()
        thread = Thread(
            VirtAddr(0x1000 * number), VirtAddr(1), "System", 4, number, "Waiting", "Executive", waits=waits,
            kernel_stack=VirtAddr(pointer), stack_base=VirtAddr(pointer + 0x800),
        )  # fmt: skip
        self.facts.threads[thread.address] = thread
        return thread

    def found(self) -> dict[int, list[int]]:
        near = at_hand(cast("Scene", self), {EVENT, EVENT + 0x40})
        return {address: [thread.tid for thread in threads] for address, threads in near.items()}


def test_those_who_have_the_address_are_found_and_those_who_wait_for_it_are_not() -> None:
    around = Around()
    around.add(1, EVENT, waits_for=EVENT)
    around.add(2, 0x10, EVENT)
    around.add(3, EVENT + 8)
    around.add(4, EVENT + 0x40, EVENT)
    assert around.found() == {EVENT: [2, 4], EVENT + 0x40: [4]}


def test_a_running_thread_is_looked_at_from_its_registers_and_a_paged_out_stack_not_at_all() -> None:
    around = Around()
    running = replace(around.add(1, EVENT), processor=0, kernel_stack=VirtAddr(STACKS + 0xF_0000))
    gone = replace(around.add(2, EVENT), stack_resident=False)
    around.facts.threads.update({running.address: running, gone.address: gone})
    around.processors = (Processor(running, Stack(), Registers(0x10, STACKS + 0x1_0000)),)
    assert around.found() == {EVENT: [1]}


def test_nothing_wanted_reads_nothing() -> None:
    around = Around()
    around.add(1, EVENT)
    around.memory.lose(STACKS + 0x1_0000, 0x800)
    assert around.found() == {}
    assert at_hand(cast("Scene", around), set()) == {}
