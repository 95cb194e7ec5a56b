"""Signed links: who holds one may see what was told in one Slack channel, until a day that stands in it.

A token is ``channel.expiry.mac``: the expiry in seconds since 1970, the HMAC-SHA256 of both under the secret of the
settings, in base64 without padding. Whoever reads the channel sees the link, so the link gives away nothing more.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

_TOKEN = re.compile(r"([A-Z0-9]{1,32})\.(\d{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token gives: a channel's history, until then (seconds since 1970)."""

    channel: str
    expires: int


def sign(secret: str, channel: str, expires: datetime) -> str:
    """The token for a channel. Raises: ValueError, for a channel id that is none."""
    said = f"{channel}.{int(expires.timestamp())}"
    token = f"{said}.{_mac(secret, said)}"
    if not _TOKEN.fullmatch(token):
        raise ValueError("this channel id cannot be signed")
    return token


def read(secret: str, token: str, now: datetime) -> Grant | None:
    """What a token gives now; None where it is not ours or has ended."""
    match = _TOKEN.fullmatch(token)
    if match is None or not hmac.compare_digest(_mac(secret, f"{match[1]}.{match[2]}"), match[3]):
        return None
    grant = Grant(match[1], int(match[2]))
    return grant if grant.expires > now.timestamp() else None


def _mac(secret: str, said: str) -> str:
    digest = hmac.digest(secret.encode(), f"pileup page {said}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
