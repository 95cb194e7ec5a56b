"""Hosts that are network namespaces: each with an address of its own on a bridge, and a cable that can be pulled.

There may be several bridges, with a cable of each host to each: one is cut off while the others go on. Needs root and
Linux. A host has its own name, too, so that what is written into the database tells hosts apart.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import pytest

NAMED = 'hostname "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. ``prefix`` goes before a command that is to run on it, and stays the same process.

    ``cables`` are the ends on the bridges' side, ``addresses`` those on the host's, one a bridge.
    """

    name: str
    namespace: str
    cables: tuple[str, ...]
    addresses: tuple[str, ...]

    @property
    def address(self) -> str:
        """The address on the first bridge."""
        return self.addresses[0]

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command."""
        inside = ("unshare", "--uts", "--", "sh", "-c", NAMED, self.name)
        return ("ip", "netns", "exec", self.namespace, *inside)

    def pull(self, bridge: int = 0) -> None:
        """Pull the cable to a bridge: nothing arrives, and nobody is told."""
        _ip("link", "set", self.cables[bridge], "down")

    def plug(self, bridge: int = 0) -> None:
        """Plug it in again."""
        _ip("link", "set", self.cables[bridge], "up")


@dataclass(frozen=True, slots=True)
class Network:
    """The bridges, at whose ``addresses`` this process itself is reached, and the hosts by name."""

    addresses: tuple[str, ...]
    subnets: tuple[str, ...]
    hosts: dict[str, Host]

    @property
    def address(self) -> str:
        """The address of the first bridge."""
        return self.addresses[0]

    @property
    def subnet(self) -> str:
        """The network of the first bridge."""
        return self.subnets[0]


@contextmanager
def network(names: Sequence[str], bridges: int = 1) -> Iterator[Network]:
    """Hosts of these names on so many bridges, gone at the end."""
    mark = f"pf{os.getpid() % 100_000}"
    octets = [f"10.{200 + os.getpid() // 250 % 50}.{(os.getpid() + number) % 250}" for number in range(bridges)]
    with ExitStack() as made:
        for number, first in enumerate(octets):
            _made(made, f"{mark}b{number}", "type", "bridge")
            _ip("addr", "add", f"{first}.1/24", "dev", f"{mark}b{number}")
            _ip("link", "set", f"{mark}b{number}", "up")
        hosts = {name: _host(made, mark, name, number, octets) for number, name in enumerate(names, 2)}
        yield Network(tuple(f"{first}.1" for first in octets), tuple(f"{first}.0/24" for first in octets), hosts)


def _host(made: ExitStack, mark: str, name: str, number: int, octets: Sequence[str]) -> Host:
    namespace = f"{mark}-{name}"
    _ip("netns", "add", namespace)
    made.callback(_gone, "netns", "del", namespace)
    _ip("-n", namespace, "link", "set", "lo", "up")
    cables, addresses = [], []
    for bridge, first in enumerate(octets):
        cable, end, address = f"{mark}c{bridge}{number}", f"eth{bridge}", f"{first}.{number}"
        _made(made, cable, "type", "veth", "peer", "name", end, "netns", namespace)
        _ip("link", "set", cable, "master", f"{mark}b{bridge}", "up")
        _ip("-n", namespace, "link", "set", end, "up")
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", end)
        cables.append(cable)
        addresses.append(address)
    return Host(name, namespace, tuple(cables), tuple(addresses))


def unavailable() -> str | None:
    """Why there can be no such hosts here; None when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    missing = [tool for tool in ("ip", "unshare", "hostname") if shutil.which(tool) is None]
    if missing:
        return f"network namespaces need {' and '.join(missing)}"
    probe = subprocess.run(["unshare", "--net", "--uts", "true"], check=False, capture_output=True)
    return None if probe.returncode == 0 else f"no network namespaces here: {probe.stderr.decode().strip()}"


def needed() -> None:
    """Skip a test where there are no such hosts, and say why."""
    if (reason := unavailable()) is not None:
        pytest.skip(reason)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


def _made(made: ExitStack, device: str, *words: str) -> None:
    _ip("link", "add", device, *words)
    made.callback(_gone, "link", "del", device)


def _gone(*words: str) -> None:
    with suppress(subprocess.CalledProcessError):
        _ip(*words)
