"""What an issuer of identities offers and answers: endpoints, keys, tokens. Asked for, kept, never believed by itself.

Sources: OpenID Connect Discovery 1.0 and Core 1.0, RFC 7517 (keys), RFC 7636 (PKCE).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

log = logging.getLogger(__name__)

KEPT_SECONDS = 3600.0  # how long endpoints and keys are believed
AGAIN_SECONDS = 60.0  # an unknown key has the keys fetched again, so often at most
MAX_ANSWER = 256 << 10
TIMEOUT = httpx.Timeout(10.0)
MAX_KEYS = 50


class SignInFailed(Exception):
    """Nobody signed in. ``kind`` is a word for the log; the visitor is told ``line``."""

    def __init__(self, kind: str, line: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.line = line


def unavailable(kind: str) -> SignInFailed:
    """The issuer cannot be asked, or answers what makes no sense."""
    return SignInFailed(kind, "Signing in does not work at the moment: Slack does not answer as it should.")


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to the issuer. ``redirect`` is the address that it sends people back to."""

    issuer: str
    id: str
    secret: str
    redirect: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where to ask what. ``person`` is the userinfo endpoint, ``has_pkce`` whether S256 challenges are taken."""

    authorize: str
    token: str
    keys: str
    person: str | None
    has_pkce: bool


class Issuer:
    """One issuer. ``http`` opens a client for one question."""

    def __init__(
        self,
        client: Client,
        http: Callable[[], httpx.AsyncClient] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self._http = http or _plain_client
        self._clock = clock
        self._turn = asyncio.Lock()
        self._endpoints: tuple[float, Endpoints] | None = None
        self._keys: dict[str, jwt.PyJWK] = {}
        self._keys_at: float | None = None

    async def endpoints(self) -> Endpoints:
        """Where to ask what, as the issuer's own description says. Raises: SignInFailed."""
        async with self._turn:
            now = self._clock()
            if self._endpoints is None or now - self._endpoints[0] > KEPT_SECONDS:
                said = await self._ask("GET", f"{self.client.issuer}/.well-known/openid-configuration")
                self._endpoints = now, _endpoints(said, self.client.issuer)
            return self._endpoints[1]

    async def key(self, name: str) -> jwt.PyJWK:
        """The issuer's key of that name. One that is not known has the keys fetched again, at most once a minute.

        Raises:
            SignInFailed: there is none.
        """
        endpoints = await self.endpoints()
        async with self._turn:
            now = self._clock()
            age = None if self._keys_at is None else now - self._keys_at
            if age is None or age > KEPT_SECONDS or (name not in self._keys and age >= AGAIN_SECONDS):
                self._keys_at = now  # also where it fails: a stranger's token must not make us ask without end
                self._keys = _keys(await self._ask("GET", endpoints.keys))
            found = self._keys.get(name)
        if found is None:
            raise SignInFailed("unknown-key", "Slack signed this with a key that it does not name: try again.")
        return found

    async def tokens(self, code: str, verifier: str | None) -> Mapping[str, Any]:
        """What the issuer gives for a code. Raises: SignInFailed, for a code that is spent or was never one."""
        client = self.client
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": client.id,
            "client_secret": client.secret,
            "redirect_uri": client.redirect,
        }
        if verifier is not None:
            form["code_verifier"] = verifier
        said = await self._ask("POST", (await self.endpoints()).token, form=form)
        if said.get("ok") is False or "error" in said or not isinstance(said.get("id_token"), str):
            raise SignInFailed("code-refused", "This sign-in is over: begin anew.")
        return said

    async def person(self, access_token: str) -> Mapping[str, Any] | None:
        """What the issuer says of the person whose token this is; None where it offers no such answer.

        Raises:
            SignInFailed.
        """
        address = (await self.endpoints()).person
        return None if address is None else await self._ask("GET", address, bearer=access_token)

    async def _ask(
        self, method: str, address: str, *, form: dict[str, str] | None = None, bearer: str | None = None
    ) -> Mapping[str, Any]:
        headers = {"Accept": "application/json"} | ({} if bearer is None else {"Authorization": f"Bearer {bearer}"})
        try:
            async with (
                asyncio.timeout(TIMEOUT.read),
                self._http() as client,
                client.stream(method, address, data=form, headers=headers) as answer,
            ):
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_ANSWER:
                        raise unavailable("answer-too-large")
                status = answer.status_code
            said = httpx.Response(200, content=body).json()
        except (httpx.HTTPError, OSError, TimeoutError, ValueError) as error:
            raise unavailable(type(error).__name__) from error
        if not isinstance(said, dict) or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise unavailable(f"status-{status}")
        return said | ({"error": "refused"} if status >= httpx.codes.BAD_REQUEST else {})


def _plain_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False, headers={"User-Agent": "pileup"})


def _endpoints(said: Mapping[str, Any], issuer: str) -> Endpoints:
    # A description must be the issuer's own, and may not lead from https to where others listen.
    if said.get("issuer") != issuer:
        raise unavailable("another-issuer")
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
    found = [said.get(name) for name in names]
    scheme = urlsplit(issuer).scheme
    if not all(isinstance(one, str) and urlsplit(one).scheme in ("https", scheme) for one in found[:3]):
        raise unavailable("endpoints-missing")
    person = found[3] if isinstance(found[3], str) and urlsplit(found[3]).scheme in ("https", scheme) else None
    methods = said.get("code_challenge_methods_supported")
    return Endpoints(
        str(found[0]), str(found[1]), str(found[2]), person, isinstance(methods, list) and "S256" in methods
    )


def _keys(said: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    # Only keys that can have signed what we take: RSA, for signatures, with a name.
    found: dict[str, jwt.PyJWK] = {}
    listed = said.get("keys")
    for one in listed[:MAX_KEYS] if isinstance(listed, list) else []:
        if not isinstance(one, dict) or one.get("kty") != "RSA" or one.get("use", "sig") != "sig":
            continue
        if isinstance(one.get("kid"), str) and one.get("alg", "RS256") == "RS256":
            try:
                found[one["kid"]] = jwt.PyJWK(one, algorithm="RS256")
            except jwt.PyJWTError as error:
                log.warning("a key of the issuer cannot be read: %s", type(error).__name__)
    return found
