"""Who allocates with which pool tag, for the few tags of Windows' own drivers that are the same everywhere.

A tag is four letters that a driver gives its allocations; the list that comes with Microsoft's debuggers
(pooltag.txt) keeps these beginnings for these drivers. Any other driver may use any letters, so nothing is guessed.
"""

from collections.abc import Mapping
from types import MappingProxyType

# The beginning of a tag → the image that uses it. The longest beginning counts.
TAG_OWNERS: Mapping[str, str] = MappingProxyType(
    {
        "Ntf": "ntfs.sys",
        "NtF": "ntfs.sys",
        "Fat": "fastfat.sys",
        "FM": "fltmgr.sys",
        "Afd": "afd.sys",
        "ND": "ndis.sys",
        "Dxgk": "dxgkrnl.sys",
        "FxDr": "wdf01000.sys",
        "Irp": "ntoskrnl.exe",
        "Devi": "ntoskrnl.exe",
        "File": "ntoskrnl.exe",
        "Thre": "ntoskrnl.exe",
        "Proc": "ntoskrnl.exe",
        "Even": "ntoskrnl.exe",
        "Muta": "ntoskrnl.exe",
        "Toke": "ntoskrnl.exe",
        "Vad": "ntoskrnl.exe",
        "MmSt": "ntoskrnl.exe",
        "CM": "ntoskrnl.exe",
    }
)


def tag_owner(tag: str) -> str | None:
    """The image known to allocate with a tag, or None."""
    for length in range(len(tag), 1, -1):
        if tag[:length] in TAG_OWNERS:
            return TAG_OWNERS[tag[:length]]
    return None


def describe_tag(tag: str) -> str:
    """A tag as a sentence prints it: 'Ntfr' (used by ntfs.sys)."""
    owner = tag_owner(tag)
    return f"'{tag}'" + (f" (used by {owner})" if owner else "")
