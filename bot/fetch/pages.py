"""Web pages that come where a file was wanted: a login, an error, or a share's question whether one is sure."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

from bot.fetch.problems import FetchFailed

PAGE_BYTES = 256 << 10  # of a page that are looked at
MAX_TITLE = 80

_PAGE = re.compile(
    rb"(?is)(?:\xef\xbb\xbf)?\s*(?>\s*<!--.*?-->)*+\s*<(!doctype\s+html|html|head|body|script|meta|title)\b"
)
_LOGIN = re.compile(r"(?i)\b(sign.?in|log.?in|anmeld|authenticat|sso\b|password)")
_LOGIN_HOSTS = re.compile(r"(^|\.)(accounts\.google\.com|login\.(microsoftonline|live)\.com|okta\.com)$")
_CONFIRMED_BY = re.compile(r"(^|\.)(google|googleusercontent)\.com$")


def is_page(head: bytes) -> bool:
    """Whether a file begins as an HTML page does."""
    return _PAGE.match(head) is not None


def judge(page: bytes, url: str) -> str | FetchFailed:
    """What a page that came from ``url`` means: the address it asks to go on to, or why there is no file.

    Only Google Drive's question ("can't scan this file for viruses") is answered, and only to Google.
    """
    read = _Reader()
    read.feed(page[:PAGE_BYTES].decode("utf-8", "replace"))
    host = (urlsplit(url).hostname or "").lower()
    if read.action and _CONFIRMED_BY.search(host):
        target = urljoin(url, read.action)
        if _CONFIRMED_BY.search((urlsplit(target).hostname or "").lower()):
            return f"{target}?{urlencode(read.fields)}"
    title = " ".join("".join(read.title).split())[:MAX_TITLE]
    named = f" titled “{title}”" if title else ""
    if read.has_password or _LOGIN_HOSTS.search(host) or _LOGIN.search(title):
        return FetchFailed("page", f"the link leads to a login page{named} (HTML), so it needs an account")
    return FetchFailed("page", f"the link leads to an HTML page{named}, not to a file: perhaps a login is needed")


@dataclass(eq=False)
class _Reader(HTMLParser):
    # The title, whether a password is asked for, and Drive's form with its hidden fields.
    title: list[str] = field(default_factory=list)
    has_password: bool = False
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    _in_title: bool = False
    _in_form: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "title":
            self._in_title = not self.title
        elif tag == "form":
            self._in_form = given.get("id") == "download-form"
            self.action = given.get("action", "") if self._in_form else self.action
        elif tag == "input":
            self.has_password |= given.get("type") == "password"
            if self._in_form and given.get("name"):
                self.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._in_title &= tag != "title"
        self._in_form &= tag != "form"

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
