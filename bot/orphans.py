"""Jobs of processes that died: who held them, and giving them back at once."""

import os
import socket

from storage.store import Store


def worker_name(number: int) -> str:
    """A worker's name: host, process and number. ``bereave`` reads it."""
    return f"{socket.gethostname()}:{os.getpid()}:{number}"


def bereave(store: Store) -> int:
    """Give back the jobs of dead processes of this host at once, without waiting for their leases; how many."""
    given = 0
    for job in store.jobs.active():
        host, _, rest = (job.worker or "").partition(":")
        number = rest.partition(":")[0]
        if job.state == "running" and host == socket.gethostname() and number.isdigit() and not _is_alive(int(number)):
            given += store.jobs.requeue(job, count_attempt=True)
    return given


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
