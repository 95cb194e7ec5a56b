"""From an id_token to a person, or a refusal: every claim is checked, nothing is taken from the token on trust.

Sources: OpenID Connect Core 1.0, 3.1.3.7 (id_token), 3.1.3.6 (at_hash), 5.3.2 (userinfo); RFC 8725 (JWT practice).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from bot.web.signin.issuer import Issuer, SignInFailed

TEAM, PERSON = "https://slack.com/team_id", "https://slack.com/user_id"
LEEWAY_SECONDS = 60
MAX_TOKEN = 16_384
NEEDED = ("iss", "aud", "exp", "iat", "sub", "nonce")


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in, by Slack's ids."""

    team: str
    id: str
    name: str


async def identify(issuer: Issuer, code: str, verifier: str | None, nonce: str) -> Person:
    """Who came back with this code. ``nonce`` is what we gave this very sign-in on its way.

    Raises:
        SignInFailed.
    """
    said = await issuer.tokens(code, verifier)
    claims = await verified(issuer, said["id_token"], nonce)
    access_token = said.get("access_token")
    _check_access_token(claims, access_token)
    name = claims.get("name")
    if isinstance(access_token, str):
        about = await issuer.person(access_token)
        if about is not None:
            _check_same(claims, about)
            name = about.get("name") or name
    team, person = claims.get(TEAM), claims.get(PERSON) or claims["sub"]
    if not isinstance(team, str) or not isinstance(person, str) or not team or not person:
        raise refused("no-team")
    return Person(team, person, name if isinstance(name, str) and name else person)


async def verified(issuer: Issuer, token: str, nonce: str) -> Mapping[str, Any]:
    """The claims of an id_token that the issuer signed for us, now, for this very sign-in.

    Raises:
        SignInFailed.
    """
    if len(token) > MAX_TOKEN:
        raise refused("too-long")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise refused("unreadable") from error
    # What the token says of its own algorithm is held against the one that we take, never followed.
    if header.get("alg") != "RS256" or not isinstance(header.get("kid"), str):
        raise refused("algorithm")
    key = await issuer.key(header["kid"])
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=issuer.client.id,
            issuer=issuer.client.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(NEEDED)},
        )
    except jwt.PyJWTError as error:
        raise refused(type(error).__name__) from error
    # For whom it was issued: it must be said where there are several readers, and be us wherever it is said.
    others = claims["aud"] if isinstance(claims["aud"], list) else []
    if claims.get("azp", None if len(others) > 1 else issuer.client.id) != issuer.client.id:
        raise refused("meant-for-another")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise refused("nonce")
    return claims


def refused(kind: str) -> SignInFailed:
    """What came back is not believed."""
    return SignInFailed(kind, "Slack's answer could not be verified: begin anew.")


def _check_access_token(claims: Mapping[str, Any], access_token: Any) -> None:
    # Where the signed token names the access token, it must be that one.
    named = claims.get("at_hash")
    if named is None or access_token is None:
        return
    half = hashlib.sha256(str(access_token).encode()).digest()[:16]
    if not hmac.compare_digest(base64.urlsafe_b64encode(half).rstrip(b"="), str(named).encode()):
        raise refused("access-token")


def _check_same(claims: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    # The answer about a person must be about the one whom the signed token names, in the same workspace.
    same = about.get("sub") == claims["sub"] and about.get(TEAM, claims.get(TEAM)) == claims.get(TEAM)
    if "error" in about or about.get("ok") is False or not same:
        raise refused("another-person")
