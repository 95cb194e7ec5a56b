"""``pileup symbols``: an offline set of symbol files, for machines that reach no symbol server."""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from analysis.errors import BadSymbols
from analysis.symbols.builds import known_builds
from analysis.symbols.identify import NT_FILES
from analysis.symbols.image_file import ImageFile
from analysis.symbols.names import ImageIdentity, PdbIdentity, Wanted
from analysis.symbols.pdb import open_pdb
from bot.analyzing import FAULT, OK, USAGE, Stop, settings_or_stop
from bot.child import AnalysisFailed, Order, start
from bot.console import printable, progress_on
from bot.settings import Settings
from bot.symbols import stores
from bot.symbols.fetching import Answer, Limits, SymbolServers
from bot.symbols.identity import is_sound
from bot.symbols.paths import Tiers

BUILD = re.compile(r"\d{1,2}\.\d\.\d{4,6}(\.\d{1,6})?")
PDB_NAMED = re.compile(r"(?P<name>[^/\s]+\.pdb)[/ ](?P<guid>[0-9A-Fa-f]{32})-?(?P<age>[0-9A-Fa-f]{1,8})")
IMAGE_NAMED = re.compile(r"(?P<name>[^/\s]+\.\w{2,4})[/ ](?P<stamp>[0-9A-Fa-f]{8})-?(?P<size>[0-9A-Fa-f]{1,8})")
MAX_LIST = 4 << 20  # bytes of a list of names


def fetch(what: list[str], into: Path | None, symbols: tuple[str, ...]) -> int:
    """Fetch what dumps, lists, builds or identities name into a store. The exit status: 1 where anything is missing."""
    try:
        settings = settings_or_stop()
        store = into or settings.symbol_store
        servers = _servers(settings, store, symbols)
        try:
            _ask_for(what, settings, servers)
        finally:
            servers.close()
    except Stop as stop:
        print(f"pileup: {printable(stop.line)}", file=sys.stderr)
        return stop.status
    return _tell(servers.outcomes())


def add(files: list[Path], into: Path | None) -> int:
    """Put PDBs and images into a store, each at the place that its own content names."""
    try:
        store = into or settings_or_stop().symbol_store
    except Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        return stop.status
    status = OK
    for path in files:
        try:
            wanted = _identity(path)
            print(f"{wanted} -> {_put(store, path, wanted)}")
        except (BadSymbols, OSError) as error:
            reason = error.reason if isinstance(error, BadSymbols) else type(error).__name__
            print(f"pileup: {printable(path.name)}: {printable(reason)}", file=sys.stderr)
            status = FAULT
    return status


def listing(store: Path | None, *, as_json: bool) -> int:
    """Print what was fetched into a store, the longest unused first."""
    try:
        kept = stores.kept_in(store or settings_or_stop().symbol_store)
    except Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        return stop.status
    if as_json:
        rows: list[dict[str, Any]] = [
            {"path": str(one.path), "size": one.size, "from": one.source, "last_used": one.last_used} for one in kept
        ]
        print(json.dumps(rows, indent=2))
        return OK
    for one in kept:
        print(f"{one.size:>12,}  {one.path.name}  {one.path.parent.name}  {printable(one.source)}")
    print(f"{sum(one.size for one in kept):>12,}  {len(kept)} files")
    return OK


def prune(store: Path | None, most: int) -> int:
    """Remove the fetched files that were used longest ago until a store holds at most so many bytes."""
    try:
        gone = stores.prune(store or settings_or_stop().symbol_store, most, fresh=0)
    except Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        return stop.status
    print(f"{len(gone)} files removed, {sum(one.size for one in gone):,} bytes")
    return OK


def _servers(settings: Settings, store: Path, symbols: tuple[str, ...]) -> SymbolServers:
    tiers = tuple(Tiers((store, *one.places)) for one in settings.symbol_tiers(symbols))
    if not any(isinstance(place, str) for one in tiers for place in one.places):
        raise Stop("no symbol server is named: use --symbols srv*https://… or PILEUP_SYMBOLS", USAGE)
    limits = Limits(0.1, settings.symbol_seconds, int(settings.symbol_cache_size))
    return SymbolServers(tiers, store, limits, settings.symbol_reach)


