"""What went wrong with a request, in one line for a person."""

import errno
import shutil
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
from httpx_secure import SSRFProtectionError

from bot import wording
from bot.fetch.limits import FetchLimits
from bot.fetch.problems import FetchFailed, Kind
from bot.fetch.safety import as_refusal
from bot.fetch.shares import expired

SPARE_DISK = 64 << 20  # bytes that stay free
RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
TRANSIENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError)


class TryLater(Exception):
    """A status that a later try may not get; ``wait`` is what the server asked for, in seconds."""

    def __init__(self, failure: FetchFailed, wait: float | None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.wait = wait


def refusal(response: httpx.Response) -> FetchFailed:
    """The failure that a status is."""
    phrase = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code not in (401, 403):
        return FetchFailed("status", f"the server answered {phrase}")
    end = expired(str(response.request.url), datetime.now(UTC))
    hint = "the link needs a login, or has expired" if end is None else f"the link expired on {end:%Y-%m-%d %H:%M} UTC"
    return FetchFailed("status", f"the server answered {phrase}: {hint}")


def status_failure(response: httpx.Response) -> FetchFailed | TryLater:
    """The same, or TryLater where a later try may do better."""
    failure = refusal(response)
    if response.status_code not in RETRIED_STATUS:
        return failure
    wait = response.headers.get("retry-after", "")
    return TryLater(failure, min(float(wait), 60.0) if wait.isdecimal() else None)


def retry_after(error: Exception) -> bool | float:
    """Whether an error is worth another try, or after how many seconds."""
    if isinstance(error, TryLater):
        return True if error.wait is None else error.wait
    return isinstance(error, TRANSIENT) and not is_tls(error)


def failure_of(error: BaseException, host: str, limits: FetchLimits, so_far: str) -> FetchFailed | None:
    """The error as a failure of the fetch, or None for what is none. ``so_far`` tells what had arrived by then."""
    match error:
        case FetchFailed():
            return error
        case TryLater():
            return error.failure
        case SSRFProtectionError():
            return as_refusal(error)
        case TimeoutError():
            return FetchFailed("time", f"not finished after {wording.duration(limits.total_seconds)}{so_far}")
        case httpx.ReadTimeout():
            return FetchFailed("time", f"the server sent nothing for {wording.duration(limits.idle_seconds)}{so_far}")
        case OSError() if error.errno == errno.ENOSPC:
            return FetchFailed("disk", "no room left here for the file")
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return _no_connection(error, host, limits)
        case httpx.TooManyRedirects():
            return FetchFailed("redirect", "the link leads in a circle of redirects")
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | UnicodeError():
            return FetchFailed("address", "the link is malformed")
        case httpx.DecodingError():
            return FetchFailed("network", "the server's answer is packed in a way that cannot be read")
        case httpx.HTTPError():
            return FetchFailed("network", f"the connection broke off{so_far}")
    return None


def check_room(path: Path, count: int, limits: FetchLimits, room: Callable[[int], bool] | None = None) -> None:
    """Raises: FetchFailed, where so many more bytes find no room beside a file: ``disk`` where they may find some
    later, ``size`` where not even an empty disk would hold them."""
    usage = shutil.disk_usage(path.parent)
    if count + SPARE_DISK > usage.free:
        kind: Kind = "disk" if count + SPARE_DISK <= usage.total else "size"
        raise FetchFailed(kind, f"no room here for {short(count)}: {short(usage.free)} are free")
    if room is not None and not room(count):
        most = short(limits.quota_bytes)
        raise FetchFailed("disk", f"no room here for {short(count)}: all dumps together may take {most}")


def check_pace(received: int, seconds: float, limits: FetchLimits) -> None:
    """Raises: FetchFailed, where a server was waited for too long for what it sent."""
    if seconds > limits.patience_seconds and received < seconds * limits.slowest_rate:
        sent = f"{wording.size(received)} in {wording.duration(seconds)}"
        raise FetchFailed("time", f"the server sends too slowly: {sent}")


def short(count: int) -> str:
    """So many bytes in words: a cap of two gigabytes is "2 GB", not "2.0 GB"."""
    return wording.size(count).replace(".0 ", " ")


def is_tls(error: BaseException | None) -> bool:
    """Whether an error comes from TLS, however wrapped: trying again does not help."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _no_connection(error: httpx.TransportError, host: str, limits: FetchLimits) -> FetchFailed:
    if isinstance(error, httpx.ConnectTimeout):
        return FetchFailed("connect", f"{host} did not answer within {wording.duration(limits.connect_seconds)}")
    if not is_tls(error):
        return FetchFailed("connect", f"{host} could not be reached")
    if "CERTIFICATE" in str(error).upper():
        return FetchFailed("tls", f"the certificate of {host} cannot be trusted")
    return FetchFailed("tls", f"{host} does not speak https there")
