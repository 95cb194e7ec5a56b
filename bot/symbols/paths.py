"""Symbol paths as WinDbg writes them: which places to look in, and where what they have is kept.

Source: Microsoft Learn, "Symbol path for Windows debuggers" and "Advanced SymSrv use".
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SERVER_WORDS = ("srv", "symsrv")
WINDOWS_PLACE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True, slots=True)
class Tiers:
    """One element of a symbol path: directories and addresses of servers, the nearest first.

    What a farther place has is kept in every directory in front of it.
    """

    places: tuple[Path | str, ...]


def symbol_tiers(default_store: Path, *paths: str | None) -> tuple[Tiers, ...]:
    """The elements of symbol paths, in order, each once.

    In ``srv*first*second*https://server`` both directories keep what the server has. A ``cache*directory`` stands in
    front of all elements that follow it. Where nothing else keeps a server's files, and for an empty word,
    ``default_store`` does. No server is meant that is not named: ``srv*`` alone is nothing.
    """
    found: dict[Tiers, None] = {}
    for path in paths:
        cache: tuple[Path | str, ...] = ()
        for element in _elements(path or ""):
            kind, *words = [word.strip() for word in element.split("*")]
            if kind.lower() == "cache" and "*" in element:
                cache = (_place(words[0]) or default_store,) if words else cache
                continue
            if "*" not in element:
                words = [kind]
            elif kind.lower() not in SERVER_WORDS:
                continue
            places = _places(words, default_store)
            if any(isinstance(place, str) for place in places) and isinstance((*cache, *places)[0], str):
                places = (default_store, *places)
            if places:
                found.setdefault(Tiers(tuple(dict.fromkeys((*cache, *places)))))
    return tuple(found)


def passed_over(*paths: str | None) -> tuple[str, ...]:
    """The words of symbol paths that name no place to look in, each once, in order: places of Windows, which are none
    here, and addresses of servers that are none."""
    words = [word.strip() for path in paths for element in _elements(path or "") for word in element.split("*")]
    return tuple(dict.fromkeys(word for word in words if _is_windows_place(word) or _is_broken(word)))


def _is_windows_place(word: str) -> bool:
    return os.name != "nt" and WINDOWS_PLACE.match(word) is not None


def _is_broken(word: str) -> bool:
    if not word.lower().startswith(("http://", "https://")):
        return False
    try:
        return not urlsplit(word).hostname or urlsplit(word).port == 0
    except ValueError:
        return True


# WinDbg separates by ";", a Unix shell by ":". A "srv*…" element ends at ";" only, for it holds "https:".
def _elements(path: str) -> list[str]:
    found: list[str] = []
    for element in path.split(";"):
        whole = "*" in element or is_server(element) or WINDOWS_PLACE.match(element.strip())
        found += [element] if whole else element.split(os.pathsep)
    return [element.strip() for element in found if element.strip()]


def _places(words: list[str], default_store: Path) -> tuple[Path | str, ...]:
    places: list[Path | str] = []
    for at, word in enumerate(words):
        if not word:
            # "srv**https://server": the default store; a trailing "*" says nothing.
            places += [default_store] if at + 1 < len(words) else []
        elif is_server(word):
            places += [] if _is_broken(word) else [word.rstrip("/")]
        elif not word.lower().endswith(".dll"):
            directory = _place(word)
            places += [directory] if directory is not None else []
    return tuple(places)


def is_server(word: str) -> bool:
    """Whether a word of a symbol path is the address of a server."""
    return word.lower().startswith(("http://", "https://"))


# "C:\symbols" is a place on Windows only; elsewhere it would become a directory of that very name.
def _place(word: str) -> Path | None:
    if not word or _is_windows_place(word):
        return None
    return Path(os.path.expanduser(word))  # noqa: PTH111  # "~user" stays as it is
