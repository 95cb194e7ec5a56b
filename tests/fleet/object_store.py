"""An object store that speaks S3, as a process of its own: moto's server."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Where it listens; ``environment`` is what a process needs to reach it through fsspec."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process."""
        return {
            "FSSPEC_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "pileup",
            "AWS_SECRET_ACCESS_KEY": "pileup",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store without buckets, gone at the end."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ) as process:
        try:
            _await(port, process)
            yield ObjectStore(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
            return
        time.sleep(0.05)
    raise RuntimeError("the object store did not start")
