"""``python -m tests.symbol_faults`` (``make faults``): what becomes of an analysis when its symbol server fails.

The seed story, whose kernel and drivers lie on a real local server with one fault in it. For each: the culprit that was
named, how many driver frames have function names, after how many seconds the first verdict and the last one came, and
what the report said about symbols. The exit status is 1 where a fault cost the verdict, or a wrong file was believed.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.verdict.report import Report
from bot.child import ChildLimits, Order, start
from bot.symbols.fetching import Limits, SymbolServers
from bot.symbols.paths import Tiers
from bot.symbols.reach import Reach
from tests.bot.cabinets import LZX_PACKED, MSZIP, cabinet
from tests.bot.symbol_store import Store, serving
from tests.bot.test_symbol_stories import driver_frames, fill
from tests.forge import Forged, forge
from tests.symbols.pdbs import Pdb

LINE = "{:34} {:13} {:>7} {:>7} {:>7}  {}"
CULPRIT = "rassstp.sys"
REACH = Reach(idle_seconds=2)
LIMITS = Limits(first_seconds=1, total_seconds=60)


@dataclass(frozen=True)
class Fault:
    """One fault: its name, how it is made, and whether every driver frame is named in spite of it."""

    name: str
    make: Callable[[Store], None]
    harmless: bool = False


def _each(suffix: str, change: Callable[[Store, str], None]) -> Callable[[Store], None]:
    def make(server: Store) -> None:
        for path in [path for path in server.files if path.endswith(suffix)]:
            change(server, path)

    return make


def _fault(word: str) -> Callable[[Store, str], None]:
    return lambda server, path: server.faults.__setitem__(path, word)


def _body(change: Callable[[bytes], bytes]) -> Callable[[Store, str], None]:
    return lambda server, path: server.files.__setitem__(path, change(server.files[path]))


def _packed(kind: int, damage: Callable[[bytes], bytes] = bytes) -> Callable[[Store, str], None]:
    def change(server: Store, path: str) -> None:
        name = path.rpartition("/")[2]
        server.files[f"{path[:-1]}_"] = damage(cabinet(name, server.files.pop(path), kind))

    return change


def _moved(server: Store, path: str) -> None:
    server.files[f"/elsewhere{path}"] = server.files.pop(path)
    server.faults[path] = f"to:/elsewhere{path}"


def _indexed(server: Store) -> None:
    server.files = {f"/{path[1:3].lower()}{path}": body for path, body in server.files.items()}
    server.files["/index2.txt"] = b""


def _pointer(said: bytes) -> Callable[[Store, str], None]:
    def change(server: Store, path: str) -> None:
        del server.files[path]
        server.files[f"{path.rpartition('/')[0]}/file.ptr"] = said

    return change


FAULTS = (
    Fault("none", lambda server: None, harmless=True),
    Fault("store with index2.txt", _indexed, harmless=True),
    Fault("compressed, MSZIP", _each(".pdb", _packed(MSZIP)), harmless=True),
    Fault("compressed, LZX", _each(".pdb", _packed(LZX_PACKED)), harmless=True),
    Fault("redirect", _each(".pdb", _moved), harmless=True),
    Fault("500 once, then fine", _each(".pdb", _fault("once:500")), harmless=True),
    Fault("slow: 1.5 s before each file's end", _each(".pdb", _fault("slow")), harmless=True),
    Fault("404 for every PDB", _each(".pdb", _fault("404"))),
    Fault("403 for every PDB", _each(".pdb", _fault("403"))),
    Fault("500 for everything", lambda server: server.faults.__setitem__("*", "500")),
    Fault("cut off before the end", _each(".pdb", _fault("cut"))),
    Fault("another build's PDB", _each(".pdb", _body(lambda _: Pdb(age=7).build()))),
    Fault("a sign-in page for a PDB", _each(".pdb", _body(lambda _: b"<html>sign in</html>"))),
    Fault("compressed and damaged", _each(".pdb", _packed(MSZIP, lambda body: body[: len(body) // 2]))),
    Fault("file.ptr with a message", _each(".pdb", _pointer(b"MSG: withdrawn"))),
    Fault("redirects without an end", _each(".pdb", lambda server, path: _fault(f"to:{path}")(server, path))),
    Fault("accepts and never answers", lambda server: server.faults.__setitem__("*", "held")),
)


def main() -> int:
    """Prints the table; the exit status."""
    seed = forge("seed", build=19041, kind="bitmap", driver_pdbs=True)
    print(LINE.format("fault", "culprit", "named", "first s", "last s", "what the report says of symbols"))
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        dump = seed.write(Path(scratch) / "MEMORY.DMP")
        for number, fault in enumerate(FAULTS):
            good = _row(Path(scratch) / str(number), seed, dump, fault) and good
        good = _row(Path(scratch) / "down", seed, dump, Fault("nobody listens", lambda server: None), up=False) and good
    return 0 if good else 1


def _row(scratch: Path, seed: Forged, dump: Path, fault: Fault, *, up: bool = True) -> bool:
    started = time.perf_counter()
    with serving() as server:
        fill(server, seed, scratch / "served")
        fault.make(server)
        url = server.url if up else "http://127.0.0.1:9"
        servers = SymbolServers((Tiers((scratch / "cache", url)),), scratch / "cache", LIMITS, REACH)
        started = time.perf_counter()
        report = _analysed(dump, servers)
        first = last = time.perf_counter() - started
        if servers.late() and servers.await_late():
            report = _analysed(dump, servers)
        last = time.perf_counter() - started
        server.gate.set()
        servers.close()
    frames = driver_frames(report)
    named = sum("!Driver::" in frame for frame in frames)
    culprit = report.verdict.culprit.module if report.verdict.culprit else None
    said = [note for note in report.notes if "symbol file" in note]
    more = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    shown = (said[0][:110] + more) if said else "-"
    print(
        LINE.format(fault.name, str(culprit), f"{named}/{len(frames)}", f"{first:.1f}", f"{last:.1f}", shown),
        flush=True,
    )
    return (
        culprit == CULPRIT and named == (len(frames) if fault.harmless else 0) and bool(frames) and bool(said or named)
    )


def _analysed(dump: Path, servers: SymbolServers) -> Report:
    return start(Order(dump, servers=servers), ChildLimits(seconds=120)).report()


if __name__ == "__main__":
    sys.exit(main())
