"""Where Pileup keeps its files when nobody says otherwise. Light: the command line needs it before anything else."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def default_home(environment: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The platform's data directory: database, caches and downloads live there."""
    home = Path(environment.get("HOME") or Path.home())
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Pileup"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "Pileup"
    return Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share") / "pileup"


def symbol_directories(*paths: str | None) -> tuple[Path, ...]:
    """The local directories of symbol paths, in order, each once.

    A path is a list of directories; ``srv*cache*https://server`` and ``cache*dir`` give their local parts, since no
    server is asked.
    """
    elements = [element for path in paths if path for element in _elements(path)]
    return tuple(dict.fromkeys(Path(element).expanduser() for element in elements))


def _elements(path: str) -> list[str]:
    # WinDbg separates by ";", a Unix shell by ":". A "srv*…" element ends at ";" only, for it holds "https:".
    found: list[str] = []
    for element in path.split(";"):
        if "*" in element:
            words = element.split("*")
            found += [
                word for word in words if word and word.lower() not in ("srv", "symsrv", "cache") and _is_local(word)
            ]
        else:
            found += [part for part in element.split(os.pathsep) if part]
    return found


def _is_local(word: str) -> bool:
    return "://" not in word and not word.lower().endswith(".dll")
