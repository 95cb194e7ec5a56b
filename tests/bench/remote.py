"""A large dump behind a link: ``python -m tests.bench.remote`` (``make bench-remote``).

Forges busy machines of 8 and 32 GiB as kernel and full dumps, and analyses each from the disk, over HTTP with ranges on
loopback, and through a reverse proxy that adds 50 ms to every request. Server and proxy are processes of their own; the
server counts what it sends; each run has an empty cache.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import runs
from tests.forge import Load, forge

LOAD = Load(threads=4000, resources=30_000, images=250)
KINDS = {"bitmap": "kernel", "full": "full"}
WAYS = (("loopback", None), ("proxy, 50 ms", 0.05))


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=int, nargs="+", default=[8, 32], help="sizes of the machines")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=["bitmap", "full"])
    parser.add_argument("--times", type=int, default=3, help="runs of each; the fastest counts")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; wall time counts on an idle machine")
    costs = f"{'seconds':>8} {'processor':>10} {'peak MB':>8}"
    print(f"{'dump':18} {'read':16} {costs} {'MB fetched':>11} {'% of file':>10} {'requests':>9}")
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory() as scratch:
            forged = forge("seed", kind=kind, build=19041, load=LOAD)
            forged.write_isf(Path(scratch) / "symbols")
            for gib in arguments.gib:
                dump = forged.write(Path(scratch) / "memory.dmp", memory_bytes=gib << 30)
                measure(f"{gib} GiB {KINDS[kind]}", dump, Path(scratch) / "symbols", arguments.times)


def measure(name: str, dump: Path, symbols: Path, times: int) -> None:
    """One dump from the disk and from the network."""
    local = runs.analyze(dump, symbols, times=times)
    print(f"{name:18} {'from the disk':16} {_costs(local, local.peak)}", flush=True)
    for way, delay in WAYS:
        found = [_fetched(dump, symbols, delay) for _ in range(times)]
        measured, requests, sent = min(found, key=lambda one: one[0].seconds)
        share = 100 * sent / dump.stat().st_size
        peak = max(one[0].peak for one in found)
        print(f"{name:18} {way:16} {_costs(measured, peak)} {sent / 1e6:11.1f} {share:10.2f} {requests:9}", flush=True)


def _costs(measured: runs.Run, peak: int) -> str:
    return f"{measured.seconds:8.2f} {measured.processor:10.2f} {peak / 1e6:8.0f}"


def _fetched(dump: Path, symbols: Path, delay: float | None) -> tuple[runs.Run, int, int]:
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(_process("tests.bot.range_server", str(dump)))
        port = _line(server)
        if delay is not None:
            port = _line(stack.enter_context(_process("tests.bench.proxy", port, str(delay))))
        os.environ |= {"PILEUP_HOME": home, "PILEUP_ALLOW_PRIVATE_ADDRESSES": "true"}
        arguments = ("--json", "--no-history", "--symbols", str(symbols))
        measured = runs.run(runs.PILEUP, "analyze", f"http://127.0.0.1:{port}/memory.dmp", *arguments)
        assert server.stdin is not None
        server.stdin.write("counts\n")
        server.stdin.flush()
        requests, sent = _line(server).split()
        return measured, int(requests), int(sent)


@contextmanager
def _process(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def _line(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    return server.stdout.readline().strip()


if __name__ == "__main__":
    main()
