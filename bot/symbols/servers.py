"""One symbol server: how a file is asked for, and what each of its answers means.

Source: Microsoft Learn, "Using SymSrv" and "SymStore": the file at name/KEY/name, else compressed at name/KEY/nam_,
else a file.ptr that says where it is or why it is not.
"""

import random
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx

from analysis.symbols.names import Wanted
from analysis.symbols.search import packed_name
from bot.symbols.identity import why_refused
from bot.symbols.outcomes import Failed, GivenUp, NotStored, NotThere
from bot.symbols.reach import Reach
from bot.symbols.stores import INDEX, MAX_POINTER, POINTER, part_of, pointer_text
from bot.symbols.unpacking import MAX_BYTES, NotUnpacked, unpack

USER_AGENT = "Microsoft-Symbol-Server/10.0.0.0"  # some servers answer nobody else
MAX_REDIRECTS = 5
ATTEMPTS = 2
PAUSE_SECONDS = 0.3  # before a second attempt
NOT_THERE = frozenset({401, 403, 404, 410})  # stores on web space answer 403 for what they do not have
BUSY = frozenset({429, 500, 502, 503, 504})  # worth a second attempt


class _TryAgain(Failed):
    # It may be otherwise the next time.
    pass


class Server:
    """A server by its address. What the address holds of a user and a password is taken out of it."""

    def __init__(self, address: str, reach: Reach, transport: httpx.BaseTransport | None = None) -> None:
        parts = urlsplit(address)
        self.host = parts.hostname or "the symbol server"
        self.url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
        secret = reach.credentials.get(self.host) or reach.credentials.get(parts.netloc.rpartition("@")[2])
        if parts.username:
            secret = (unquote(parts.username), unquote(parts.password or ""))
        self._auth = _auth(secret)
        self._reach = reach
        self._transport = transport
        self._client: httpx.Client | None = None
        self._lock = Lock()
        self._has_index: bool | None = None

    def close(self) -> None:
        """Ends the connections. Safe to call twice; a later question opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def fetched(self, wanted: Wanted, place: Path, until: float) -> Iterator[Path]:
        """The wanted file, whole and checked, as a nameless one in the folder ``place``; it is gone afterwards.

        ``until`` is the end of its time, as ``time.monotonic`` counts.

        Raises:
            NotThere, Failed: with what to tell a person.
        """
        with part_of(place) as part:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    self._fetch(wanted, part, until)
                    break
                except _TryAgain:
                    pause = PAUSE_SECONDS * random.uniform(1, 2)
                    if attempt == ATTEMPTS or time.monotonic() + pause > until:
                        raise
                    time.sleep(pause)
            yield part

    def _fetch(self, wanted: Wanted, part: Path, until: float) -> None:
        try:
            self._by_name(wanted, part, until)
        except httpx.TimeoutException as error:
            raise Failed(f"{self.host} did not answer in {self._reach.idle_seconds:g} s") from error
        except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise _TryAgain(f"{self.host} could not be asked ({type(error).__name__})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed(f"{self.host} could not be asked ({type(error).__name__})") from error
        except OSError as error:
            raise NotStored(f"{wanted.name} could not be stored ({error.strerror or type(error).__name__})") from error
        except RuntimeError as error:  # what httpx says when it was closed meanwhile
            raise GivenUp(f"{self.host} had not answered when the analysis was over") from error

    def _by_name(self, wanted: Wanted, part: Path, until: float) -> None:
        client = self._opened()
        above = f"{self.url}/{quote(wanted.name[:2].lower())}" if self._indexed(client) else self.url
        # Web servers tell capitals from small letters, and those who fill them do not agree on either.
        for name, key in dict.fromkeys(((wanted.name, wanted.key), (wanted.name.lower(), wanted.key.lower()))):
            folder = f"{above}/{quote(name)}/{key}"
            if self._saved(client, f"{folder}/{quote(name)}", part, until):
                self._believe(part, wanted)
                return
            if self._saved(client, f"{folder}/{quote(packed_name(name))}", part, until):
                self._unpack(part, wanted)
                return
            said = self._pointer(client, f"{folder}/{POINTER}")
            if said.upper().startswith("MSG:"):
                raise NotThere(f"{self.host} says of it: {said[4:].strip()[:200]}")
            if said:
                raise NotThere(f"{self.host} keeps it at a place that it does not serve")
        raise NotThere(f"{self.host} has no such file")

    def _unpack(self, part: Path, wanted: Wanted) -> None:
        with part_of(part.parent) as whole:
            try:
                unpack(part, whole, MAX_BYTES)
            except NotUnpacked as reason:
                raise Failed(f"what {self.host} sent, compressed, is refused: {reason}") from reason
            self._believe(whole, wanted)
            whole.replace(part)

    def _believe(self, part: Path, wanted: Wanted) -> None:
        refused = why_refused(part, wanted)
        if refused is not None:
            raise Failed(f"what {self.host} sent is refused: {refused}")

    def _saved(self, client: httpx.Client, url: str, part: Path, until: float) -> bool:
        with client.stream("GET", url) as response:
            if response.status_code in NOT_THERE:
                return False
            if response.status_code in BUSY:
                raise _TryAgain(f"{self.host} answered with status {response.status_code}")
            if response.status_code != httpx.codes.OK:
                raise Failed(f"{self.host} answered with status {response.status_code}")
            with part.open("wb") as file:
                for block in response.iter_bytes():
                    file.write(block)
                    if file.tell() > MAX_BYTES:
                        raise Failed(f"{self.host} sends more than {MAX_BYTES} bytes")
                    if time.monotonic() > until:
                        raise GivenUp(f"the time for symbols was up before all had arrived from {self.host}")
        return True

    def _pointer(self, client: httpx.Client, url: str) -> str:
        with client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                return ""
            return pointer_text(next(response.iter_bytes(MAX_POINTER), b""))

    def _indexed(self, client: httpx.Client) -> bool:
        if self._has_index is None:
            self._has_index = client.head(f"{self.url}/{INDEX}").status_code == httpx.codes.OK
        return self._has_index

    def _opened(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = self._new_client()
            return self._client

    def _new_client(self) -> httpx.Client:
        proxy = self._reach.proxy if self._transport is None else None
        verify = _trusted(self._reach.certificates)
        try:
            return httpx.Client(
                timeout=httpx.Timeout(self._reach.idle_seconds),
                headers={"User-Agent": USER_AGENT},
                auth=self._auth,
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
                proxy=proxy,
                verify=verify,
                transport=self._transport,
            )
        except ValueError as error:  # httpx says what it wants of a proxy; it may repeat a password
            raise Failed("the proxy for symbol servers is not given as an address that can be used") from error


class _Token(httpx.Auth):
    # Set on each request as a password is, so that a redirect to another host drops it in the same way.

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


def _auth(secret: tuple[str, str] | None) -> httpx.Auth | None:
    if secret is None:
        return None
    user, password = secret
    return httpx.BasicAuth(user, password) if user else _Token(password)


def _trusted(certificates: Path | None) -> "bool | ssl.SSLContext":
    if certificates is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(certificates))
    except OSError as error:  # ssl.SSLError is one
        raise Failed(f"the CA certificates in {certificates.name} cannot be used ({type(error).__name__})") from error
