"""What each processor was doing when the machine stopped, for stops that say that one did not come back in time.

A processor that spins waits for a spin lock, which keeps no owner, or for the other processors to answer. The names on
its stack tell that it spins and for whom: the first caller outside the functions that only wait.
"""

from analysis.kernel.facts import Frame, Thread
from analysis.kernel.scene import Scene

# Clock and DPC watchdogs: here a processor is stuck, and no thread need wait for anything.
STUCK_PROCESSOR = frozenset({0x101, 0x133, 0x1CA})
# Functions of nt that spin for a spin lock, from 7601 to 22000.
SPINNING = frozenset({
    "KxWaitForSpinLockAndAcquire", "KeAcquireSpinLockAtDpcLevel", "KeAcquireSpinLockRaiseToDpc", "KfAcquireSpinLock",
    "KeAcquireSpinLockRaiseToSynch", "KeAcquireInStackQueuedSpinLock", "KeAcquireInStackQueuedSpinLockAtDpcLevel",
    "KeAcquireQueuedSpinLock", "KxWaitForLockOwnerShip", "KxWaitForLockOwnerShipWithIrql",
    "KxWaitForLockChainValid", "KiAcquireSpinLockInstrumented", "KiAcquireQueuedSpinLockInstrumented",
    "ExpWaitForSpinLockExclusiveAndAcquire", "ExpWaitForSpinLockSharedAndAcquire", "ExAcquireSpinLockExclusive",
    "ExAcquireSpinLockShared", "ExAcquireSpinLockExclusiveAtDpcLevel", "ExAcquireSpinLockSharedAtDpcLevel",
    "KeAcquireInterruptSpinLock", "KiAcquireInterruptObjectSpinLock",
})  # fmt: skip
# Functions that wait for the other processors to answer an interrupt.
ANSWERS = frozenset({
    "KiIpiStallOnPacketTargetsPrcb", "KiIpiStallOnPacketTargets", "KiIpiSendRequestEx", "KeIpiGenericCall",
    "KiIpiGenericCall", "KeFlushMultipleRangeTb", "KeFlushSingleTb", "KeFlushTb", "KxFlushEntireTb",
    "KeFlushProcessWriteBuffers", "KeStallWhileFrozen",
})  # fmt: skip
SPINS = "which spins for a spin lock"
_MAX_TOLD = 64
_NEAR = 12  # frames: farther out the function that spun has long returned or called on


def about_processors(scene: Scene) -> list[str]:
    """A sentence for each processor that does not idle, in the order of their numbers."""
    running = [thread for thread in scene.facts.threads.values() if thread.processor is not None]
    running.sort(key=lambda thread: thread.processor or 0)
    told = (_about(scene, thread) for thread in running)
    return [text for text in told if text is not None][:_MAX_TOLD]


def _about(scene: Scene, thread: Thread) -> str | None:
    frames = scene.stack(thread.address).frames
    home = f"{thread.process_name}, {thread.pid}/{thread.tid}"
    who = f"processor {thread.processor} runs thread {thread.address:#x} ({home})"
    spins = _waiting_frame(frames, SPINNING)
    if spins is not None:
        return f"{who}, {SPINS}{_caller(frames, spins, SPINNING)}; a spin lock keeps no owner"
    asks = _waiting_frame(frames, ANSWERS)
    if asks is not None:
        return f"{who}, which waits for other processors to answer{_caller(frames, asks, ANSWERS)}"
    if not frames or thread.pid == 0:
        return None
    return f"{who}, in {frames[0].symbol}"


def _waiting_frame(frames: tuple[Frame, ...], functions: frozenset[str]) -> int | None:
    return next((at for at, frame in enumerate(frames[:_NEAR]) if _function(frame) in functions), None)


def _caller(frames: tuple[Frame, ...], at: int, functions: frozenset[str]) -> str:
    caller = next((frame for frame in frames[at:] if frame.module and _function(frame) not in functions), None)
    return f" in {frames[at].symbol}" + (f", called by {caller.symbol}" if caller is not None else "")


def _function(frame: Frame) -> str | None:
    return frame.symbol.removeprefix("nt!").split("+")[0] if frame.symbol.startswith("nt!") else None
