"""Where a link may lead: public addresses on web ports, over http(s), at every hop of a redirect.

A link is typed by a stranger and fetched from inside somebody's network, so its host is resolved and judged before
a byte is sent. httpx-secure then pins the connection to an address that was judged, whatever a name server answers
the second time.
"""

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

from bot.fetch.limits import Policy
from bot.fetch.links import is_on
from bot.fetch.problems import FetchFailed

Address = IPv4Address | IPv6Address

MAX_REDIRECTS = 5
WEB_PORTS = frozenset({80, 443})
FIRST_FREE_PORT = 1024  # below it, except the web's own, live mail, file shares and shells

# Machines of a cloud that hand out credentials; two of them sit in ranges that count as public or may be allowed.
METADATA = frozenset(
    ip_address(address)
    for address in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
# Prefixes that carry an IPv4 address inside an IPv6 one: NAT64, 6to4, the old IPv4-compatible form.
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_SITE_LOCAL = IPv6Network("fec0::/10")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: an operator's own, so it leads inside
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
# Python counts 100.64.0.0/10, an operator's inner network, as neither private nor global.
_CARRIER = ip_network("100.64.0.0/10")


def is_allowed(address: Address, policy: Policy) -> bool:
    """Whether a connection to this address is allowed, with what it may embed."""
    for inner in _embedded(address):
        if inner in METADATA or inner.is_link_local or inner.is_multicast or inner.is_unspecified:
            return False
        if inner.version == 4 and inner.is_reserved:  # Python calls all of ::/8 reserved, ::1 and NAT64 with it
            return False
        if not policy.allow_private and not _is_public(inner):
            return False
    return True


def check_url(url: httpx.URL, policy: Policy) -> None:
    """Judge an address before anything is looked up.

    Raises:
        FetchFailed: another scheme, no host, a host or a port that is not allowed.
    """
    if url.scheme not in ("http", "https"):
        raise FetchFailed("address", f"only http and https links are fetched, not {url.scheme or 'this'}")
    if not url.host:
        raise FetchFailed("address", "the link names no host")
    if is_on(url.host.lower(), policy.denied):
        raise FetchFailed("refused", f"{url.host} is on the list of hosts that are never asked")
    if policy.hosts and not is_on(url.host.lower(), policy.hosts):
        raise FetchFailed("refused", f"{url.host} is not on the list of hosts that may be asked")
    if url.port is not None and url.port not in WEB_PORTS and url.port < FIRST_FREE_PORT:
        raise FetchFailed("refused", f"port {url.port} of {url.host} is not a web server's port")


async def check_host(url: httpx.URL, policy: Policy) -> None:
    """Look the host up and judge every address it has.

    Raises:
        FetchFailed: the name is not known, or one of its addresses is not allowed.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed("dns", f"the host name {url.host} is not known") from error
    for *_, place in found:
        if not is_allowed(ip_address(str(place[0]).partition("%")[0]), policy):
            raise refused(url.host)


def refused(host: str) -> FetchFailed:
    """The refusal of a host by its address. The address itself is not told: it may be an inner one."""
    return FetchFailed("refused", f"{host} is a private or reserved address, which links may not point to")


def open_client(policy: Policy, timeout: httpx.Timeout, credentials: "Credentials | None" = None) -> httpx.AsyncClient:
    """A client that judges each request, redirects included, and pins each connection to a judged address.

    Errors of the guard come out of requests as FetchFailed or as httpx_secure's SSRFProtectionError (see
    ``as_refusal``).
    """
    # httpx logs each address whole, signature and all, at INFO.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    async def judge(request: httpx.Request) -> None:
        check_url(request.url, policy)
        await check_host(request.url, policy)
        if credentials is not None:
            credentials.sign(request)

    client = httpx.AsyncClient(
        verify=_trusted(),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        timeout=timeout,
        trust_env=False,  # a proxy from the environment would make every address check the proxy's business
        headers={"User-Agent": "pileup", "Accept": "*/*", "Accept-Encoding": "identity"},
        event_hooks={"request": [judge], "response": []},
    )
    validator: Callable[[str, Address, int], bool] = lambda _host, address, _port: is_allowed(address, policy)  # noqa: E731  # typed in place
    return httpx_ssrf_protection(client, check_globally_reachable=not policy.allow_private, custom_validator=validator)


@functools.cache
def _trusted() -> ssl.SSLContext:
    # Whose certificates hold. To read them all costs 15 ms of processor, in which the loop would take no event: once.
    return httpx.create_ssl_context(trust_env=False)


def as_refusal(error: SSRFProtectionError) -> FetchFailed:
    """The guard's own error in our words."""
    return refused(error.hostname)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What to show to which host, and to no other, whoever redirects where.

    ``values`` are Authorization headers by ``host``, ``host:port`` or ``.domain``, which all mean https; an address
    that begins with ``http://`` is meant as it stands, port and all.
    """

    values: Mapping[str, str]

    def sign(self, request: httpx.Request) -> None:
        """Add what is meant for this host; take away what is meant for another."""
        value = self._value(request.url)
        if value is not None:
            request.headers["Authorization"] = value
        elif request.headers.get("Authorization") in self.values.values():
            del request.headers["Authorization"]

    def _value(self, url: httpx.URL) -> str | None:
        host, port = url.host.lower(), url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
        if url.scheme != "https":
            return self.values.get(f"{url.scheme}://{host}:{port}")
        return next(
            (value for place, value in self.values.items() if place == f"{host}:{port}" or is_on(host, {place})), None
        )

    def __repr__(self) -> str:
        return f"Credentials({sorted(self.values)})"


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and address not in _CARRIER
    return address.is_global and address not in _SITE_LOCAL and address not in _LOCAL_NAT64


def _embedded(address: Address) -> list[Address]:
    # The address and every IPv4 address it carries inside.
    if isinstance(address, IPv4Address):
        return [address]
    inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _TRANSLATED or (address in _COMPATIBLE and int(address) > 1):
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    carried = [found for found in inner if found is not None]
    # A mapped address is only its IPv4 self; Python calls the wrapping reserved.
    return carried if address.ipv4_mapped else [address, *carried]
