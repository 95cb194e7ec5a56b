"""The child process of one analysis: a dump in, JSON lines out, within a memory cap, a time cap and without network.

``python -m analysis PATH [OPTIONS-AS-JSON]``. Each line is an object: ``{"stage", "fraction"}`` while it works, and
last ``{"report": …}`` or ``{"error": {"kind", "message", "exit_code"}}``. Options: ``symbols`` (list of directories),
``cache``, ``rules`` (a file), ``source``, ``sha256``, ``fetch_seconds``, ``memory_bytes``, ``cpu_seconds``, and
``ask``: then a line ``{"need": {"name", "guid", "age"}}`` asks for a PDB, ``{"need": {"name", "timestamp", "size"}}``
for an image, and one on standard input answers ``{"path"}`` or ``{"missing"}``. ``marks`` (a file) says that PATH is a
sparse file and which of its pages are filled: then a line ``{"need": {"pages": [[first, count], …]}}`` asks for more,
and any line on standard input says that they are there.
"""

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.confinement import cap_memory, cap_time, confine_files, cut_off_network, end_with_parent
from analysis.errors import BadDump, BadRules, LimitReached, NotADump
from analysis.formats.remote import RemotePages, Run
from analysis.pipeline import Options, analyze
from analysis.symbols.names import Wanted

DEFAULT_MEMORY = 2 << 30  # bytes of the process' own data; the mapped dump does not count
FEW_COLLECTIONS = 100_000  # objects made before Python looks for cycles among the young ones
DEFAULT_CPU = 120  # seconds

EXIT_OURS, EXIT_USAGE, EXIT_NOT_A_DUMP, EXIT_LIMIT = 1, 2, 3, 5


def main(arguments: list[str]) -> int:
    """Runs one analysis. Returns the exit status that the report's contract names."""
    if len(arguments) not in (1, 2):
        print("usage: python -m analysis PATH [OPTIONS-AS-JSON]", file=sys.stderr)
        return EXIT_USAGE
    settings: dict[str, Any] = json.loads(arguments[1]) if len(arguments) > 1 else {}
    _confine(settings)
    # Symbol tables are a million small objects that all live as long as this process: looking through them for
    # garbage again and again would cost a tenth of its time.
    gc.set_threshold(FEW_COLLECTIONS, 50, 50)
    try:
        made = analyze(Path(arguments[0]), _options(settings), _progress(_write))
        _write({"report": made.unchecked()})  # whoever started us holds it against the contract
    except Exception as error:  # noqa: BLE001  # the parent must get one line, whatever happened
        kind, message, status = judge(error)
        _write({"error": {"kind": kind, "message": message, "exit_code": status}})
        return status
    return 0


def judge(error: Exception) -> tuple[str, str, int]:
    """What kind of failure an error is, one line for a person, and the exit status."""
    if isinstance(error, NotADump):
        return "not-a-dump", f"This is {error.what}, not a dump that can be read here.", EXIT_NOT_A_DUMP
    if isinstance(error, BadDump):
        return "bad-dump", f"No usable header: {error}.", EXIT_NOT_A_DUMP
    if isinstance(error, BadRules):
        return "rules", f"{str(error)[:1].upper()}{str(error)[1:]}.", EXIT_USAGE
    if isinstance(error, LimitReached):
        return "limit", f"Stopped by a limit: {error.limit} is {error.value}.", EXIT_LIMIT
    if isinstance(error, MemoryError):
        return "limit", "Stopped by a limit: the analysis needs more memory than it may use.", EXIT_LIMIT
    if isinstance(error, FileNotFoundError):
        return "no-file", "There is no such file.", EXIT_USAGE
    return "fault", f"A fault of ours: {type(error).__name__}: {error}", EXIT_OURS


def _options(settings: dict[str, Any]) -> Options:
    return Options(
        symbols=tuple(Path(one) for one in settings.get("symbols", ())),
        cache=Path(settings["cache"]) if settings.get("cache") else None,
        source=settings.get("source"),
        ask=_ask if settings.get("ask") else None,
        every_symbol=bool(settings.get("every_symbol")),
        rules=Path(settings["rules"]) if settings.get("rules") else None,
        sha256=settings.get("sha256"),
        fetch_seconds=float(settings.get("fetch_seconds") or 0.0),
        remote=RemotePages(Path(settings["marks"]), _ask_pages) if settings.get("marks") else None,
    )


# The one who started us fetches: a line with the question out, a line with the answer in.
def _ask(wanted: Wanted) -> Path | str:
    _write({"need": asdict(wanted)})
    answer = json.loads(sys.stdin.readline() or "{}")
    path = answer.get("path")
    return Path(path) if path else str(answer.get("missing", "nobody answered"))


def _ask_pages(runs: list[Run]) -> None:
    _write({"need": {"pages": runs}})
    sys.stdin.readline()


def _confine(settings: dict[str, Any]) -> None:
    memory = int(settings.get("memory_bytes") or DEFAULT_MEMORY)
    seconds = int(settings.get("cpu_seconds") or DEFAULT_CPU)
    writable = [Path(settings["cache"])] if settings.get("cache") else []
    for place in writable:
        place.mkdir(parents=True, exist_ok=True)
    for note in (
        cap_memory(memory),
        cap_time(seconds),
        end_with_parent(),
        cut_off_network(),
        confine_files(writable),
    ):
        if note is not None:
            print(f"note: {note}", file=sys.stderr)


def _progress(write: Callable[[dict[str, Any]], None]) -> Callable[[str, float | None], None]:
    return lambda stage, fraction: write({"stage": stage, "fraction": fraction})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
