"""Bytes to lines: every encoding and every mangling a pasted debugger output goes through.

A log may be saved by Notepad as UTF-16, come through a chat with its ``<`` written as ``&lt;``, be quoted in a mail
with ``>`` in front, be indented, and be wrapped in the middle of a line. Sizes are bounded: what is longer is cut.
"""

import codecs
import re

from analysis.formats.raw import RawFile

MAX_BYTES = 8 << 20  # of a text; logs with hundreds of stacks have two or three
MAX_LINES = 120_000
MAX_LINE = 1000  # characters; the longest real lines (a C++ symbol with its source path) stay below
_PROBE = 0x2000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOSTLY = 0.9
_PRINTABLE = 0.7  # colours of a terminal and stray bytes are no reason to refuse what is a debugger's text otherwise
_CONTROL = {code: " " for code in [*range(0x20), 0x7F, *range(0x80, 0xA1)] if code not in (0x09, 0x0A)}
_MARKUP = re.compile(r"<(?:https?://|mailto:)[^<>|]{1,500}(?:\|([^<>]{1,300}))?>")
_FIELD = re.compile(r"\b(?:Arg[1-4]|STACK_TEXT|Debugging Details|[A-Z][A-Z0-9]{1,20}_[A-Z0-9_]{1,30}):(?=\s|$)")
_LONGEST_RUN = 20_000
# What a writer of Markdown escapes within a line of output.
_ESCAPED = re.compile(r"\\([`_*])")
# Marks of a quotation: ">" and "|" in front of every line. A prompt ("0: kd>") has something before its ">".
_MARK = r"[>|] ?"
_MAX_QUOTES = 8  # mails quoted within mails
_FENCE = re.compile(r"^\s*```[\w-]*\s*$")


def read_text(raw: RawFile, size: int = MAX_BYTES) -> str | None:
    """The first ``size`` bytes as text with ``\\n`` at line ends and no other control characters but tabs.

    None where the bytes are no text in any encoding that a debugger or an editor writes.
    """
    data = raw.read(0, min(raw.size, size), "the text")
    encoding = _encoding(data[:_PROBE])
    if encoding is None:
        return None
    text = data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    return text.translate(_CONTROL)


def lines_of(text: str) -> list[str]:
    """The lines of a text, clean: without entities, quotation marks, chat markup and trailing blanks.

    At most ``MAX_LINES``, each at most ``MAX_LINE`` characters long.
    """
    lines = [part[:MAX_LINE] for line in text.split("\n", MAX_LINES)[:MAX_LINES] for part in _parts(line)][:MAX_LINES]
    entities = any("&lt;" in line or "&gt;" in line or "&amp;" in line for line in lines)
    quoted = _quotation(lines)
    return [_clean(line, entities=entities, quoted=quoted) for line in lines if not _FENCE.match(line)]


def _parts(line: str) -> list[str]:
    # A page that ran lines together: one line with many of the analysis' own fields in it.
    if line.count(": ") < 4 or len(line) > _LONGEST_RUN or len(_FIELD.findall(line)) < 4:
        return [line]
    return [part.strip() for part in _FIELD.sub(r"\n\g<0>", line).split("\n")]


def _quotation(lines: list[str]) -> re.Pattern[str] | None:
    # As many marks as all lines have: one more belongs to the output (">[IRP_MJ_POWER…" is a request's present place).
    found = None
    for depth in range(1, _MAX_QUOTES + 1):
        pattern = re.compile(rf"^(?:{_MARK}){{{depth}}}")
        if _share(lines, pattern) <= _MOSTLY:
            break
        found = re.compile(rf"^(?:{_MARK}){{1,{depth}}}")
    return found


def _clean(line: str, *, entities: bool, quoted: re.Pattern[str] | None) -> str:
    if entities:
        line = line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if quoted is not None:
        line = quoted.sub("", line, count=1)
    if "\\" in line:
        line = _ESCAPED.sub(r"\1", line)
    if "<" in line:
        line = _MARKUP.sub(lambda found: found[1] or "", line)
    return line.rstrip()


def _share(lines: list[str], pattern: re.Pattern[str]) -> float:
    full = [line for line in lines if line.strip()]
    return sum(pattern.match(line) is not None for line in full) / len(full) if full else 0.0


def _encoding(head: bytes) -> str | None:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    half = head[: len(head) & ~1]
    for zeros, letters, name in ((half[1::2], half[0::2], "utf-16-le"), (half[0::2], half[1::2], "utf-16-be")):
        if half and zeros.count(0) > len(zeros) * _MOSTLY and letters.count(0) < len(letters) * 0.1:
            return name
    printable = sum(byte >= 0x20 or byte in b"\t\n\r\f\x1b" for byte in head)
    if not head or printable < len(head) * _PRINTABLE:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        # "ANSI": an old code page, mostly ASCII with some bytes above.
        return "cp1252" if sum(byte < 0x80 for byte in head) > len(head) * 0.7 else None
    return "utf-8"
