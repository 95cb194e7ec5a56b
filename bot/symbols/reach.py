"""How symbol servers are reached, as the operator has set it. Light: it is read with the settings."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reach:
    """Seconds of a server's silence, a proxy and a file of CA certificates (None: as the environment says), and what
    to show to whom: host, or host:port → (user, password), or a token behind an empty user."""

    idle_seconds: float = 10.0
    proxy: str | None = None
    certificates: Path | None = None
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)


def read_credentials(text: str) -> dict[str, tuple[str, str]]:
    """``host=user:password`` and ``host=token``, separated by spaces → what to show to each host.

    Raises:
        ValueError: an entry is neither; the message does not repeat it.
    """
    found: dict[str, tuple[str, str]] = {}
    for number, entry in enumerate(text.split(), 1):
        host, equals, secret = entry.partition("=")
        if not host or not equals or not secret or "/" in host:
            raise ValueError(f"entry {number} must look like host=user:password or host=token")
        user, colon, password = secret.partition(":")
        found[host.lower()] = (user, password) if colon else ("", secret)
    return found


def authorization(user: str, secret: str) -> str:
    """The Authorization header of one entry: Basic for a user and a password, Bearer for a token."""
    if not user:
        return f"Bearer {secret}"
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