def _ask_for(what: list[str], settings: Settings, servers: SymbolServers) -> None:
    dumps: list[Path] = []
    for one in what:
        path = Path(one)
        if not path.is_file():
            for wanted in _named(one):
                servers.ask(wanted)
        elif (listed := list(_listed(path))) or path.suffix.lower() in (".txt", ".tsv", ".lst"):
            for wanted in listed:
                servers.ask(wanted)
        else:
            dumps.append(path)
    with progress_on() as show:
        for dump in dumps:
            show(f"reading {dump.name}", None)
            _analysed(dump, settings, servers)
        show("waiting for symbol servers", None)
        servers.await_late()
        for dump in dumps:  # images that have come name PDBs
            show(f"reading {dump.name}", None)
            _analysed(dump, settings, servers)
        servers.await_late()


# An analysis in a child, as any: only it looks into the dump, and it asks for whatever the modules name.
def _analysed(dump: Path, settings: Settings, servers: SymbolServers) -> None:
    order = Order(dump, symbols=settings.symbol_paths(), servers=servers, every_symbol=True)
    child = start(order, settings.analysis_limits)
    try:
        child.document()
    except AnalysisFailed as failed:
        raise Stop(f"{dump.name}: {failed.line}", failed.exit_code) from failed


def _listed(path: Path) -> Iterator[Wanted]:
    with path.open("rb") as file:
        content = file.read(MAX_LIST)
    if b"\0" in content:
        return
    for line in content.decode("utf-8", "replace").splitlines():
        yield from _named(line.strip(), strict=False)


def _named(text: str, *, strict: bool = True) -> Iterator[Wanted]:
    """What a build or an identity names; nothing, or Stop where ``strict``, for any other text."""
    found: list[Wanted] = [
        PdbIdentity(match["name"], match["guid"].upper(), int(match["age"], 16)) for match in PDB_NAMED.finditer(text)
    ]
    if not found:
        found += [
            ImageIdentity(match["name"], int(match["stamp"], 16), int(match["size"], 16))
            for match in IMAGE_NAMED.finditer(text)
        ]
    if not found and (build := BUILD.search(text)):
        kernels = [guid for guid, known in known_builds().items() if f"{known}.".startswith(f"{build[0]}.")]
        found += [PdbIdentity("ntkrnlmp.pdb", guid, 1) for guid in kernels]
    if strict and not found:
        raise Stop(f"{text} is no file, no build that is known here, and names no symbol file", USAGE)
    yield from (one for one in found if is_sound(one))


def _tell(outcomes: Iterable[tuple[Wanted, Answer]]) -> int:
    told = list(outcomes)
    # The kernel's file has several names, and one of them is enough.
    kernels = {wanted.key for wanted, answer in told if answer.path and wanted.name in NT_FILES}
    told = [one for one in told if one[1].path or one[0].name not in NT_FILES or one[0].key not in kernels]
    for wanted, answer in told:
        print(f"{wanted}  {answer.path or f'missing: {printable(answer.reason)}'}")
    missing = sum(answer.path is None for _, answer in told)
    print(f"{len(told) - missing} of {len(told)} symbol files are in place")
    return OK if told and not missing else FAULT


def _identity(path: Path) -> Wanted:
    if path.suffix.lower() == ".pdb":
        table = open_pdb(path)
        table.close()
        return table.identity
    image = ImageFile(path, 0)
    image.close()
    return image.identity


def _put(store: Path, path: Path, wanted: Wanted) -> Path:
    if not is_sound(wanted):
        raise BadSymbols(path.name, "its name cannot stand in a store")
    place = stores.place_in(store, wanted)
    with stores.part_of(place) as part:
        shutil.copyfile(path, part)
        part.chmod(0o644)
        return part.replace(place / wanted.name)
