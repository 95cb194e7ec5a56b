"""What a processor's machine-check bank says: the fields and the compound error codes of MCi_STATUS.

After "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 3B, chapter "Machine-check architecture"
and "Interpreting machine check error codes"; AMD's processors share the architectural bits.
"""

from dataclasses import dataclass

VALID, OVERFLOW, UNCORRECTED, ENABLED = 1 << 63, 1 << 62, 1 << 61, 1 << 60
MISC_VALID, ADDRESS_VALID, CONTEXT_CORRUPT = 1 << 59, 1 << 58, 1 << 57

_SIMPLE = {
    0x0001: "an error the processor does not classify",
    0x0002: "a parity error in the microcode ROM",
    0x0003: "an external error",
    0x0004: "a redundancy check between processors",
    0x0005: "a parity error inside the processor",
    0x0006: "the system management handler left its memory",
    0x0400: "an internal timer that ran out",
    0x0E0B: "an input/output error",
}
_LEVELS = ("level 0", "level 1", "level 2", "any level")
_KINDS = ("instruction", "data", "generic", "generic")
_REQUESTS = ("", "read", "write", "data read", "data write", "instruction fetch", "prefetch", "eviction", "snoop")
_PARTIES = ("as the source", "in answer", "as an observer", "")
_MEMORY_WORK = ("", "read", "write", "address or command", "scrubbing")


@dataclass(frozen=True, slots=True)
class BankStatus:
    """One MCi_STATUS, taken apart. ``what`` is the error in plain words, ``kind`` "memory" where the memory
    controller reported it, else "processor"."""

    value: int
    what: str
    kind: str
    uncorrected: bool
    overflow: bool
    context_corrupt: bool

    @property
    def valid(self) -> bool:
        """Whether the bank holds an error at all."""
        return bool(self.value & VALID)


def read_status(value: int) -> BankStatus:
    """An MCi_STATUS value in words; values without the valid bit are taken apart just the same."""
    what, kind = _compound(value & 0xFFFF)
    return BankStatus(
        value,
        what,
        kind,
        uncorrected=bool(value & UNCORRECTED),
        overflow=bool(value & OVERFLOW),
        context_corrupt=bool(value & CONTEXT_CORRUPT),
    )


def _compound(code: int) -> tuple[str, str]:
    if code in _SIMPLE:
        return _SIMPLE[code], "processor"
    core = code & ~0x1000  # bit 12 tells only how corrected errors are filtered
    level, kind = _LEVELS[core & 3], _KINDS[core >> 2 & 3]
    if core & 0xF800 == 0x0800:  # 1PPT RRRR IILL
        party = _PARTIES[core >> 9 & 3]
        timed_out = ", which timed out" if core >> 8 & 1 else ""
        return _words("an error on the bus or interconnect", _request(core), party) + timed_out, "processor"
    if core & 0xFF00 == 0x0100:  # 0001 RRRR TTLL
        return _words(
            f"an error in {'an' if kind[0] == 'i' else 'a'} {kind} cache, {level}", _request(core)
        ), "processor"
    if core & 0xFF80 == 0x0080:  # 1MMM CCCC
        work = core >> 4 & 7
        named = _MEMORY_WORK[work] if work < len(_MEMORY_WORK) else ""
        channel = core & 0xF
        where = f"memory channel {channel}" if channel != 0xF else "a memory channel that is not named"
        return _words(f"an error of the memory controller on {where}", named), "memory"
    if core & 0xFFF0 == 0x0010:  # 0001 TTLL
        return f"an error in an address translation buffer ({kind}, {level})", "processor"
    if core & 0xFFFC == 0x000C:
        return f"an error in the cache hierarchy, {level}", "processor"
    if core & 0xFC00 == 0x0400:
        return "an internal error of the processor", "processor"
    return f"the machine-check code {code:#06x}", "processor"


def _request(core: int) -> str:
    number = core >> 4 & 0xF
    return _REQUESTS[number] if number < len(_REQUESTS) else ""


def _words(what: str, *details: str) -> str:
    told = [one for one in details if one]
    return f"{what} ({', '.join(told)})" if told else what
