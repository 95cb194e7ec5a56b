"""Stacks as WinDbg prints them: STACK_TEXT, and k, kb, kn, kv, kL of 32-bit and 64-bit machines.

One line is a frame: perhaps a number, then the stack pointer and the return address, perhaps arguments, then the
symbol, perhaps its source line. The instruction of a frame is the return address of the line above. People cut
columns off, so a line may be left with the symbol alone; mails wrap lines, so the symbol may be on the next one.
"""

import re
from collections.abc import Sequence

from analysis.formats.windbg.facts import PrintedFrame, PrintedStack, Reliability
from analysis.formats.windbg.patterns import ADDRESS, PROMPT, SYMBOL, module_of, number, spell
from analysis.limits import MAX_STACK_FRAMES

HEADER = re.compile(
    r"\s*#?\s*(?:Memory\s+)?(?:Child-?(?:EBP|SP)\s+RetAddr|RetAddr\s+: Args to Child|\*?\*?\s?Call Site$)",
    re.IGNORECASE,
)
STACK_TEXT = re.compile(r"(?:^|\s)STACK_TEXT:\s*(.*)$")
_RETURN_FIRST = re.compile(r"\s*RetAddr\s+: Args to Child", re.IGNORECASE)
_COLUMN = re.compile(rf"(?:{ADDRESS}|-{{8}}(?:`-{{8}})?)(?=\s|$)")
_INDEX = re.compile(r"[0-9a-fA-F]{2,3}\s+(?=\(Inl|[0-9a-fA-F-]{8}|[\w.@$-]{1,64}(?:!|\+0x))")
_MEMORY = re.compile(r"[0-9a-fA-F]{1,6}\s+(?=[0-9a-fA-F]{8}`)")
_INLINE = re.compile(r"\(Inline(?: Function)?\)\s*")
_BEHIND = re.compile(r"\s+(?:\[[^\]]{0,400}(?:\]|$)|\((?:FPO|CONV|TrapFrame)\b.*|\(Inline Function\).*|\.{3}$)")
_BARE_ADDRESS = re.compile(rf"0x({ADDRESS}|[0-9a-fA-F]{{1,16}})$")
_NOISE = re.compile(r"\s*(?:\*{3}|Unable to |Page [0-9a-f]+ not present|Couldn't resolve|The (?:call )?stack)")
# Stack pointer, return address, three or four words, a symbol.
_REFLOWED = re.compile(
    rf"(?:(?<=\s)|^)(?:{ADDRESS} ){{2}}(?:: )?(?:{ADDRESS} ){{3,4}}(?:: )?[A-Za-z0-9_.$@-]{{1,64}}[!+][^\s]{{1,200}}"
    r"|WARNING: (?:Stack unwind information not available|Frame IP not in any known module)"
)
_NO_UNWIND = "Stack unwind information not available"
_NO_MODULE = "Frame IP not in any known module"
_NOT_KERNEL = frozenset({"Arg1", "Arg2", "Arg3", "Arg4"})


def read_stack(lines: Sequence[str], start: int, *, return_first: bool = False) -> tuple[PrintedStack, int]:
    """The stack whose first frame stands at line ``start`` or after one blank line, and the line behind it.

    ``return_first``: lines begin with the return address, there is no column for the stack pointer.
    """
    reader = _Reader(return_first)
    index, limit = start, min(len(lines), start + 4 * MAX_STACK_FRAMES)
    while index < limit and len(reader.frames) < MAX_STACK_FRAMES:
        line = lines[index]
        if not line.strip():
            if reader.frames or index > start + 1:
                break
        elif not reader.take(line, lines[index + 1] if index + 1 < len(lines) else ""):
            break
        index += 1 + reader.joined
        reader.joined = 0
    complete = index < len(lines) and len(reader.frames) < MAX_STACK_FRAMES
    return PrintedStack(tuple(reader.frames), complete), max(index, start)


def read_reflowed(words: str) -> PrintedStack:
    """The stack of a text whose lines were filled like prose: frames are found by their columns, wherever they are."""
    lines = [found[0] for _, found in zip(range(MAX_STACK_FRAMES), _REFLOWED.finditer(words), strict=False)]
    return read_stack([*lines, ""], 0)[0]


