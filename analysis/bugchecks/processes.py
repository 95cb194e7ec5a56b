"""A process without which Windows cannot go on has ended: 0xEF, 0xF4, 0xC000021A.

Blames the process by name, with the status it ended with; the crashing stack is only that of its end. A process that
could not read its pages back died of the disk: then the disk is blamed. After the public pages of these bugchecks.
"""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained
from analysis.bugchecks.explained import Blamed, Explained, Focus, FocusKind, Stop
from analysis.bugchecks.status import STORAGE_ERRORS, describe_status, status_code
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View

PROCESS_PARAMETER = {0xEF: 1, 0xF4: 2}
NAME_PARAMETER, REASON_PARAMETER = 3, 4  # of 0xF4
KILLER_PARAMETER = 3  # of 0xEF
DISK = "the disk or the path to it"
# What TerminateProcess and a debugger leave behind: somebody asked for the end.
ASKED_TO_END = frozenset({0, 1, 0x4001_0004, 0xC000_013A})
KILLED = (
    "Its status is that of a process which was told to end: look for who ends processes (scripts, security software)."
)
STEPS = (
    "Look for disk errors at that time in the System event log: a process that cannot read its pages dies like this.",
    "Repair system files: dism /online /cleanup-image /restorehealth, then sfc /scannow.",
)


def explain_critical_process(view: View) -> Explained:
    """The process (P1 of 0xEF, P2 of 0xF4) by name, where its object or its name is in the dump, and how it ended."""
    one = explained(view, Stop.PROCESS, "A process that Windows cannot live without has ended.")
    code = normalise(view.raw_code)
    one = replace(one, next_steps=STEPS, facts=_facts(view, code))
    index = PROCESS_PARAMETER[code]
    address = view.parameters[index - 1]
    found = _who(view, index, address) or (_by_name(view) if code == 0xF4 else None)
    if found is None:
        return one
    name, what, why = found
    status = view.exit_status(address)
    if status is None:
        return replace(one, blamed=Blamed("process", what, name, "medium", (why,)))
    meaning = describe_status(status)
    ended = f"it ended with the status {status:#x}" + (f", {meaning}" if meaning else "")
    if status in STORAGE_ERRORS:
        return replace(one, blamed=Blamed("hardware", f"{DISK} ({what})", None, "medium", (why, ended)))
    steps = (*one.next_steps, KILLED) if status in ASKED_TO_END else one.next_steps
    return replace(one, next_steps=steps, blamed=Blamed("process", what, name, "medium", (why, ended)))


def _who(view: View, index: int, address: int) -> tuple[str, str, str] | None:
    # Name, what happened, and how that is known.
    process = view.process(address)
    if process is not None:
        why = f"parameter {index} is the process object of {process.name} (process {process.pid})"
        return process.name, f"{process.name} ended", why
    thread = view.thread(address)
    if thread is not None:
        why = f"parameter {index} is a thread of {thread.process_name} (process {thread.pid})"
        return thread.process_name, f"a critical thread of {thread.process_name} ended", why
    return None


def _by_name(view: View) -> tuple[str, str, str] | None:
    name = view.text(view.parameters[NAME_PARAMETER - 1])
    return (name.lower(), f"{name} ended", f"parameter {NAME_PARAMETER} names {name}") if name else None


def explain_subsystem(view: View) -> Explained:
    """WINLOGON_FATAL_ERROR: winlogon or csrss ended, or could not be started; parameter 2 is the status."""
    asked = Focus(FocusKind.NONE, why="the stack of the stop is that of the process manager")
    one = explained(view, Stop.PROCESS, "A part of Windows that runs in user mode has failed.", asked)
    text, status = view.text(view.parameters[0]), status_code(view.parameters[1])
    facts = [f"parameter 1 says: {text}"] if text else []
    what = describe_status(status)
    if what:
        facts.append(f"parameter 2 is {status:#x}, {what}")
    steps = STEPS if status in STORAGE_ERRORS else (*STEPS[1:], "Undo the last update or installed program.")
    missing = "Which program or library failed: that happened in user mode, which this dump does not show."
    return replace(one, facts=tuple(facts), next_steps=steps, cannot_tell=(*one.cannot_tell, missing))


def _facts(view: View, code: int) -> tuple[str, ...]:
    if code == 0xEF:
        killer = view.process(view.parameters[KILLER_PARAMETER - 1])
        ended = view.parameters[0] == view.parameters[KILLER_PARAMETER - 1]
        if killer is None or ended:
            return ()
        return (f"{killer.name} (process {killer.pid}, parameter {KILLER_PARAMETER}) asked for its end",)
    reason = view.text(view.parameters[REASON_PARAMETER - 1])
    return (f"parameter {REASON_PARAMETER} says: {reason}",) if reason else ()


FAMILY = Family("processes", {**dict.fromkeys((0xEF, 0xF4), explain_critical_process), 0xC000021A: explain_subsystem})
