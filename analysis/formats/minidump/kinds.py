"""The types of streams that are read. Source: Microsoft's public minidumpapiset.h and Breakpad's minidump_format.h."""

from enum import IntEnum


class Kind(IntEnum):
    """Stream types."""

    THREAD_LIST = 3
    MODULE_LIST = 4
    MEMORY_LIST = 5
    EXCEPTION = 6
    SYSTEM_INFO = 7
    MEMORY_64_LIST = 9
    UNLOADED_MODULE_LIST = 14
    MISC_INFO = 15
    THREAD_INFO_LIST = 17
    THREAD_NAMES = 24
    BREAKPAD_INFO = 0x4767_0001
    BREAKPAD_ASSERTION = 0x4767_0002
    LINUX_RELEASE = 0x4767_0005

    @property
    def words(self) -> str:
        """The name as a person reads it."""
        return self.name.lower().replace("_", " ")
