"""An issuer of identities that signs with real keys, answers as Slack does, and lies where a test asks it to."""

import base64
import functools
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://id.example"
CLIENT, CLIENT_SECRET = "123.456", "a client's secret"
TEAM, PERSON = "https://slack.com/team_id", "https://slack.com/user_id"

Claims = dict[str, Any]


@functools.cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A private key of 2048 bits, one for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(name: str, **more: Any) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    found: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key(name).public_key()))
    return {**found, "kid": name, "use": "sig", "alg": "RS256"} | more


@dataclass
class Fake:
    """The issuer. ``claims`` and ``signed`` may be replaced to lie; ``asked`` counts questions by path."""

    person: str = "U1"
    team: str = "T1"
    published: list[str] = field(default_factory=lambda: ["first"])
    signs_with: str = "first"
    has_pkce: bool = True
    about: Claims = field(default_factory=dict)
    claims: Callable[[Claims], Claims] = lambda claims: claims
    signed: Callable[["Fake", Claims], str] | None = None
    description: Callable[[Claims], Claims] = lambda said: said
    asked: dict[str, int] = field(default_factory=dict)
    codes: dict[str, Claims] = field(default_factory=dict)

    def http(self) -> httpx.AsyncClient:
        """A client whose every question comes here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def agree(self, address: str) -> str:
        """What a person does at the issuer: agree. The address that they are sent back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked[path] = self.asked.get(path, 0) + 1
        return httpx.Response(200, json=self._said(path, request))

    def _said(self, path: str, request: httpx.Request) -> Claims:
        if path == "/.well-known/openid-configuration":
            return self.description(self._description())
        if path == "/keys":
            return {"keys": [public(name) for name in self.published]}
        if path == "/person":
            return {"ok": True, "sub": self.person, TEAM: self.team, "name": "Anna"} | self.about
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        asked = self.codes.pop(form["code"], None)
        if asked is None or not self._fits(asked, form):
            return {"ok": False, "error": "invalid_code"}
        token = "xoxp-for-tests"
        claims = self.claims(self._claims(asked, token))
        signed = sign(claims, self.signs_with) if self.signed is None else self.signed(self, claims)
        return {"ok": True, "access_token": token, "token_type": "Bearer", "id_token": signed}

    def _description(self) -> Claims:
        said: Claims = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "userinfo_endpoint": f"{ISSUER}/person",
            "jwks_uri": f"{ISSUER}/keys",
        }
        return said | ({"code_challenge_methods_supported": ["S256"]} if self.has_pkce else {})

    def _fits(self, asked: Claims, form: Claims) -> bool:
        challenge = asked.get("code_challenge")
        made = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        return (
            (form["client_id"], form["client_secret"]) == (CLIENT, CLIENT_SECRET)
            and form["redirect_uri"] == asked["redirect_uri"]
            and (challenge is None or challenge == made.decode().rstrip("="))
        )

    def _claims(self, asked: Claims, token: str) -> Claims:
        now = int(time.time())
        half = hashlib.sha256(token.encode()).digest()[:16]
        return {
            "iss": ISSUER,
            "sub": self.person,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="),
            TEAM: self.team,
            PERSON: self.person,
            "name": "Anna",
        }


def sign(claims: Claims, name: str, kid: str | None = None) -> str:
    """Claims signed as the issuer does."""
    return jwt.encode(claims, key(name), algorithm="RS256", headers={"kid": kid or name})


def forge(claims: Claims, header: Claims, mac: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """A token with whatever header and signature, which no sound library writes."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    said = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    return (said + b"." + part(mac(said))).decode()
