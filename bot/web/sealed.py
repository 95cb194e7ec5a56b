"""Values that come back from a browser as we gave them: sealed with the secret of the settings, each for one purpose.

A seal hides nothing, it only shows that a value is ours: ``value.mac``, the HMAC-SHA256 over purpose and value.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

MAX_SEALED = 3000


def seal(secret: str, purpose: str, value: str) -> str:
    """The value with its seal. A value has no white space."""
    return f"{value}.{mac(secret, purpose, value)}"


def unseal(secret: str, purpose: str, text: str) -> str | None:
    """The value, if it bears our seal for this purpose."""
    value, _, given = text[:MAX_SEALED].rpartition(".")
    wanted = mac(secret, purpose, value)
    return value if value and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()) else None


def seal_json(secret: str, purpose: str, value: Mapping[str, Any]) -> str:
    """The same of a few named values."""
    return seal(secret, purpose, _encoded(json.dumps(value).encode()))


def unseal_json(secret: str, purpose: str, text: str) -> dict[str, Any] | None:
    """The named values, if they bear our seal for this purpose."""
    value = unseal(secret, purpose, text)
    if value is None:
        return None
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
    return found


def mac(secret: str, purpose: str, value: str) -> str:
    """What only we can say about a value."""
    said = f"pileup {purpose} {value}".encode("utf-8", "replace")
    return _encoded(hmac.digest(secret.encode(), said, "sha256"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
