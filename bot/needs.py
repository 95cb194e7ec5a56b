"""What a child asks for while it analyses, and what it gets: the child has no network, this process has.

The child has read a hostile dump: its questions are taken apart with care.
"""

from typing import TYPE_CHECKING, Any

from analysis.limits import MAX_RUNS_ASKED
from bot.symbols.identity import wanted_from

if TYPE_CHECKING:
    from bot.fetch.remote import RemoteDump
    from bot.symbols.fetching import SymbolServers


def meet(need: Any, servers: "SymbolServers | None", pages: "RemoteDump | None") -> dict[str, str]:
    """The answer to a question: the path of a symbol file or why there is none; for pages, nothing but that they are
    there.

    Raises:
        FetchFailed: pages cannot be had, so the analysis cannot go on.
    """
    if not isinstance(need, dict) or "pages" not in need:
        return _symbols(servers, need)
    if pages is not None:
        pages.fill(_runs(need["pages"]))
    return {}


def _symbols(servers: "SymbolServers | None", need: Any) -> dict[str, str]:
    wanted = wanted_from(need)
    if servers is None or wanted is None:
        return {"missing": ""}
    answer = servers.ask(wanted)
    return {"missing": answer.reason} if answer.path is None else {"path": str(answer.path)}


def _runs(asked: Any) -> list[tuple[int, int]]:
    # Ranges of pages; what is none is left out, and its asker finds it missing.
    if not isinstance(asked, list) or len(asked) > MAX_RUNS_ASKED:
        return []
    return [
        (run[0], run[1])
        for run in asked
        if isinstance(run, list) and len(run) == 2 and all(isinstance(one, int) and 0 <= one < 1 << 52 for one in run)
    ]
