"""A process without which Windows cannot go on has ended: 0xEF, 0xF4, 0xC000021A."""

from dataclasses import replace

from analysis.bugchecks.building import Family, explained
from analysis.bugchecks.explained import Blamed, Explained, Stop
from analysis.bugchecks.tables import normalise
from analysis.bugchecks.view import View


def explain_critical_process(view: View) -> Explained:
    """The process (P1 of 0xEF, P2 of 0xF4) by name, where its object is in the dump."""
    one = explained(view, Stop.PROCESS, "A process that Windows cannot live without has ended.")
    code = normalise(view.raw_code)
    index = {0xEF: 1, 0xF4: 2}.get(code)
    process = view.process(view.parameters[index - 1]) if index else None
    if process is None:
        return one
    why = f"parameter {index} is the process object of {process.name} (process {process.pid})"
    return replace(one, blamed=Blamed("process", f"{process.name} ended", process.name, "medium", (why,)))


FAMILY = Family("processes", dict.fromkeys((0xEF, 0xF4, 0xC000021A), explain_critical_process))
