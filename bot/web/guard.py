"""What stands in front of every page: headers, a limit on requests, and who may see what.

The limit is kept by address (an IPv6 network of 64 bits counts as one). Behind a proxy on the same machine the address
is the one that the proxy names.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.web import links
from storage import Thread

COOKIE = "pileup"
MAX_TOKENS = 8  # channels that one browser may hold links of; the oldest goes
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
API, DESCRIPTION = "/api/", "/api/openapi.json"
SAME_SITE = ("same-origin", "none")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
MAX_ADDRESSES = 10_000
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see what. Without a ``secret`` whoever reaches the server, under a loopback name, sees all of history.

    ``url`` is the public address, None where there is none; ``shared`` are channels that every signed link shows;
    from ``operators`` metrics may be asked, beside this machine.
    """

    secret: str | None = None
    url: str | None = None
    days: int = 30
    shared: frozenset[str] = frozenset()
    operators: frozenset[Network] = frozenset()

    def report_link(self, place: Thread) -> str | None:
        """The address of a report's page for those who read it at that place; None without a public address."""
        if self.url is None:
            return None
        if self.secret is None:
            return f"{self.url}/crashes/{place.report_id}"
        token = links.sign(self.secret, place.channel, place.created_at + timedelta(days=self.days))
        return f"{self.url}/open/{token}/{place.report_id}"

    def page_link(self, number: int) -> str | None:
        """The address of a crash's page, for those who may open it; None without a public address."""
        return None if self.url is None else f"{self.url}/crashes/{number}"

    def is_operator(self, address: str) -> bool:
        """Whether whoever asks from there may read metrics."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return parsed.is_loopback or any(parsed in network for network in self.operators)

    def channels(self, connection: HTTPConnection, now: datetime) -> frozenset[str] | None:
        """The channels whose history a visitor may see, none of them for a stranger; None for everything."""
        if self.secret is None:
            return None
        held = {grant.channel for token in tokens(connection) if (grant := links.read(self.secret, token, now))}
        return frozenset(held | self.shared) if held else frozenset()


NO_PAGES = Access()  # none that anybody elsewhere could open


def tokens(connection: HTTPConnection) -> list[str]:
    """The tokens that a browser holds, newest first, believed or not."""
    return connection.cookies.get(COOKIE, "").split("~")[:MAX_TOKENS]


@dataclass(slots=True)
class Rates:
    """A bucket of requests for each address: ``burst`` at once, then ``per_second``."""

    burst: float = 60.0
    per_second: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def allow(self, address: str) -> bool:
        """Whether one more request of this address may pass now."""
        key, now = _network(address), self.clock()
        left, then = self._left.pop(key, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.per_second)
        is_allowed = left >= 1
        self._left[key] = (left - 1 if is_allowed else left, now)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return is_allowed


class Guard:
    """The outermost layer of the site."""

    def __init__(self, app: ASGIApp, access: Access, rates: Rates) -> None:
        self._app = app
        self._access = access
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and add the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        # A web site elsewhere may give its own name a loopback address and read with a visitor's browser.
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._access.secret is None and name not in LOOPBACK_NAMES:
            return PlainTextResponse("Without PILEUP_WEB_SECRET pages are shown under a loopback name alone.", 403)
        # A form of ours carries a token besides; a browser that says where a request began saves reading it.
        if scope["method"] not in ("GET", "HEAD") and headers.get("sec-fetch-site", "same-origin") not in SAME_SITE:
            return PlainTextResponse("This was sent from another web site.", 403)
        if scope["path"].startswith(API) and scope["path"] != DESCRIPTION and headers.get("authorization", ""):
            return None  # counted by token there, and wrong ones by address
        client = scope.get("client")
        if not self._rates.allow(client[0] if client else ""):
            return PlainTextResponse("Too many requests: slow down.", 429, {"Retry-After": "5"})
        return None


def is_loopback(address: str) -> bool:
    """Whether an address is this very machine's."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
