"""What each processor was doing when the machine stopped, for stops that say that one did not come back in time.

A processor that spins waits for a spin lock, which keeps no owner, or for the other processors to answer. The names on
its stack tell that it spins and for whom: the first caller outside the functions that only wait.
"""

from collections.abc import Iterable

from analysis.kernel.facts import Frame, Lock
from analysis.kernel.scene import Scene
from analysis.kernel.spin_locks import read_spin_locks
from analysis.kernel.spinning import SPINNING, Processor, function_of, spinning

# Clock and DPC watchdogs: here a processor is stuck, and no thread need wait for anything.
STUCK_PROCESSOR = frozenset({0x101, 0x133, 0x1CA})
# Functions that wait for the other processors to answer an interrupt.
ANSWERS = frozenset({
    "KiIpiStallOnPacketTargetsPrcb", "KiIpiStallOnPacketTargets", "KiIpiSendRequestEx", "KeIpiGenericCall",
    "KiIpiGenericCall", "KeFlushMultipleRangeTb", "KeFlushSingleTb", "KeFlushTb", "KxFlushEntireTb",
    "KeFlushProcessWriteBuffers", "KeStallWhileFrozen",
})  # fmt: skip
SPINS = "which spins for a spin lock"
_MAX_TOLD = 64
_NEAR = 12  # frames: farther out the function that spun has long returned or called on


def about_processors(scene: Scene, locks: Iterable[Lock] = ()) -> list[str]:
    """A sentence for each processor that does not idle, in the order of their numbers. ``locks`` are the spin locks
    that are known."""
    by_thread = {held.thread: lock for lock in locks for held in lock.waiters}
    told = (_about(one, by_thread.get(one.thread.address)) for one in scene.processors)
    return [text for text in told if text is not None][:_MAX_TOLD]


def spin_locks(scene: Scene) -> tuple[Lock, ...]:
    """The spin locks that processors spin for, as far as they can be told; of 32-bit kernels none."""
    if scene.memory.pointer_size == 4:
        return ()
    return read_spin_locks(scene.memory, scene.symbols, scene.processors, scene.module_at)


def _about(processor: Processor, lock: Lock | None) -> str | None:
    thread, frames = processor.thread, processor.stack.frames
    home = f"{thread.process_name}, {thread.pid}/{thread.tid}"
    who = f"processor {thread.processor} runs thread {thread.address:#x} ({home})"
    spins = spinning(frames)
    if spins is not None:
        which = f" ({lock.name or f'{lock.address:#x}'})" if lock is not None else ""
        return f"{who}, {SPINS}{which}{_caller(frames, spins[0], SPINNING)}; {_holder(lock)}"
    asks = next((at for at, frame in enumerate(frames[:_NEAR]) if function_of(frame) in ANSWERS), None)
    if asks is not None:
        return f"{who}, which waits for other processors to answer{_caller(frames, asks, ANSWERS)}"
    if not frames or thread.pid == 0:
        return None
    return f"{who}, in {frames[0].symbol}"


def _holder(lock: Lock | None) -> str:
    if lock is not None and lock.owners:
        return f"thread {lock.owners[0].thread:#x} holds it, as the lock's own queue says"
    return "a spin lock keeps no owner" + ("" if lock is not None else ", and which one it is cannot be told")


def _caller(frames: tuple[Frame, ...], at: int, functions: frozenset[str]) -> str:
    caller = next((frame for frame in frames[at:] if frame.module and function_of(frame) not in functions), None)
    return f" in {frames[at].symbol}" + (f", called by {caller.symbol}" if caller is not None else "")
