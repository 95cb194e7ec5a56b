"""Tokens as they lie in the database: encrypted (AES-256 in GCM), each bound to its workspace.

The key comes from a secret of the settings. With another secret nothing can be opened, and each workspace has to
install the bot again.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12
VERSION = "1"


class Unopened(Exception):
    """What was sealed cannot be opened with this secret, or belongs to another workspace."""


class Vault:
    """Seals and opens with one secret."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"pileup tokens").derive(secret.encode())
        self._cipher = AESGCM(derived)

    def seal(self, team: str, token: str) -> str:
        """A token of a workspace as it may lie in a database."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, token.encode(), team.encode())
        return f"{VERSION}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def open(self, team: str, sealed: str) -> str:
        """The token again. Raises: Unopened."""
        version, _, rest = sealed.partition(":")
        try:
            raw = base64.urlsafe_b64decode(rest)
            opened = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], team.encode())
        except (ValueError, InvalidTag):
            raise Unopened from None
        if version != VERSION:
            raise Unopened
        return opened.decode()
