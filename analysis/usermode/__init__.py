"""A user-mode minidump, or what WinDbg printed of a program, to a report's parts: who crashed, what it hangs on."""

from analysis.usermode.printed import PrintedProgram, tell_printed_program
from analysis.usermode.story import UserParts, tell_user_story

__all__ = ["PrintedProgram", "UserParts", "tell_printed_program", "tell_user_story"]
