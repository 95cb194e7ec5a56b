"""PDBs from symbol servers: asked by name, GUID and age, kept in a symbol store on disk.

An analysis has no network: it asks this process. What a server sends is used only if the GUID and age inside are those
that were asked for. Source: Microsoft Learn, "SymStore" and "Using SymSrv".
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from analysis.errors import BadSymbols
from analysis.symbols.names import PdbIdentity
from analysis.symbols.pdb import open_pdb
from bot.symbol_path import Server

NAME = re.compile(r"(?!\.)[\w.+\-$%@ ()\[\]]{1,200}\.pdb", re.ASCII | re.IGNORECASE)
GUID = re.compile(r"[0-9A-F]{32}")
USER_AGENT = "Microsoft-Symbol-Server/10.0.0.0"  # some servers answer nobody else
MAX_BYTES = 1 << 30
MAX_POINTER = 4096  # bytes of a file.ptr
MAX_REDIRECTS = 5
MISSING_SECONDS = 24 * 3600.0  # a server said that it has no such file
FAILED_SECONDS = 600.0  # it could not be asked, or sent something else
DOWN_AFTER = 2  # failures in one job after which a server is left alone
NOT_THERE = frozenset({401, 403, 404, 410})  # stores on web space answer 403 for what they do not have
MARKER = "missing.json"


@dataclass(frozen=True, slots=True)
class Limits:
    """What symbols of one job may cost: seconds of a connection's silence, seconds in all, bytes kept on disk."""

    idle_seconds: float = 10.0
    total_seconds: float = 60.0
    cache_bytes: int = 20_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A file, or why there is none (one line for a person)."""

    path: Path | None = None
    reason: str = ""


class _NotThereError(Exception):
    """A server does not have the file; the argument says so."""


class _FailedError(Exception):
    """A server could not be asked, or sent something else; the argument says what."""


class SymbolServers:
    """Fetches PDBs for one job. Its time runs from the first question; when it is used up, nothing more is fetched."""

    def __init__(
        self, servers: tuple[Server, ...], limits: Limits, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._servers = servers
        for server in servers:  # the analysis looks there first, and would miss a directory that is not there yet
            with suppress(OSError):
                server.cache.mkdir(parents=True, exist_ok=True)
        self._limits = limits
        self._transport = transport
        self._spent = 0.0
        self._failures: dict[str, int] = {}
        self._tiers: dict[str, bool] = {}

    def close(self) -> None:
        """Ends the connections. Safe to call twice; a later question opens new ones."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @property
    def seconds(self) -> float:
        """How long servers were waited for so far."""
        return self._spent

    def fetch(self, wanted: PdbIdentity) -> Answer:
        """The PDB with that identity from the first server that has it, from its cache where it was fetched before."""
        if not NAME.fullmatch(wanted.name) or not GUID.fullmatch(wanted.guid) or not 0 <= wanted.age < 1 << 32:
            return Answer(reason=f"{wanted.name[:80]!r} is no name of a PDB that a server could be asked for")
        reasons: list[str] = []
        for server in self._servers:
            try:
                return Answer(self._from(server, wanted))
            except (_NotThereError, _FailedError) as reason:
                reasons.append(str(reason))
        return Answer(reason="; ".join(dict.fromkeys(reasons)) or "no symbol server is configured")

    def _from(self, server: Server, wanted: PdbIdentity) -> Path:
        place = server.cache / wanted.name / _key(wanted)
        path = place / wanted.name
        if path.is_file():
            return path
        _recall(place, server)
        if self._failures.get(server.url, 0) >= DOWN_AFTER:
            raise _FailedError(f"{host_of(server)} was not asked again after {DOWN_AFTER} failures")
        started = time.monotonic()
        until = started + self._limits.total_seconds - self._spent
        if started >= until:
            raise _FailedError(f"the {self._limits.total_seconds:g} s for symbols are used up")
        try:
            self._download(server, wanted, path, until)
        except _NotThereError as reason:
            _remember(place, server, str(reason), MISSING_SECONDS)
            raise
        except _FailedError as reason:
            self._failures[server.url] = self._failures.get(server.url, 0) + 1
            _remember(place, server, str(reason), FAILED_SECONDS)
            raise
        finally:
            self._spent += time.monotonic() - started
        prune(server.cache, self._limits.cache_bytes, keep=path)
        return path

    def _download(self, server: Server, wanted: PdbIdentity, path: Path, until: float) -> None:
        try:
            client = self._client
            _Download(client, server, wanted, until, self._has_three_tiers(client, server)).into(path)
        except httpx.TimeoutException as error:
            raise _FailedError(f"{host_of(server)} did not answer in {self._limits.idle_seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _FailedError(f"{host_of(server)} could not be asked ({type(error).__name__})") from error
        except OSError as error:
            raise _FailedError(f"{wanted.name} could not be stored ({type(error).__name__})") from error

    @cached_property
    def _client(self) -> httpx.Client:
        # Proxies and certificates are taken from the environment, as httpx does by itself.
        return httpx.Client(
            timeout=httpx.Timeout(self._limits.idle_seconds),
            headers={"User-Agent": USER_AGENT},
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            transport=self._transport,
        )

    # A store of three tiers says so by a file index2.txt at its root.
    def _has_three_tiers(self, client: httpx.Client, server: Server) -> bool:
        if server.url not in self._tiers:
            self._tiers[server.url] = client.head(f"{server.url}/index2.txt").status_code == httpx.codes.OK
        return self._tiers[server.url]


@dataclass(frozen=True, slots=True)
class _Download:
    """One file from one server. ``until`` is the end of its time, as ``time.monotonic`` counts."""

    client: httpx.Client
    server: Server
    wanted: PdbIdentity
    until: float
    three_tiers: bool

    def into(self, path: Path) -> None:
        """Writes the file, whole and checked. Raises: _NotThereError, _FailedError, httpx.HTTPError, OSError."""
        name, host = self.wanted.name, host_of(self.server)
        above = f"{self.server.url}/{quote(name[:2])}" if self.three_tiers else self.server.url
        folder = f"{above}/{quote(name)}/{_key(self.wanted)}"
        if self._save(f"{folder}/{quote(name)}", path):
            return
        said = self._pointer(f"{folder}/file.ptr")
        if said.upper().startswith("MSG:"):
            raise _NotThereError(f"{host} says of {name}: {said[4:].strip()[:200]}")
        if said:
            raise _NotThereError(f"{host} keeps {name} at a place that it does not serve")
        if self.client.head(f"{folder}/{quote(name[:-1])}_").status_code == httpx.codes.OK:
            raise _NotThereError(f"{host} has {name} only compressed ({name[:-1]}_), which is not unpacked here")
        raise _NotThereError(f"{host} does not have {name} {self.wanted.guid}-{self.wanted.age:x}")

    # Stores may keep a file elsewhere and only its path here, or a message for people.
    def _pointer(self, url: str) -> str:
        with self.client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                return ""
            first = next(response.iter_bytes(MAX_POINTER), b"")
        return " ".join(first.decode("utf-8", "replace").split())

    def _save(self, url: str, path: Path) -> bool:
        name, host = self.wanted.name, host_of(self.server)
        with self.client.stream("GET", url) as response:
            if response.status_code in NOT_THERE:
                return False
            if response.status_code != httpx.codes.OK:
                raise _FailedError(f"{host} answered with status {response.status_code}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with _beside(path) as (part, file):
                for block in response.iter_bytes():
                    file.write(block)
                    if file.tell() > MAX_BYTES:
                        raise _FailedError(f"{host} sends more than {MAX_BYTES} bytes for {name}")
                    if time.monotonic() > self.until:
                        raise _FailedError(f"the time for symbols was up before {name} had arrived from {host}")
                file.flush()
                _check(part, self.wanted, host)
                part.replace(path)
        return True


def host_of(server: Server) -> str:
    """The host of a server, to be shown: its address may hold a password."""
    return urlsplit(server.url).hostname or "the symbol server"


def _key(wanted: PdbIdentity) -> str:
    return f"{wanted.guid}{wanted.age:X}"


@contextmanager
def _beside(path: Path) -> Iterator[tuple[Path, "tempfile._TemporaryFileWrapper[bytes]"]]:
    # Nobody must find a file that is not whole: it gets its name when it is.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        part = Path(file.name)
        try:
            yield part, file
        finally:
            part.unlink(missing_ok=True)


def _check(part: Path, wanted: PdbIdentity, host: str) -> None:
    try:
        open_pdb(part, wanted).close()
    except BadSymbols as refused:
        raise _FailedError(f"what {host} sent as {wanted.name} is refused: {refused.reason}") from refused


# What a server was asked for in vain is not asked again until the note about it expires.
def _recall(place: Path, server: Server) -> None:
    try:
        known = json.loads((place / MARKER).read_text())
        note = known.get(server.url, {})
        until, reason = float(note.get("until", 0)), str(note.get("reason", ""))
    except (OSError, ValueError, AttributeError, TypeError):
        return
    if time.time() < until:
        raise _NotThereError(f"{reason} (asked before)")


def _remember(place: Path, server: Server, reason: str, seconds: float) -> None:
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        try:
            known = json.loads((place / MARKER).read_text())
        except (OSError, ValueError):
            known = {}
        known = known if isinstance(known, dict) else {}
        known[server.url] = {"until": time.time() + seconds, "reason": reason}
        (place / MARKER).write_text(json.dumps(known))


def prune(cache: Path, most: int, keep: Path | None = None) -> int:
    """Removes the files of a store that were used longest ago until it holds at most so many bytes; how many went."""
    files = []
    for path in cache.glob("*/*/*.pdb"):
        with suppress(OSError):
            about = path.stat()
            files.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    total, gone = sum(size for _, size, _ in files), 0
    for _, size, path in sorted(files):
        if total <= most:
            break
        if path != keep:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108  # a file, never what a link leads to
                total, gone = total - size, gone + 1
    return gone
