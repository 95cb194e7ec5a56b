"""Hosts of the network: reachable by an address each, and out of reach while the cable is pulled."""

import socket
import subprocess
import sys
import time

import pytest

from tests.fleet.network import Host, needed, network

ANSWER = """
import socket
place = socket.create_server(("0.0.0.0", 7))
print("up", flush=True)
while True:
    there, _ = place.accept()
    there.sendall(socket.gethostname().encode())
    there.close()
"""


def _asked(host: Host) -> str | None:
    try:
        with socket.create_connection((host.address, 7), timeout=0.5) as there:
            return there.recv(100).decode()
    except OSError:
        return None


def _answer(host: Host) -> str:
    until = time.monotonic() + 20
    while (said := _asked(host)) is None:
        assert time.monotonic() < until, f"{host.name} does not answer"
    return said


def test_hosts_have_names_and_addresses_and_a_pulled_cable_cuts_one_off() -> None:
    needed()
    with network(["one", "two"]) as made:
        running = []
        try:
            for host in made.hosts.values():
                command = [*host.prefix, sys.executable, "-c", ANSWER]
                process = subprocess.Popen(command, stdout=subprocess.PIPE)
                assert process.stdout is not None
                process.stdout.readline()
                running.append(process)
            one, two = made.hosts["one"], made.hosts["two"]
            assert (_answer(one), _answer(two)) == ("one", "two")
            one.pull()
            assert (_asked(one), _answer(two)) == (None, "two")
            one.plug()
            assert _answer(one) == "one"
        finally:
            for process in running:
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
    with pytest.raises(FileNotFoundError):
        open(f"/var/run/netns/{one.namespace}")  # noqa: SIM115, PTH123  # it is not there
