"""What a processor was running when the machine stopped, and whether it was spinning for a spin lock, by its stack."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.kernel.context import Registers
from analysis.kernel.facts import Frame, Stack, Thread

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
_NEAR = 12  # frames: farther out the function that spun has long returned or called on


@dataclass(frozen=True, slots=True)
class Processor:
    """A thread that a processor was running, its stack, and the registers that the processor saved, if it did."""

    thread: Thread
    stack: Stack
    registers: Registers | None = None


def spinning(frames: Sequence[Frame]) -> tuple[int, int] | None:
    """The frames that spin for a spin lock, as the numbers of the innermost and of the outermost one; None: no frame
    does."""
    first = next((at for at, frame in enumerate(frames[:_NEAR]) if function_of(frame) in SPINNING), None)
    if first is None:
        return None
    last = first
    while last + 1 < len(frames) and function_of(frames[last + 1]) in SPINNING:
        last += 1
    return first, last


def function_of(frame: Frame) -> str | None:
    """The name of the kernel function that a frame is in; None in other images and without a name."""
    return frame.symbol.removeprefix("nt!").split("+")[0] if frame.symbol.startswith("nt!") else None
