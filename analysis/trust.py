"""How far a claim can be trusted. A chain of claims is as strong as its weakest link: combine with ``min``."""

from enum import IntEnum


class Trust(IntEnum):
    """Grades, weakest first. ``label`` is the word used in a report."""

    SCAN = 1  # found by looking for plausible values
    FRAME_POINTER = 2  # found by following saved frame pointers
    UNWIND = 3  # found by unwind data of the very image
    CONTEXT = 4  # a register of a saved context
    PARAMETER = 5  # named by a parameter of the bugcheck
    STRUCTURE = 6  # read from a kernel structure by its layout

    @property
    def label(self) -> str:
        """The word of the report's JSON for this grade."""
        return self.name.lower().replace("_", "-")
