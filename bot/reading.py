"""From a job to the story that is told: the link fetched and opened, each dump in it analysed once, then told.

What was found is remembered as numbers of reports, so that a worker that takes a job over goes on from there, and a
second job for a link that is being read just now is answered from the first.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from analysis.errors import BadRules
from analysis.fingerprint import NOT_FETCHED
from analysis.formats.raw import RawFile
from analysis.formats.windbg.sniff import is_windbg_text
from analysis.verdict.report import Report
from bot import again, late, logs, posted, wording
from bot.archives.limits import ArchiveFailed
from bot.archives.opening import Opened, open_archive
from bot.child import AnalysisFailed
from bot.conversation import Conversation
from bot.fetch.download import Arrived, Fetched
from bot.fetch.links import link
from bot.fetch.pasted import pasted as pasted_text
from bot.fetch.problems import FetchFailed, Unchanged
from bot.fetch.ranged import Whole
from bot.several import Several, analyse_several, recalled
from bot.symbols.fetching import SymbolServers
from bot.telling import tell, tell_several
from bot.tools import Flight, Tools
from storage.events import fingerprint
from storage.jobs import Job

log = logging.getLogger(__name__)

NO_SCOPE = "Slack sent a web page instead of the file: the app lacks the scope files:read, or is not in that channel"
KEPT = ("report", "tag", "dumps", "left_out", "damaged")  # what a job's memory says of its link


@dataclass(frozen=True, slots=True)
class Desk:
    """What one job works with: where its files lie, those to be closed at its end, what fetches its symbols."""

    directory: Path
    files: AsyncExitStack
    symbols: SymbolServers | None


class NothingToSay(Exception):
    """A text that was posted unmentioned, and is not a debugger's: nobody asked."""


class LostJob(Exception):
    """The lease ran out and another worker has the job."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a link led to: one report or several. ``fetched`` is the dump, where it lies here; ``anew`` says that the
    report takes the place of an older one of the same dump."""

    found: Report | Several
    fetched: Fetched | None = None
    anew: bool = False


async def story(tools: Tools, job: Job, talk: Conversation, desk: Desk) -> dict[str, str]:
    """From the link to the verdict that was told; the job's result.

    Raises:
        FetchFailed, ArchiveFailed, AnalysisFailed: one line why, as long as nothing was told.
        LostJob, Refused, Unreachable.
    """
    symbols = desk.symbols
    noting = functools.partial(remember, tools, job)
    if job.payload.get("again"):

        async def fetch() -> tuple[tuple[str, Fetched], ...]:
            opened = await _opened(tools, job, talk, desk, quiet=True)
            assert isinstance(opened, Opened)  # noqa: S101  # without a tag, a server cannot say "unchanged"
            return opened.dumps

        await again.analyse_again(tools, job, talk, fetch, symbols=symbols, remember=noting)
        return {}
    if job.payload.get("untold"):
        return await _untold(tools, job, talk, desk)
    several = await recalled(tools.store, job.memory)
    if several is not None:
        await tell_several(tools, talk, several)
        return {}
    told, anew = await _recalled(tools, job)
    if told is not None:
        line = late.PENDING if late.is_due(job) else job.memory.get("edited") or ""
        await _tell(tools, talk, told, line, anew=anew)
        if symbols is not None and late.is_due(job):
            await _resume_late(tools, job, talk, desk, symbols, told=told)
        return {"identity": told.dump.identity}
    if not job.payload.get("quiet"):
        await talk.begin("Reading" if job.payload.get("pasted") else "Downloading")
    read = await _read(tools, job, talk, desk)
    if isinstance(read.found, Several):
        await tell_several(tools, talk, read.found)
        return {}
    note = (read.fetched and read.fetched.note) or ""  # why a large dump came whole, say
    if symbols is None or read.fetched is None or not symbols.late():
        await _tell(tools, talk, read.found, note, anew=read.anew)
    else:
        await _tell(tools, talk, read.found, f"{note} {late.PENDING}".strip(), anew=read.anew)
        await late.revise(tools, talk, read.found, noting, fetched=read.fetched, symbols=symbols)
    if tools.keep_dumps == "always" and read.fetched is not None and read.fetched.pages is not None:
        await _keep(tools, job, desk, read.found)
    return {"identity": read.found.dump.identity}


async def _untold(tools: Tools, job: Job, talk: Conversation, desk: Desk) -> dict[str, str]:
    # Nobody reads a first verdict while symbols are on their way, so it is made again before it counts.
    if posted.numbers(job.memory):
        return {}
    read = await _read(tools, job, talk, desk)
    symbols, fetched = desk.symbols, read.fetched
    if isinstance(read.found, Several) or fetched is None or symbols is None or not symbols.late():
        return {}
    came = await asyncio.to_thread(symbols.await_late)
    if came:
        better = await tools.analyse(fetched, lambda _stage, _fraction: None, symbols)
        await asyncio.to_thread(tools.store.remember, better)
    return {}


