"""Where a long list goes on: the place behind its last line, as a text that an address can hold."""

import base64
import binascii
import re
from datetime import datetime

from storage import StoredReport
from storage.clock import moment, stamp

Place = tuple[datetime, int]  # when a crash was seen, and its number
_PLACE = re.compile(r"([0-9TZ:.-]{1,40})\|([0-9]{1,18})")


def place_of(crash: StoredReport) -> str:
    """What leads on from this crash."""
    return base64.urlsafe_b64encode(f"{stamp(crash.seen_at)}|{crash.id}".encode()).decode().rstrip("=")


def read_place(text: str) -> Place | None:
    """The place that such a text tells; None for any other text."""
    try:
        plain = base64.urlsafe_b64decode(text[:200].encode() + b"=" * (-len(text[:200]) % 4)).decode()
        match = _PLACE.fullmatch(plain)
        return None if match is None else (moment(match[1]), int(match[2]))
    except (ValueError, binascii.Error):
        return None
