"""Links in a message, and which of them the bot looks at.

Slack writes a link as ``<https://host/x|label>`` with ``&amp; &lt; &gt;`` escaped; a link inside a code block or
typed by a program stands bare.
"""

import html
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

SUFFIXES = (
    ".dmp", ".mdmp", ".hdmp", ".kdmp", ".zip", ".7z", ".cab", ".gz", ".xz", ".zst", ".bz2", ".rar",
)  # fmt: skip
# Download pages of file shares name the file in the query: ?path=/&files=MEMORY.DMP
NAME_KEYS = frozenset({"file", "files", "filename", "name", "download"})
MAX_LINKS = 20

_MARKED = re.compile(r"<((?:https?|s3|gs|az)://[^<>|\s]+)(?:\|([^<>]*))?>", re.IGNORECASE)
_BARE = re.compile(r"\b(?:https?|s3|gs|az)://[^\s<>|\"`]+", re.IGNORECASE)
_CLOSERS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it must be fetched. ``shown`` is what may be stored and said: no user, no query, no fragment.

    ``is_upload``: a file that was posted in Slack, so that it is fetched with the bot's token.
    """

    url: str
    shown: str
    label: str | None = None
    is_upload: bool = False

    @property
    def host(self) -> str:
        """The host in lower case, without port; empty when the link has none."""
        return _host(self.url)

    @property
    def name(self) -> str:
        """The file's name for people: from the query of a download page, from the path, else the host."""
        if self.is_upload and self.label:
            return self.label
        return _named_in_query(self.url) or unquote(urlsplit(self.shown).path.rpartition("/")[2]) or self.host


def find_links(text: str) -> list[Link]:
    """Every link of a Slack message (http, https, or an object store's) in order, each once, at most MAX_LINKS."""
    found: dict[str, Link] = {}
    rest_start = 0
    for match in _MARKED.finditer(text):
        _add_bare(found, text[rest_start : match.start()])
        url = html.unescape(match[1])
        found.setdefault(url, link(url, html.unescape(match[2]) if match[2] else None))
        rest_start = match.end()
    _add_bare(found, text[rest_start:])
    return [known for known in found.values() if known.host][:MAX_LINKS]


def link(url: str, label: str | None = None) -> Link:
    """A link from its address."""
    return Link(url, shown(url), label)


def is_wanted(candidate: Link, *, addressed: bool, hosts: Collection[str] = ()) -> bool:
    """Whether the bot looks at a link: any in a mention or direct message (``addressed``); else only one that ends
    in a dump or archive suffix, or sits on a host of ``hosts`` (a name, or ``.example.com`` for all below it).
    """
    return addressed or looks_like_a_dump(candidate.url) or is_on(candidate.host, hosts)


def looks_like_a_dump(url: str) -> bool:
    """Whether the path, or the file name in a download page's query, ends in one of SUFFIXES."""
    path = unquote(urlsplit(shown(url)).path).lower()
    return path.endswith(SUFFIXES) or (_named_in_query(url) or "").lower().endswith(SUFFIXES)


def is_on(host: str, hosts: Collection[str]) -> bool:
    """Whether a host is one of ``hosts``; an entry with a leading dot also stands for everything below it."""
    wanted = {entry.lower() for entry in hosts}
    parts = host.split(".")
    return host in wanted or any("." + ".".join(parts[n:]) in wanted for n in range(len(parts)))


def shown(url: str) -> str:
    """An address without what may be secret: user and password, ``;parameters``, query and fragment."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "a malformed link"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme.lower(), host + port, parts.path.partition(";")[0], "", ""))


def _add_bare(found: dict[str, Link], text: str) -> None:
    for match in _BARE.finditer(text):
        url = html.unescape(_trimmed(match[0]))
        found.setdefault(url, link(url))


def _trimmed(url: str) -> str:
    # "(see https://host/x.dmp)." : the sentence's punctuation is not the link's, a balanced bracket is.
    while url and (
        url[-1] in ".,;:!?'*_~" or (url[-1] in _CLOSERS and url.count(url[-1]) > url.count(_CLOSERS[url[-1]]))
    ):
        url = url[:-1]
    return url


def _named_in_query(url: str) -> str | None:
    try:
        query = parse_qsl(urlsplit(url).query, max_num_fields=100)
    except ValueError:
        return None
    names = [value for key, value in query if key.lower() in NAME_KEYS and "." in value]
    return names[-1].replace("\\", "/").rpartition("/")[2] if names else None


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0
    except ValueError:
        return ""
    return (parts.hostname or "") if valid else ""