async def _keep(tools: Tools, job: Job, desk: Desk, told: Report) -> None:
    # After the verdict, when nobody waits any more. A dump that cannot be had now was told all the same.
    wanted = link((job.secret or job.payload["shown"]).partition("\n")[0])
    try:
        kept = await tools.fetch(wanted, desk.directory / "dump", lambda _so_far: None, None, "it is kept")
    except FetchFailed as failed:
        log.warning("job %d: its dump is not kept: %s", job.id, failed.kind)
        return
    stored = await asyncio.to_thread(tools.store.duplicates.same_dump, told.dump.identity)
    latest = None if stored is None else await asyncio.to_thread(tools.store.reports.report, stored.report.id)
    if latest is not None and kept.identity == latest.dump.identity:
        untold = tuple(line for line in latest.verdict.cannot_tell if line != NOT_FETCHED)
        hashed = replace(
            latest,
            dump=replace(latest.dump, sha256=kept.sha256),
            verdict=replace(latest.verdict, cannot_tell=untold),
        )
        await asyncio.to_thread(tools.store.remember, hashed)


async def retold(tools: Tools, job: Job, talk: Conversation) -> bool:
    """Tell what the job found before it died again and again. False: it found nothing."""
    if job.payload.get("untold"):
        return bool(posted.numbers(job.memory))
    several = await recalled(tools.store, job.memory)
    if several is not None:
        await tell_several(tools, talk, several)
    told, _ = await _recalled(tools, job)
    if told is not None:
        await _tell(tools, talk, told)
    return several is not None or told is not None


async def remember(tools: Tools, job: Job, **facts: Any) -> None:
    """Note facts for whoever runs the job next. Raises: LostJob."""
    if not await asyncio.to_thread(functools.partial(tools.store.jobs.remember, job, **facts)):
        raise LostJob


async def _resume_late(
    tools: Tools, job: Job, talk: Conversation, desk: Desk, symbols: SymbolServers, *, told: Report
) -> None:
    noting = functools.partial(remember, tools, job)
    try:
        opened = await _opened(tools, job, talk, desk, quiet=True)
    except (FetchFailed, ArchiveFailed):
        await late.leave(tools, talk, told, noting)
        return
    assert isinstance(opened, Opened)  # noqa: S101  # without a tag, a server cannot say "unchanged"
    await late.revise(tools, talk, told, noting, fetched=opened.dumps[0][1], symbols=symbols, resumed=True)


async def _tell(tools: Tools, talk: Conversation, report: Report, line: str = "", *, anew: bool = False) -> None:
    async with tools.alone(report.dump.identity):
        await tell(tools, talk, report, line, anew=anew)


async def _recalled(tools: Tools, job: Job) -> tuple[Report | None, bool]:
    # The report that a predecessor of this very job stored before it died.
    number = job.memory.get("report")
    report = None if number is None else await asyncio.to_thread(tools.store.reports.report, number)
    return report, bool(job.memory.get("anew"))


async def _read(tools: Tools, job: Job, talk: Conversation, desk: Desk) -> Read:
    # A link that another job is reading right now is waited for, not fetched again.
    name = fingerprint(job.secret or job.payload["shown"])
    flight = tools.flight(name)
    async with flight.lock:
        try:
            return await _followed(tools, job, flight) or await _led(tools, job, talk, desk, flight)
        finally:
            # Who waits already hears of a failure, who comes later tries anew. It would stay for a while by itself: the
            # failure knows by its traceback who knows it.
            if flight.failure is not None and tools.flights.get(name) is flight:
                del tools.flights[name]


async def _followed(tools: Tools, job: Job, flight: Flight) -> Read | None:
    # What the job that had this link in hand before us came to; None where that was stopped, or we are the first.
    if flight.failure is not None:
        raise flight.failure
    if flight.memory is None:
        return None
    number = flight.memory.get("report")
    report = None if number is None else await asyncio.to_thread(tools.store.reports.report, number)
    found = report or await recalled(tools.store, flight.memory)
    if found is None:
        return None
    await remember(tools, job, **flight.memory)
    return Read(found)


async def _led(tools: Tools, job: Job, talk: Conversation, desk: Desk, flight: Flight) -> Read:
    try:
        try:
            read = await _analysed(tools, job, talk, desk)
        except Whole as why:  # what was read of it so far may be of two different files
            read = await _analysed(tools, job, talk, desk, whole=why.line)
    except (FetchFailed, ArchiveFailed, AnalysisFailed) as failed:
        flight.failure = failed
        raise
    now = await asyncio.to_thread(tools.store.jobs.get, job.id)
    flight.memory = None if now is None else {name: now.memory[name] for name in KEPT if name in now.memory}
    return read


