"""Images as lm and lmvm list them, the names that warnings spell out, and the addresses the text itself places."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from analysis.formats.windbg.facts import Point, PrintedModule, PrintedStack
from analysis.formats.windbg.patterns import ADDRESS, PROMPT, SYMBOL, number, spell
from analysis.limits import MAX_MODULES

MAX_POINTS = 8192
PAGE = 0x1000
_HEADER = re.compile(r"\s*start\s+end\s+module name\s*$", re.IGNORECASE)
_UNLOADED = re.compile(r"\s*Unloaded modules:\s*$", re.IGNORECASE)
_LINE = re.compile(rf"\s*({ADDRESS})\s+({ADDRESS})\s+([A-Za-z0-9_.$@-]{{1,64}})(?:\s+(.*))?$")
_FILE = re.compile(r"([\w.$@+-]{1,100}\.(?:sys|dll|exe|drv))\b", re.IGNORECASE)
_STAMP = re.compile(r"\(([0-9A-Fa-f]{8})\)")
_DETAIL = re.compile(r"\s+(Image path|Image name|Timestamp|File version|CompanyName):\s+(.{1,300})$")
_WARNED = re.compile(
    r"(?:symbols could not be loaded for|[Uu]nable to verify (?:timestamp|checksum) for|Unable to load image)"
    r"\s+(.{1,300})$"
)
_PLACED = re.compile(r"\s*(\S{1,250}\+(?:0x)?[0-9a-fA-F]{1,16}):?(?:\s+\[.*)?$")
_CODE = re.compile(rf"\s*({ADDRESS}) [0-9a-fA-F]{{2,30}}\s")
_EXCEPTION = re.compile(rf"\s*ExceptionAddress:\s+({ADDRESS})\s+\((\S{{1,250}})\)")
_FAULTING = re.compile(rf"({ADDRESS})\s+(\S{{1,64}})$")


def read_modules(lines: Sequence[str]) -> tuple[PrintedModule, ...]:
    """Every line of every list of modules."""
    found: dict[int, PrintedModule] = {}
    listing = unloaded = False
    last: int | None = None
    for line in lines:
        if _HEADER.match(line):
            listing, unloaded = True, False
        elif _UNLOADED.match(line):
            listing, unloaded = True, True
        elif PROMPT.match(line):
            listing = False
        elif listing and (told := _LINE.match(line)):
            module = _module(told, unloaded=unloaded)
            if module is not None and len(found) < MAX_MODULES:
                found.setdefault(module.start, module)
                last = module.start
        elif listing and last is not None and (detail := _DETAIL.match(line)):
            found[last] = _detailed(found[last], detail[1], detail[2].strip())
    return tuple(found.values())


def _module(told: re.Match[str], *, unloaded: bool) -> PrintedModule | None:
    start, end = number(told[1]), number(told[2])
    if not start < end or end - start > 1 << 31:
        return None
    rest = told[4] or ""
    image = told[3] if _FILE.fullmatch(told[3]) else None
    beside = _FILE.match(rest.strip())
    stamp = _STAMP.search(rest)
    return PrintedModule(
        told[3], start, end, image or (beside[1] if beside else None), int(stamp[1], 16) if stamp else None,
        unloaded=unloaded,
    )  # fmt: skip


def _detailed(module: PrintedModule, name: str, value: str) -> PrintedModule:
    if name in ("Image path", "Image name"):
        file = _FILE.search(value.replace("/", "\\").rpartition("\\")[2])
        return replace(module, image=file[1]) if file else module
    if name == "Timestamp":
        stamp = _STAMP.search(value) or re.match(r"([0-9A-Fa-f]{8})\b", value)
        return replace(module, timestamp=int(stamp[1], 16)) if stamp else module
    if name == "File version":
        return replace(module, version=value[:100])
    return replace(module, vendor=value[:100])


def read_images(lines: Iterable[str]) -> tuple[str, ...]:
    """File names that warnings about missing symbols spell with their extension."""
    found: dict[str, None] = {}
    for line in lines:
        told = _WARNED.search(line)
        file = _FILE.search(told[1].split(",")[0].rpartition("\\")[2]) if told else None
        if file and len(found) < MAX_MODULES:
            found[file[1]] = None
    return tuple(found)


def read_points(lines: Sequence[str], stacks: Iterable[PrintedStack]) -> tuple[Point, ...]:
    """Addresses with the symbol that the text gives them: where code is shown, and the frames of stacks."""
    found: dict[int, str] = {}
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        placed, code = _PLACED.match(line), _CODE.match(following)
        if placed and code and SYMBOL.match(placed[1]):
            found.setdefault(number(code[1]), spell(placed[1]))
        elif told := _EXCEPTION.match(line):
            found.setdefault(number(told[1]), spell(told[2]))
        if len(found) >= MAX_POINTS:
            break
    for stack in stacks:
        for frame in stack.frames:
            if frame.address is not None and frame.module is not None and len(found) < MAX_POINTS:
                found.setdefault(frame.address, frame.symbol)
    return tuple(Point(address, symbol) for address, symbol in found.items())


def fitting(symbol: str, addresses: Iterable[int]) -> Point | None:
    """The address that a symbol without a function ("nvlddmkm+1a254c0") can be: its image then starts on a page.

    This is how SYMBOL_NAME tells where a parameter points when no list of modules is printed.
    """
    told = SYMBOL.match(symbol)
    if not told or told[2] or not told[3]:
        return None
    offset = int(told[3], 16)
    fits = [one for one in addresses if one > 1 << 31 and one > offset >= PAGE and (one - offset) % PAGE == 0]
    return Point(fits[0], spell(symbol)) if len(set(fits)) == 1 else None


def faulting_module(value: str) -> tuple[int, str] | None:
    """Base and name in "FAULTING_MODULE: 88c93000 K7Sentry"."""
    told = _FAULTING.match(value)
    return (number(told[1]), told[2]) if told else None
