"""Text pasted in a message, as a file: what was fetched without any network."""

import hashlib
from pathlib import Path

from analysis.fingerprint import identity_of
from bot.fetch.download import Fetched

FIRST = 8192  # bytes that an identity rests on


def pasted(path: Path, text: str, source: str) -> Fetched:
    """Write a message's text to ``path`` as it stands in Slack, escapes and all: the reader undoes them.

    Raises:
        OSError: the file cannot be written.
    """
    data = text.encode("utf-8", "replace")
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    return Fetched(path, len(data), sha256, identity_of(len(data), data[:FIRST]), source, 0.0)
