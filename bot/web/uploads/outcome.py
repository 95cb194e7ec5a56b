"""What became of an upload: where its job stands, and what was found in it."""

from dataclasses import dataclass
from typing import Any, Literal

from storage import Store, StoredReport
from storage.jobs import Job
from storage.uploads import Upload

State = Literal["waiting", "running", "done", "failed"]
GONE = "It was analysed too long ago: only history has it now."


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump of an upload: its crash in history, or the line that says why there is none."""

    name: str
    crash: StoredReport | None
    line: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``error`` is a word and a line, of an upload that came to nothing."""

    state: State
    dumps: tuple[Dump, ...] = ()
    error: tuple[str, str] | None = None


def outcome(seen: Store, upload: Upload, job: Job | None) -> Outcome:
    """How it stands, as far as whoever asks sees it."""
    if upload.job is None:
        return Outcome("waiting")
    if job is None:  # ended jobs are forgotten after some weeks
        return Outcome("failed", error=("forgotten", GONE))
    if job.state == "failed":
        return Outcome("failed", error=(job.error_kind or "fault", job.error or "Something went wrong here."))
    if job.state != "done" or job.kind != "analyze":
        return Outcome("running" if job.state == "running" else "waiting")
    return Outcome("done", tuple(_dumps(seen, upload, job.memory)))


def _dumps(seen: Store, upload: Upload, memory: dict[str, Any]) -> list[Dump]:
    listed = memory.get("dumps")
    if listed is None:
        number = memory.get("report")
        return [] if number is None else [Dump(upload.name, seen.reports.get(number))]
    return [Dump(name, None if number is None else seen.reports.get(number), line) for name, number, line in listed]
