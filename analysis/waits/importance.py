"""How much it matters that a thread is stuck: what decides which of several pile-ups is told first.

The numbers only rank. They say how surely a stuck process of that name stops the machine for the person at it.
"""

import math

from analysis.kernel.facts import Thread

ORDINARY = 1
_SOME = 1e-3  # seconds: a wait of unknown length is still longer than none
# Image names as Windows has them in EPROCESS.ImageFileName (15 characters at most).
PROCESSES = {
    "wininit.exe": 12,  # drives shutdown and starts the services: nothing ends without it
    "smss.exe": 12,  # sessions, sign-in and the end of both
    "csrss.exe": 12,  # the console and shutdown; its end is a bugcheck
    "services.exe": 10,  # no service starts or stops while it is stuck
    "lsass.exe": 10,  # nobody signs in or gets a ticket
    "winlogon.exe": 10,  # sign-in, lock screen, secure attention
    "explorer.exe": 5,  # the desktop that the person sees
    "dwm.exe": 5,  # draws every window
    "System": 4,  # workers of PnP, power and I/O: others depend on them
}


def importance(thread: Thread | None) -> int:
    """The weight of one stuck thread. One that runs spins: that may be for a moment only, and counts nothing."""
    if thread is None:
        return ORDINARY
    if thread.processor is not None:
        return 0
    return PROCESSES.get(thread.process_name, ORDINARY)


def stays(thread: Thread | None) -> float:
    """For how many seconds an owner has not moved: without end where it never will, 0 where it can run."""
    if thread is None or thread.terminated:
        return math.inf
    if thread.wait_reason is None:
        return 0.0
    return _SOME if thread.wait_seconds is None else max(thread.wait_seconds, _SOME)
