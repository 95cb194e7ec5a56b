"""A user-mode minidump to the parts of a report: who crashed, or what it hangs on."""

from analysis.usermode.story import UserParts, tell_user_story

__all__ = ["UserParts", "tell_user_story"]
