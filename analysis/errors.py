"""What can go wrong with a dump. Errors carry facts as attributes; prose is made at the edge.

::

    AnalysisError
    ├── NotADump        this file is something else; ``what`` names it for a person
    ├── BadDump         this file contradicts itself
    ├── LimitReached    a stated limit stopped the work
    ├── BadSymbols      a symbol file is damaged or not what it claims: note it and try the next
    ├── BadRules        a user's rules cannot be used; ``problems`` says why
    ├── MissingLayout   no source knows that structure's layout for this kernel
    └── Unreadable      a sound file in which that address cannot be read: everyday, note it and go on
"""

from enum import Enum

from analysis.address import VirtAddr


class AnalysisError(Exception):
    """The root of this tree."""


class NotADump(AnalysisError):
    """The file is not a dump that can be read here.

    ``what`` completes the sentence "this is …": "a zip archive", "an HTML page: probably a login page".
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"not a dump that can be read: this is {what}")
        self.what = what


class BadDump(AnalysisError):
    """The file claims to be a dump and contradicts itself; ``offset`` is where, if one place can be named."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message if offset is None else f"{message} (at file offset {offset:#x})")
        self.offset = offset


class LimitReached(AnalysisError):
    """Work stopped by a limit; ``limit`` names it, ``value`` is its number."""

    def __init__(self, limit: str, value: int) -> None:
        super().__init__(f"stopped by a limit: {limit} is {value}")
        self.limit = limit
        self.value = value


class BadSymbols(AnalysisError):
    """A symbol file cannot be used; ``file`` is its name, ``reason`` completes "it is …" or "it …" for a person."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"symbol file {file}: {reason}")
        self.file = file
        self.reason = reason


class BadRules(AnalysisError):
    """A file of users' own rules cannot be used; ``problems`` has a line for each mistake."""

    def __init__(self, file: str, problems: tuple[str, ...]) -> None:
        super().__init__(f"the rules in {file} cannot be used: {'; '.join(problems)}")
        self.file = file
        self.problems = problems


class MissingLayout(AnalysisError):
    """No source knows how ``structure`` is laid out in this kernel (or a needed ``field`` of it)."""

    def __init__(self, structure: str, field: str | None = None) -> None:
        super().__init__(f"no layout of {structure}{'.' + field if field else ''} for this kernel")
        self.structure = structure
        self.field = field


class Absence(Enum):
    """Why an address has no bytes. The distinction reaches the report."""

    NOT_MAPPED = "not mapped"
    NOT_SAVED = "mapped, but the page was not saved in the dump"
    PAGED_OUT = "paged out to disk"
    NOT_CANONICAL = "not a canonical address"


class Unreadable(AnalysisError):
    """An address of a sound dump cannot be read.

    ``address`` is the first byte that is missing, ``absence`` the kind of reason, ``detail`` a short phrase
    such as "the page directory entry at 0x1234 is not present".
    """

    def __init__(self, address: int, absence: Absence, detail: str = "") -> None:
        super().__init__(f"{address:#x}: {absence.value}" + (f" ({detail})" if detail else ""))
        self.address = VirtAddr(address)
        self.absence = absence
        self.detail = detail
