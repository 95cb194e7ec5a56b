"""Hosts that are network namespaces: each with an address of its own on one bridge, and a cable that can be pulled.

Needs root and Linux. A host has its own name, too, so that what is written into the database tells hosts apart.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest

NAMED = 'hostname "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. ``prefix`` goes before a command that is to run on it, and stays the same process."""

    name: str
    namespace: str
    cable: str  # the end on the bridge's side
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command."""
        inside = ("unshare", "--uts", "--", "sh", "-c", NAMED, self.name)
        return ("ip", "netns", "exec", self.namespace, *inside)

    def pull(self) -> None:
        """Pull the cable: nothing arrives, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def plug(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self.cable, "up")


@dataclass(frozen=True, slots=True)
class Network:
    """The bridge, whose ``address`` is this process' own, and the hosts by name."""

    bridge: str
    address: str
    subnet: str
    hosts: dict[str, Host]


@contextmanager
def network(names: Sequence[str]) -> Iterator[Network]:
    """Hosts of these names on a bridge, gone at the end."""
    mark = f"pf{os.getpid() % 100_000}"
    octets = f"10.{201 + os.getpid() // 250 % 50}.{os.getpid() % 250}"
    bridge = f"{mark}b"
    hosts: dict[str, Host] = {}
    made: list[tuple[str, ...]] = []
    try:
        _ip("link", "add", bridge, "type", "bridge")
        made.append(("link", "del", bridge))
        _ip("addr", "add", f"{octets}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number, name in enumerate(names, 2):
            host = Host(name, f"{mark}-{name}", f"{mark}c{number}", f"{octets}.{number}")
            _ip("netns", "add", host.namespace)
            made.append(("netns", "del", host.namespace))
            _ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            made.append(("link", "del", host.cable))
            _ip("link", "set", host.cable, "master", bridge, "up")
            for device in ("lo", "eth0"):
                _ip("-n", host.namespace, "link", "set", device, "up")
            _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
            hosts[name] = host
        yield Network(bridge, f"{octets}.1", f"{octets}.0/24", hosts)
    finally:
        for words in reversed(made):
            with suppress(subprocess.CalledProcessError):
                _ip(*words)


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
