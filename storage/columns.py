"""What history keeps beside a report's document: the columns that questions ask about, and its story in frames."""

from datetime import timedelta

from analysis.verdict.modules import Strength, strength
from analysis.verdict.report import Report, ThreadFacts
from storage.clock import moment, stamp
from storage.database import Row

# A machine with an empty clock battery writes 2009 into its dump, or next year. A crash after the day on which it
# was reported did not happen then.
CLOCK_SKEW = timedelta(days=1)
MAX_FRAMES = 32
MAX_NAME = 255  # bytes; an entry of PostgreSQL's indexes has room for some 2,700 in all
# What is never looked up by an index, or has its own limit: a signature's is in characters.
WHOLE = frozenset({"identity", "sha256", "source", "signature", "failure_bucket", "summary"})


def columns(report: Report, reported_at: str) -> Row:
    """The row of a report first reported at that stamp, without its document."""
    culprit = report.verdict.culprit
    bugcheck = report.bugcheck
    crashed = None if report.system.crash_time is None else stamp(moment(report.system.crash_time))
    row = {
        "identity": report.dump.identity,
        "sha256": report.dump.sha256,
        "source": report.dump.source,
        "kind": report.dump.kind,
        "live": int(report.dump.live),
        "code": bugcheck.code if bugcheck else report.exception.code if report.exception else None,
        "name": bugcheck.name if bugcheck else report.exception.name if report.exception else None,
        "module": culprit.module if culprit else None,
        "function": culprit.function if culprit else None,
        "confidence": report.verdict.confidence,
        "signature": report.bucket.signature,
        "failure_bucket": report.bucket.failure_bucket_id,
        "failure_hash": report.bucket.failure_id_hash,
        "host": report.system.computer_name,
        "build": report.system.build,
        "lock": lock_name(report),
        "device": culprit.device if culprit else None,
        "service": culprit.service if culprit else None,
        "owner": report.verdict.team,
        "summary": report.verdict.summary,
        "crash_time": crashed,
        "reported_at": reported_at,
        "seen_at": seen_at(crashed, reported_at),
        "analyzed_at": stamp(moment(report.analyzed_at)),
    }
    return {
        name: (storable(value) if name in WHOLE else short(value)) if isinstance(value, str) else value
        for name, value in row.items()
    }


def storable(text: str) -> str:
    """The text with "?" for what a database does not take: half characters (a name cut in a dump, a file name of other
    bytes) and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "?")


def short(text: str) -> str:
    """A name as it is kept in an index: its first MAX_NAME bytes. A dump may call its modules whatever it likes."""
    return storable(text).encode()[:MAX_NAME].decode("utf-8", "ignore")


def seen_at(crashed: str | None, reported: str) -> str:
    """When the crash counts as having happened: by the dump's clock if that can be, else when it was reported."""
    if crashed is None or moment(crashed) > moment(reported) + CLOCK_SKEW:
        return reported
    return crashed


def drivers(report: Report) -> list[tuple[str, str, bool]]:
    """Name and version of each driver of other makers that was loaded, and of the culprit; and whether it was blamed.

    Where a dump does not tell the version, the time stamp of the image stands for it.
    """
    culprit = report.verdict.culprit
    blamed = culprit.module.lower() if culprit and culprit.module else None
    found: dict[str, tuple[str, str, bool]] = {}
    for module in report.modules:
        name = module.name.lower()
        version = module.version or (module.timestamp and f"time stamp {module.timestamp}")
        if version and not module.unloaded and (name == blamed or strength(name) is Strength.CANDIDATE):
            found[name] = (name, version, name == blamed)
    if culprit is not None and blamed is not None and culprit.version:
        found[blamed] = (blamed, culprit.version, True)
    kept = {short(name): (short(version), is_blamed) for name, version, is_blamed in found.values()}
    return [(name, *about) for name, about in kept.items()]


def lock_name(report: Report) -> str | None:
    """The name of the lock at the root of the pile-up, where it has one."""
    return next((chain.lock.name for chain in report.blocking.chains if chain.lock.name), None)


def story_frames(report: Report) -> list[str]:
    """The stack that carries the blame, as names without addresses: newest first, at most MAX_FRAMES.

    The root of the pile-up, else the threads of the first deadlock, else the first thread of the report (the one
    that crashed). ``ndis+0x1234`` counts as ``ndis``: an offset moves with each build of a driver.
    """
    return [frame_name(frame.symbol) for thread in _story_threads(report) for frame in thread.stack][:MAX_FRAMES]


def frame_name(symbol: str) -> str:
    """A symbol without its offset, lower case."""
    return storable(symbol.partition("+0x")[0].lower())


def _story_threads(report: Report) -> tuple[ThreadFacts, ...]:
    by_address = {thread.address: thread for thread in report.threads}
    wanted: tuple[str, ...] = ()
    if report.blocking.root is not None:
        wanted = (report.blocking.root.thread,)
    elif report.blocking.deadlocks:
        wanted = report.blocking.deadlocks[0].threads
    found = tuple(by_address[address] for address in wanted if address in by_address)
    return found or report.threads[:1]
