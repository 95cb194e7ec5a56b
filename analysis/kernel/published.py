"""Layouts of threads that the kernel itself publishes, for kernels that no table knows.

The debugger data block holds the offsets of a few members of KTHREAD and ETHREAD: enough to tell a thread's state and
to walk its stack, not enough to list threads or to read what they wait for.
"""

from collections.abc import Mapping

from analysis.kernel.clock import Clock
from analysis.kernel.documented import DOCUMENTED
from analysis.kernel.threads import ThreadReader
from analysis.memory.reader import Memory
from analysis.symbols.kdbg import Kdbg
from analysis.symbols.layout import Field, Layout

_NEEDED = ("State", "KernelStack", "InitialStack")
_WIDTHS = {"State": 1, "WaitReason": 1}
_POINTER = 8
_LARGEST = 0x1000  # no ETHREAD was ever larger


def published_reader(memory: Memory, kdbg: Kdbg | None, clock: Clock | None) -> ThreadReader | None:
    """A reader of threads by the offsets in the debugger data; None where it does not publish those needed."""
    if kdbg is None:
        return None
    core = _layout("_KTHREAD", kdbg.offsets)
    if not all(core.has(member) for member in _NEEDED):
        return None
    link = DOCUMENTED["_IRP"].offset("ThreadListEntry")
    return ThreadReader(memory, _layout("_ETHREAD", kdbg.offsets), core, None, clock, irp_link=link)


def _layout(structure: str, offsets: Mapping[tuple[str, str], int]) -> Layout:
    fields = {
        member: Field(offset, _WIDTHS.get(member, _POINTER))
        for (owner, member), offset in offsets.items()
        if owner == structure and offset <= _LARGEST
    }
    return Layout(structure, max((one.offset + one.size for one in fields.values()), default=0), fields)
