"""Which crash an address of our own pages is about."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from bot.web.guard import Access
from bot.web.links import read, sign
from storage.sight import Sight

_PLAIN = re.compile(r"/crashes/(\d{1,9})/?")
MAX_KEPT = 500
_SIGNATURE = re.compile(r"(/open/[A-Z0-9]{1,32}\.\d{1,12}\.)[A-Za-z0-9_-]{43}(/)")
_UNSIGNED = re.compile(r"/open/([A-Z0-9]{1,32})\.(\d{1,12})\.\*/")
_SIGNED = re.compile(r"/open/([A-Za-z0-9_.-]{1,120})/(\d{1,9})/?")


@dataclass(frozen=True, slots=True)
class Linked:
    """The crash that a link leads to; ``sight`` is what the link itself shows, all of history for one that is not
    signed: its page asks who comes."""

    number: int
    sight: Sight


def is_own(url: str, access: Access) -> bool:
    """Whether an address is one of our pages."""
    return _path(url, access) is not None


def linked(url: str, access: Access, now: datetime) -> Linked | None:
    """The crash that an address leads to now; None where it is none of ours, of no crash, or has ended."""
    path = _path(url, access) or ""
    if match := _PLAIN.fullmatch(path):
        return Linked(int(match[1]), Sight())
    match = _SIGNED.fullmatch(path)
    grant = None if match is None or access.secret is None else read(access.secret, match[1], now)
    if match is None or grant is None:
        return None
    return Linked(int(match[2]), Sight(access.shared | {grant.channel}))


def unsigned(url: str, access: Access) -> str | None:
    """An address of ours as it may be kept, without what makes a signed one valid; None where it could not be made
    again from that."""
    kept = _SIGNATURE.sub(r"\1*\2", url)
    return kept if len(kept) <= MAX_KEPT and restored(kept, access) == url else None


def restored(kept: str, access: Access) -> str | None:
    """The address again, signed where it was; None without the secret for that."""
    match = _UNSIGNED.search(kept)
    if match is None:
        return kept
    if access.secret is None:
        return None
    token = sign(access.secret, match[1], datetime.fromtimestamp(int(match[2]), UTC))
    return f"{kept[: match.start()]}/open/{token}/{kept[match.end() :]}"


def _path(url: str, access: Access) -> str | None:
    # Below our own address; None elsewhere.
    if access.url is None:
        return None
    try:
        ours, theirs = urlsplit(access.url), urlsplit(url)
        is_here = (theirs.hostname, theirs.port) == (ours.hostname, ours.port)
    except ValueError:  # no address at all
        return None
    if theirs.scheme not in ("http", "https") or not is_here or not theirs.path.startswith(f"{ours.path}/"):
        return None
    return theirs.path[len(ours.path) :]
