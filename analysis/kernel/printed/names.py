"""From WinDbg's module names to image names: "NETIO" → "netio.sys", "nt" → "ntoskrnl.exe".

WinDbg's name of a module is its file name without extension, with ``_`` for what an expression cannot hold. The file
name itself stands in IMAGE_NAME, in lists of modules and in warnings.
"""

import re
from collections.abc import Iterable

from analysis.formats.windbg.facts import PrintedModule, WindbgText
from analysis.kernel.symbolize import KERNEL_MODULE

KERNEL_NAMES = frozenset({"nt", "ntoskrnl", "ntkrnlmp", "ntkrnlpa", "ntkrpamp", "nt_wrong_symbols"})
# Modules of Windows that are no .sys files; what runs in user mode is named here only to be named right.
LIBRARIES = frozenset(
    {
        *("hal", "halmacpi", "halacpi", "kdcom", "kdnet", "kdstub", "bootvid", "pshed", "ci", "cdd", "tsddd", "atmfd"),
        *("mcupdate_genuineintel", "mcupdate_authenticamd", "framebuf", "vga", "rdpdd", "skci"),
        *("ntdll", "kernel32", "kernelbase", "user32", "win32u", "gdi32", "advapi32", "msvcrt", "ucrtbase"),
        *("combase", "sechost", "rpcrt4", "wow64", "wow64cpu", "wow64win", "wow64base"),
    }
)
_OBJECT_NAME = re.compile(r"\\(?:Driver|FileSystem)\\(.+)$")


class ImageNames:
    """Image names of one text."""

    def __init__(self, text: WindbgText) -> None:
        self._known = dict(_files(text.fields.get("IMAGE_NAME"), text.modules, text.images))
        self._other = ".sys"
        if text.user_mode:  # what a program loads are libraries; the program itself is named
            self._other = ".dll"
            self._known |= dict(_files(text.fields.get("PROCESS_NAME"), (), ()))

    def image(self, module: str) -> str:
        """The image of a module as WinDbg prints its name; lower case, with extension."""
        key = _key(module)
        if key in KERNEL_NAMES:
            return KERNEL_MODULE
        if key in self._known:
            return self._known[key]
        lower = module.lower()
        if lower.endswith((".sys", ".dll", ".exe")):
            return lower
        return f"{lower}.dll" if lower in LIBRARIES else f"{lower}{self._other}"

    def of_driver(self, name: str | None) -> str | None:
        """The image of a driver object's name ("\\\\Driver\\\\usbehci"): named like its file, as nearly all are."""
        found = _OBJECT_NAME.match(name or "")
        return self.image(found[1]) if found else None


def _files(image: str | None, modules: Iterable[PrintedModule], others: Iterable[str]) -> Iterable[tuple[str, str]]:
    for file in others:
        yield _key(file.rpartition(".")[0]), file.lower()
    for module in modules:
        if module.image is not None:
            yield _key(module.name), module.image.lower()
    if image and re.fullmatch(r"[\w.$@+ -]{1,100}\.(?:sys|dll|exe|drv)", image, re.IGNORECASE):
        yield _key(image.rpartition(".")[0]), image.lower()


def _key(name: str) -> str:
    # "ovpn-dco.sys" is the module "ovpn_dco".
    return re.sub(r"[^a-z0-9_]", "_", name.lower())
