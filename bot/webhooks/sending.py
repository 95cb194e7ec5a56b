"""One delivery over the network: a POST to an address that may be asked, without a redirect, and what came back."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from httpx_secure import SSRFProtectionError

from bot.fetch.limits import Policy
from bot.fetch.problems import FetchFailed
from bot.fetch.safety import open_client

SECONDS = 15.0  # for all of it
MAX_PAUSE = 3600.0  # that a receiver may ask for
MAX_URL = 2000


@dataclass(frozen=True, slots=True)
class Answered:
    """``error`` is None where it was taken. ``is_gone``: the receiver wants no more of it, ever. ``pause`` is how long
    it asks to be left alone, in seconds."""

    error: str | None = None
    is_gone: bool = False
    pause: float = 0.0


def mistake_in(url: str, *, allow_private: bool) -> str | None:
    """Why an address cannot be a webhook's; None where it can."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return "it is no address"
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "it is no address"
    if parts.scheme not in (("https", "http") if allow_private else ("https",)) or not parts.hostname:
        return "it must begin with https://" if not allow_private else "it must begin with https:// or http://"
    if parts.username is not None or parts.fragment or not port_is_fine:
        return "it must have neither a user nor a fragment"
    return None


async def post(url: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool) -> Answered:
    """Deliver it. Nothing of the answer is read but its status."""
    wrong = mistake_in(url, allow_private=allow_private)
    if wrong is not None:
        return Answered(wrong)
    policy = Policy(allow_private=allow_private)
    try:
        async with (
            asyncio.timeout(SECONDS),
            open_client(policy, httpx.Timeout(SECONDS)) as client,
            client.stream("POST", url, content=body, headers=dict(headers), follow_redirects=False) as answer,
        ):
            return _answered(answer)
    except FetchFailed as failed:
        return Answered(failed.line)
    except SSRFProtectionError:
        return Answered("its address is a private one")
    except TimeoutError:
        return Answered(f"no answer in {SECONDS:g} s")
    except (httpx.HTTPError, OSError) as error:
        return Answered(type(error).__name__)


def _answered(answer: httpx.Response) -> Answered:
    if answer.is_success:
        return Answered()
    asked = answer.headers.get("retry-after", "")
    pause = min(float(asked), MAX_PAUSE) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0.0
    is_gone = answer.status_code == httpx.codes.GONE
    return Answered(f"it answered {answer.status_code}", is_gone, pause)
