"""User-mode minidumps ('MDMP'): what Windows, Breakpad and Crashpad write of one process."""

from analysis.formats.minidump.facts import Platform, UserDump, UserException, UserModule, UserSystem, UserThread
from analysis.formats.minidump.opening import is_minidump, read_minidump

__all__ = [
    "Platform",
    "UserDump",
    "UserException",
    "UserModule",
    "UserSystem",
    "UserThread",
    "is_minidump",
    "read_minidump",
]
