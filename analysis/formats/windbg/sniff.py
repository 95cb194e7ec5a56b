"""Whether a text is WinDbg's: by lines that only a debugger prints, each with a weight."""

import re

from analysis.formats.raw import RawFile
from analysis.formats.windbg.text import lines_of, read_text

PROBE = 1 << 20  # bytes; loading symbols can print pages of noise before the analysis
FIRST = 0x2000  # bytes, enough to see that a file is none of text
MAX_PROBED_LINES = 20_000
ENOUGH = 4

_WEIGHTS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (2, re.compile(r"\s*[A-Z][A-Z0-9]{2,}(?:_[A-Z0-9]+)+ \((?:0x)?[0-9a-f]{1,8}\)$")),
    (4, re.compile(r"\s*\*\s+(?:Bugcheck|Exception) Analysis\s+\*")),
    (3, re.compile(r"\s*Microsoft \(R\) Windows Debugger")),
    (4, re.compile(r"\s*(?:BugCheck [0-9A-Fa-f]{1,8}, \{|\*\*\* Fatal System Error: 0x[0-9a-f]{8})")),
    (4, re.compile(r"\s*(?:ChildEBP RetAddr|Child-SP +RetAddr|# Child|RetAddr +: Args to Child)")),
    (3, re.compile(r"\s*(?:FAILURE_BUCKET_ID|FAILURE_ID_HASH_STRING|DEFAULT_BUCKET_ID): +\S")),
    (2, re.compile(r"\s*STACK_TEXT:")),
    (2, re.compile(r"\s*(?:BUGCHECK_CODE|BUGCHECK_STR|BUGCHECK_P1|STACK_COMMAND|FOLLOWUP_IP|FAULTING_IP): *\S*")),
    (1, re.compile(r"\s*(?:MODULE_NAME|IMAGE_NAME|PROCESS_NAME|SYMBOL_NAME|TRAP_FRAME|CONTEXT|FAULTING_MODULE): +\S")),
    (1, re.compile(r"\s*Arg1: [0-9a-fA-F`]{8,17}\b")),
    (1, re.compile(r"\s*Arg2: [0-9a-fA-F`]{8,17}\b")),
    (2, re.compile(r"\s*(?:\d{1,3}: )?l?kd> *\S")),
    (2, re.compile(r"\s*Resource @ \S+ .*(?:owned|owning)")),
    (2, re.compile(r"\s*THREAD [0-9a-fA-F`]{8,17} +Cid [0-9a-f]{4}\.[0-9a-f]{4}")),
    (2, re.compile(r"\s*Debugging Details:$")),
    (1, re.compile(r"\s*nt!Ke?i?BugCheck\w*(?:\+0x[0-9a-f]+)?$")),
)
# A document that shows or quotes such output is that document, not the output: pages and program data stay refused.
_OTHER = re.compile(r"(?i)\s*(?:<(?:!doctype|html|head|body|\?xml|script|meta|title)\b|<\?xml|\{\s*\"|\[\s*[\{\"])")


def is_windbg_text(raw: RawFile) -> bool:
    """Whether a file is text that a Windows debugger printed, or a person copied from one."""
    if raw.size == 0 or raw.read(0, min(raw.size, 6), "the first bytes").startswith((b"PAGEDU", b"MDMP")):
        return False
    if read_text(raw, FIRST) is None:
        return False
    text = read_text(raw, PROBE)
    return text is not None and is_windbg(text)


def is_windbg(text: str) -> bool:
    """The same of a text: several different lines of a debugger, not one that a person may have typed."""
    if _OTHER.match(text[:200]):
        return False
    seen: set[int] = set()
    total = 0
    for line in lines_of(text)[:MAX_PROBED_LINES]:
        for index, (weight, pattern) in enumerate(_WEIGHTS):
            if index not in seen and pattern.match(line[:300]):
                seen.add(index)
                total += weight
        if total >= ENOUGH:
            return True
    return False
