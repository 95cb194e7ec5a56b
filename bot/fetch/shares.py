"""Links to pages that show a file, turned into links to the file itself; and when a signed link ends.

Each rule is a row of ``RULES``: whose links, which form, and what becomes of them. A form that no row knows stays as it
is. Sources: the services' own help pages on direct links and their address forms; for OneDrive "Encoding sharing URLs"
(Microsoft Graph), for signed addresses AWS Signature V4, Cloud Storage V4 and Azure SAS.
"""

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

DRIVE = "https://drive.usercontent.google.com/download"


class Rule(NamedTuple):
    """``host`` and ``path`` are patterns for all of both; ``change`` gives the new address."""

    host: str
    path: str
    change: Callable[[SplitResult, "re.Match[str]"], str]


def direct(url: str) -> str:
    """The address of the file itself, or the same address where no rule knows better."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return url
    if parts.scheme.lower() not in ("http", "https"):
        return url
    for rule in RULES:
        if re.fullmatch(rule.host, host) and (match := re.fullmatch(rule.path, parts.path)):
            return rule.change(parts, match)
    return url


def expired(url: str, now: datetime) -> datetime | None:
    """When a signed link ended, if it has; None while it holds, and for a link that does not say."""
    end = None
    with suppress(ValueError, OverflowError):
        query = {name.lower(): value for name, value in parse_qsl(urlsplit(url).query, max_num_fields=100)}
        for prefix in ("x-amz-", "x-goog-"):
            if {f"{prefix}date", f"{prefix}expires"} <= query.keys():
                began = datetime.strptime(query[f"{prefix}date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                end = began + timedelta(seconds=int(query[f"{prefix}expires"]))
        if "sig" in query and "se" in query:
            end = datetime.fromisoformat(query["se"])
            end = end if end.tzinfo else end.replace(tzinfo=UTC)
        elif "signature" in query and "expires" in query:
            end = datetime.fromtimestamp(int(query["expires"]), UTC)
    return end if end is not None and end < now else None


def _with(parts: SplitResult, **query: str) -> str:
    # The same address with these parameters, in place of its own of that name.
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in query]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()]), fragment=""))


def _dropbox(parts: SplitResult, _match: "re.Match[str]") -> str:
    return _with(parts, dl="1")


def _drive(parts: SplitResult, match: "re.Match[str]") -> str:
    query = dict(parse_qsl(parts.query))
    name = match.groupdict().get("id") or query.get("id")
    if not name:
        return urlunsplit(parts)
    key = {"resourcekey": query["resourcekey"]} if "resourcekey" in query else {}
    return f"{DRIVE}?{urlencode({'id': name, 'export': 'download', 'confirm': 't', **key})}"


def _onedrive(parts: SplitResult, _match: "re.Match[str]") -> str:
    token = base64.urlsafe_b64encode(urlunsplit(parts).encode()).decode().rstrip("=")
    return f"https://api.onedrive.com/v1.0/shares/u!{token}/root/content"


def _onedrive_page(parts: SplitResult, _match: "re.Match[str]") -> str:
    return urlunsplit(parts._replace(path="/download", fragment=""))


def _sharepoint(parts: SplitResult, _match: "re.Match[str]") -> str:
    return _with(parts, download="1")


def _blob_to_raw(parts: SplitResult, match: "re.Match[str]") -> str:
    return urlunsplit(parts._replace(path=f"{match[1]}/raw/{match[2]}", fragment=""))


def _gist(parts: SplitResult, match: "re.Match[str]") -> str:
    return urlunsplit(parts._replace(path=f"{match[1]}/raw", fragment=""))


def _nextcloud(parts: SplitResult, match: "re.Match[str]") -> str:
    return urlunsplit(parts._replace(path=quote(match[1], safe="/%") + "/download", fragment=""))


RULES: tuple[Rule, ...] = (
    Rule(r"(www\.)?dropbox\.com", r"/(s|sh|scl/fi|scl/fo)/.+", _dropbox),
    Rule(r"drive\.google\.com|docs\.google\.com", r"/file/(u/\d+/)?d/(?P<id>[\w-]+)(/.*)?", _drive),
    Rule(r"drive\.google\.com|docs\.google\.com", r"/(u/\d+/)?(open|uc)", _drive),
    Rule(r"1drv\.ms", r"/.+", _onedrive),
    Rule(r"onedrive\.live\.com", r"/(redir|embed|view\.aspx)", _onedrive_page),
    Rule(r"[\w-]+\.sharepoint\.com", r"/:[a-z]:/.+", _sharepoint),
    Rule(r"github\.com", r"(/[^/]+/[^/]+)/blob/(.+)", _blob_to_raw),
    Rule(r"gist\.github\.com", r"(/[^/]+/[0-9a-f]+)", _gist),
    Rule(r".*", r"(/.+/-)/blob/(.+)", _blob_to_raw),  # GitLab, wherever it runs
    # Nextcloud and ownCloud, wherever they run: their tokens have 15 characters.
    Rule(r".*", r"((?:/[^/]+)?(?:/index\.php)?/s/[A-Za-z0-9]{15})/?", _nextcloud),
)