async def _analysed(tools: Tools, job: Job, talk: Conversation, desk: Desk, whole: str | None = None) -> Read:
    opened = await _opened(tools, job, talk, desk, whole=whole)
    if isinstance(opened, Report):
        return Read(opened)
    symbols, count = desk.symbols, len(opened.dumps)
    if count == 1 and not (opened.left_out or opened.damaged):
        ((_, fetched),) = opened.dumps
        report, number, anew = await _once(tools, fetched, _steps(talk, "Analysing", fetched), symbols)
        facts = {"late": True} if symbols is not None and symbols.late() else {}
        await remember(tools, job, report=number, tag=fetched.tag, anew=anew, **facts)
        return Read(report, fetched, anew)

    async def once(fetched: Fetched, position: int) -> tuple[Report, int]:
        steps = _steps(talk, f"Analysing {position} of {count}", fetched)
        report, number, _ = await _once(tools, fetched, steps, symbols)
        return report, number

    several, facts = await analyse_several(opened, once)
    await remember(tools, job, **facts)
    return Read(several)


def _steps(talk: Conversation, prefix: str, fetched: Fetched) -> Callable[[str, float | None], None]:
    def step(stage: str, fraction: float | None) -> None:
        said = "" if fetched.pages is None else fetched.pages.said
        talk.progress(f"{prefix}: {stage}" if stage else prefix, fraction, said if stage else "")

    return step


async def _once(
    tools: Tools, fetched: Fetched, progress: Callable[[str, float | None], None], symbols: SymbolServers | None
) -> tuple[Report, int, bool]:
    # One dump's report, its number, and whether it takes the place of an older one of the same dump.
    async with tools.alone(fetched.identity):
        same = await asyncio.to_thread(tools.store.duplicates.same_dump, fetched.identity, fetched.sha256)
        known = None if same is None else await asyncio.to_thread(tools.store.reports.report, same.report.id)
        if same is not None and known is not None and await _is_current(tools, known):
            logs.note(crash=same.report.id)
            return known, same.report.id, False
        progress("", 0.0)
        report = await tools.analyse(fetched, progress, symbols)
        stored = await asyncio.to_thread(tools.store.remember, report)
        logs.note(crash=stored.id)
        return report, stored.id, same is not None


async def _is_current(tools: Tools, known: Report) -> bool:
    # By other rules, or by another version, the same dump may get another verdict: then it is analysed again.
    try:
        return known.analyzer == await asyncio.to_thread(tools.analyzer)
    except BadRules:
        return True  # nothing better can be made as long as the rules cannot be read


async def _opened(
    tools: Tools, job: Job, talk: Conversation, desk: Desk, *, quiet: bool = False, whole: str | None = None
) -> Opened | Report:
    # The dumps behind the link; or the report, where the server says that it is still the one we had from this link.
    # ``quiet``: a verdict stands in the thread already, and no progress may take its place. ``whole``: why the file
    # may not stay where it is.
    if job.payload.get("pasted"):
        text = await asyncio.to_thread(
            pasted_text, desk.directory / "pasted.txt", job.secret or "", job.payload["shown"]
        )
        return Opened(((job.payload["shown"], text),))
    address, _, password = (job.secret or job.payload["shown"]).partition("\n")
    if job.payload.get("posted"):
        arrived_here = await asyncio.to_thread(posted.opened, tools.shelf, job.payload, desk.directory)
        return await open_archive(arrived_here, job.payload["shown"], tools.archive_limits, password or None)
    wanted = link(address)
    if job.payload.get("upload"):
        wanted = replace(wanted, label=job.payload["shown"], shown=job.payload["shown"], is_upload=True)

    def show(stage: str, fraction: float | None, detail: str) -> None:
        if not quiet:
            talk.progress(stage, fraction, detail)

    def arrived(so_far: Arrived) -> None:
        show("Downloading", so_far.fraction, str(so_far))

    def unpacked(size: int) -> None:
        show("Unpacking", None, f"{wording.size(size)} so far")

    tag, number, known = (None, 0, None) if quiet or whole else await _answered(tools, address)
    try:
        fetched = await tools.fetch(wanted, desk.directory / "dump", arrived, tag, whole)
    except Unchanged:
        if known is None:
            raise
        await remember(tools, job, report=number, tag=tag)
        return known
    except FetchFailed as failed:
        if failed.kind == "page" and wanted.is_upload:
            raise FetchFailed("page", NO_SCOPE) from failed
        raise
    if job.payload.get("quiet") and not await asyncio.to_thread(_is_debuggers, fetched.path):
        raise NothingToSay
    if fetched.pages is not None:  # a dump that stays on its server, read as far as it is needed
        desk.files.push_async_callback(_let_go, fetched.pages.close)
        return Opened(((wanted.name, fetched),))
    return await open_archive(fetched, wanted.name, tools.archive_limits, password or None, unpacked)


async def _let_go(close: Callable[[], None]) -> None:
    # Whatever becomes of the job: a call that still waits for a thread would be cancelled with it.
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, close))


async def _answered(tools: Tools, address: str) -> tuple[str | None, int, Report | None]:
    # The server's tag of what this link led to before, and the report of that, as long as that is current.
    answered = await asyncio.to_thread(tools.store.events.answered, address)
    known = None if answered is None else await asyncio.to_thread(tools.store.reports.report, answered[1])
    if answered is None or known is None or not await _is_current(tools, known):
        return None, 0, None
    return answered[0], answered[1], known


def _is_debuggers(path: Path) -> bool:
    with RawFile(path) as raw:
        return is_windbg_text(raw)