def returns_first(header: str) -> bool:
    """Whether a header says that lines begin with the return address."""
    return _RETURN_FIRST.match(header) is not None


class _Reader:
    """Takes lines until one is no frame."""

    def __init__(self, return_first: bool) -> None:
        self.frames: list[PrintedFrame] = []
        self.joined = 0  # lines beyond the first that the last frame took
        self._return_first = return_first
        self._next: int | None = None  # the instruction of the next frame
        self._now = self._behind = Reliability.UNWOUND

    def take(self, line: str, following: str) -> bool:
        """Whether the line belongs to the stack: a frame, a warning between frames, noise of symbol loading."""
        if _NO_UNWIND in line or _NO_MODULE in line:
            self._behind = Reliability.FOLLOWED if _NO_UNWIND in line else Reliability.GUESSED
            return True
        if _NOISE.match(line) or line.strip() in ("wrong.", "be wrong.", "may be wrong.", "may", "be"):
            return True
        if PROMPT.match(line):
            return False
        return self._frame(line, following)

    def _frame(self, line: str, following: str) -> bool:
        columns, rest = _columns(line)
        if columns and not rest and _is_symbol(following.strip()):
            rest, self.joined = _symbol_text(following.strip()), 1
        rest = self._rejoined(line, rest, following)
        if not rest or not _is_symbol(rest):
            return False
        # A lone word may be anything; as a frame it has at least an offset.
        is_alone = not columns and not line.strip().startswith(":") and "!" not in rest and not rest.startswith("0x")
        if is_alone and "+0x" not in rest:
            return False
        self._add(columns, rest)
        return True

    def _rejoined(self, line: str, rest: str, following: str) -> str:
        # A mail broke the line within the offset: the rest of its digits stands alone on the next line.
        alone = following.strip()
        if len(line) >= 60 and "+0x" in rest and re.fullmatch(r"[0-9a-f]{1,3}", alone) and not self.joined:
            self.joined = 1
            return rest + alone
        return rest

    def _add(self, columns: list[int | None], rest: str) -> None:
        symbol = spell(rest)
        bare = _BARE_ADDRESS.match(symbol)
        address = number(bare[1]) if bare else self._next
        pointer = columns[0] if columns and not self._return_first else None
        returned = columns[0 if self._return_first else 1] if len(columns) > (not self._return_first) else None
        arguments = columns[1 if self._return_first else 2 :]
        known = tuple(value for value in arguments if value is not None)
        module = module_of(symbol)
        if module is None and address is not None:
            self._behind = Reliability.GUESSED  # from an address in no module nobody can unwind
        self.frames.append(PrintedFrame(f"{address:#x}" if bare and address is not None else symbol, module, address,
                                        self._now, pointer, known))  # fmt: skip
        self._next = returned or None
        self._now = min(self._now, self._behind)


def _columns(line: str) -> tuple[list[int | None], str]:
    """The numbers in front of the symbol, and the symbol."""
    text = line.strip().removeprefix("...").lstrip()
    found = _INDEX.match(text)
    if found:
        text = text[found.end() :]
    text = _INLINE.sub("", text, count=1) if text.startswith("(Inline") else text
    found = _MEMORY.match(text)
    if found and len(text[: found.end()].strip()) < 8:
        text = text[found.end() :]
    columns: list[int | None] = []
    while len(columns) < 8:
        found = _COLUMN.match(text)
        if not found:
            break
        columns.append(None if found[0].startswith("-") else number(found[0]))
        text = text[found.end() :].lstrip()
        if text.startswith(": "):
            text = text[2:].lstrip()
    if text.startswith(": "):
        text = text[2:].lstrip()
    return columns, _symbol_text(text)


def _symbol_text(text: str) -> str:
    found = _BEHIND.search(text)
    return (text[: found.start()] if found else text).strip()


def _is_symbol(text: str) -> bool:
    if _BARE_ADDRESS.match(text):
        return True
    found = SYMBOL.match(text)
    return found is not None and bool(found[2] or found[3]) and found[1] not in _NOT_KERNEL
