"""Jobs of processes that died: who held them, and giving them back at once.

A process number means something only where it was given: on this machine, since its last start, in this container. A
worker's name says where that is, so that nobody of another machine or container is taken for dead.
"""

import hashlib
import os
import socket
from pathlib import Path

from storage.store import Store

_PLACE_FILES = (Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid"))


def worker_name(number: int) -> str:
    """A worker's name: host, process and number, and where that process number counts. ``bereave`` reads it."""
    return f"{socket.gethostname()}:{os.getpid()}:{number}:{_place()}"


def bereave(store: Store, *, many_hosts: bool = False) -> int:
    """Give back the jobs of dead processes of this host at once, without waiting for their leases; how many.

    ``many_hosts``: the database is not this host's alone, and others may have its name. Then only processes that count
    here are judged; the leases of the others must run out.
    """
    given = 0
    for job in store.jobs.active():
        host, number, place = _parts(job.worker or "")
        is_ours = host == socket.gethostname() and (place == _place() or not many_hosts)
        if job.state == "running" and is_ours and number is not None and not _is_alive(number):
            given += store.jobs.requeue(job, count_attempt=True)
    return given


def _parts(name: str) -> tuple[str, int | None, str]:
    host, _, rest = name.partition(":")
    number, _, rest = rest.partition(":")
    return host, int(number) if number.isdigit() else None, rest.partition(":")[2]


def _place() -> str:
    # The boot of this machine and the container's space of process numbers, in short; empty where it is not known.
    words = []
    for path in _PLACE_FILES:
        try:
            words.append(str(path.readlink()) if path.is_symlink() else path.read_text())
        except OSError:
            return ""
    return hashlib.sha256("".join(words).encode()).hexdigest()[:12]


def _is_alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is not harmless: leases must do
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()  # a number used again, as in a container where every process is the first
