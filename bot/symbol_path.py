"""Symbol paths as WinDbg writes them: which servers to ask, and where what they send is kept.

Source: Microsoft Learn, "Symbol path for Windows debuggers" and "Advanced SymSrv use".
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVER_WORDS = ("srv", "symsrv")


@dataclass(frozen=True, slots=True)
class Server:
    """One symbol server: its address without a slash at the end, and the directory that keeps what it sends."""

    url: str
    cache: Path


def symbol_servers(default_cache: Path, *paths: str | None) -> tuple[Server, ...]:
    """The servers of symbol paths, in order, each once.

    In ``srv*first*second*https://server`` the first directory keeps the files; a ``cache*directory`` in front of it
    does so for all that follows it; else ``default_cache`` does.
    """
    found: dict[str, Server] = {}
    for path in paths:
        cache = default_cache
        for element in (path or "").split(";"):
            words = [word.strip() for word in element.split("*")]
            kind = words[0].lower()
            if kind == "cache" and len(words) > 1:
                cache = _directory(words[1]) or default_cache
            elif kind in SERVER_WORDS:
                for server in _servers(words[1:], cache):
                    found.setdefault(server.url, server)
    return tuple(found.values())


def _servers(words: list[str], cache: Path) -> Iterator[Server]:
    local = [word for word in words if word and not is_server(word) and not word.lower().endswith(".dll")]
    kept = _directory(local[0]) if local else None
    for word in words:
        if is_server(word):
            yield Server(word.rstrip("/"), kept or cache)


def is_server(word: str) -> bool:
    """Whether a word of a symbol path is the address of a server."""
    return word.lower().startswith(("http://", "https://"))


def _directory(word: str) -> Path | None:
    return Path(os.path.expanduser(word)) if word else None  # noqa: PTH111  # "~user" stays as it is
