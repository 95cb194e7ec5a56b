"""The pages' own server, in the bot's event loop."""

import asyncio
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

LOOPBACK = ("127.0.0.1", "::1")


class _Server(uvicorn.Server):
    # Signals are the bot's business: this one ends when it is told to.
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def open_socket(address: str, port: int) -> socket.socket:
    """A listening place. Raises: OSError, where it is taken or may not be used."""
    return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


async def serve_pages(site: ASGIApp, place: socket.socket, stop: asyncio.Event, proxies: Iterable[object] = ()) -> None:
    """Serve until ``stop`` is set. No access log: addresses of pages carry signatures. What ``proxies`` (networks) say
    of whom they ask for is believed, as what this machine says."""
    config = uvicorn.Config(
        site,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        forwarded_allow_ips=[*LOOPBACK, *map(str, proxies)],
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[place]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    await serving
