"""What WinDbg printed, saved as a text or pasted by a person: from any encoding to plain facts."""

from analysis.formats.windbg.facts import WindbgText
from analysis.formats.windbg.reading import parse_windbg, read_windbg
from analysis.formats.windbg.sniff import is_windbg_text
from analysis.formats.windbg.text import lines_of

__all__ = ["WindbgText", "is_windbg_text", "lines_of", "parse_windbg", "read_windbg"]
