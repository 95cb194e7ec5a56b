"""One file that a dump names: from the symbol directories, else from whoever fetches."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from analysis.errors import BadSymbols
from analysis.symbols.image_file import ImageFile, open_image
from analysis.symbols.names import ImageIdentity, Wanted
from analysis.symbols.search import SymbolFiles

_T = TypeVar("_T")

_ABOUT_FILE = re.compile(r"(?:[^ :]+: )?symbol file (?P<file>[^:]+): (?P<said>.+)", re.DOTALL)
_NAMED_TOGETHER = 2


def open_wanted(files: SymbolFiles, wanted: Wanted, open_file: Callable[[Path], _T]) -> tuple[_T | None, list[str]]:
    """The first file that ``open_file`` takes for the wanted one, opened, or None; and why others were refused.

    ``open_file`` raises BadSymbols for a file that is another's.
    """
    notes: list[str] = []
    for path in files.places_of(wanted):
        found = _opened(path, open_file, notes)
        if found is not None:
            return found, notes
    if files.ask is not None:
        answer = files.ask(wanted)
        if isinstance(answer, Path):
            return _opened(answer, open_file, notes), notes
        notes += [f"symbol file {wanted.name}: {answer}"] if answer else []
    else:
        notes += [f"symbol file {path.name}: it is compressed; unpack it first" for path in files.packed_of(wanted)]
    return None, notes


def open_wanted_image(files: SymbolFiles, wanted: ImageIdentity, base: int) -> tuple[ImageFile | None, list[str]]:
    """The file of an image that a dump names, laid out at ``base``, or None; and why others were refused."""
    return open_wanted(files, wanted, lambda path: open_image(path, wanted, base))


def told_together(notes: Iterable[str]) -> tuple[str, ...]:
    """The same sentences in order, each once; those that say the same of many symbol files become one."""
    found: dict[str, None] = dict.fromkeys(notes)
    files: dict[str, list[str]] = {}
    for note in found:
        match = _ABOUT_FILE.fullmatch(note)
        if match:
            files.setdefault(match["said"], []).append(match["file"])
    told: dict[str, None] = {}
    for note in found:
        match = _ABOUT_FILE.fullmatch(note)
        names = list(dict.fromkeys(files[match["said"]])) if match else []
        more = len(names) - _NAMED_TOGETHER
        told[
            note if more < 2 or not match else f"symbol files {names[0]}, {names[1]} and {more} more: {match['said']}"
        ] = None
    return tuple(told)


def _opened(path: Path, open_file: Callable[[Path], _T], notes: list[str]) -> _T | None:
    try:
        return open_file(path)
    except BadSymbols as refused:
        notes.append(str(refused))
        return None
