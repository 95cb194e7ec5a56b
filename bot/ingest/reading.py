"""One file of a bulk reading: fetched if it lies elsewhere, opened if it is an archive, each dump in it analysed."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.errors import BadRules
from analysis.fingerprint import identity
from analysis.verdict.report import Analyzer, Report
from bot.archives.kinds import kind_of_file
from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.opening import open_archive
from bot.child import AnalysisFailed, Child, start
from bot.fetch.download import Fetched
from bot.fetch.links import link
from bot.fetch.problems import FetchFailed
from bot.fetch.remote import Terms, reach
from bot.fetch.workspace import workspace
from bot.ingest.sources import Item
from bot.ordering import order_of, redact_by
from bot.settings import Settings
from bot.symbols.fetching import SymbolServers
from storage.ingests import Failure
from storage.store import Store

MANY_DUMPS = 100_000  # in one archive: nobody waits for the others


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file came to: numbers of reports, how many of them are new to history, and what failed."""

    reports: tuple[int, ...] = ()
    new: int = 0
    failures: tuple[Failure, ...] = ()


class Stopped(Exception):
    """The run is to end: what was in hand counts for nothing."""


class Reader:
    """Reads files into a store, several at a time, each in a thread of its caller's.

    ``terms`` says how links are fetched; ``analyzer`` by which version and rules a report would be made now.
    """

    def __init__(self, store: Store, settings: Settings, terms: Terms, analyzer: Callable[[], Analyzer]) -> None:
        self._store = store
        self._settings = settings
        self._terms = terms
        self._analyzer = analyzer
        self._redact = redact_by(settings)
        self._children = set[Child]()
        self._lock = threading.Lock()
        self._stopping = False

    def stop(self) -> None:
        """End every analysis that runs; their readers raise ``Stopped``."""
        with self._lock:
            self._stopping = True
            for child in self._children:
                child.stop()

    def read(self, item: Item) -> Outcome:
        """Put whatever a file holds into history, and keep what it came to.

        Raises:
            Stopped: the run is to end.
            StorageError, OSError: history or the disk fails.
        """
        with ExitStack() as stack:
            directory = stack.enter_context(workspace(self._settings.home, f"ingest-{uuid.uuid4().hex}"))
            try:
                outcome = self._dumps(item, directory, stack)
            except (FetchFailed, ArchiveFailed) as failed:
                outcome = Outcome(failures=(Failure(failed.kind, failed.line),))
        if self._stopping:
            raise Stopped
        self._store.ingests.note(item.place, item.version, outcome.reports, outcome.failures)
        return outcome

    def _dumps(self, item: Item, directory: Path, stack: ExitStack) -> Outcome:
        fetched = self._fetched(item, directory, stack)
        if fetched.pages is not None or kind_of_file(fetched.path) is None:
            return self._dump(fetched)
        unlimited: ArchiveLimits = replace(self._settings.archive_limits, max_dumps=MANY_DUMPS)
        opened = asyncio.run(open_archive(fetched, item.name, unlimited, into=directory))
        outcome = Outcome(failures=tuple(Failure("damaged", f"{name} is damaged") for name in opened.damaged))
        for _, dump in opened.dumps:
            one = self._dump(dump)
            outcome = Outcome(
                (*outcome.reports, *one.reports), outcome.new + one.new, (*outcome.failures, *one.failures)
            )
            dump.path.unlink(missing_ok=True)
        return outcome

    def _fetched(self, item: Item, directory: Path, stack: ExitStack) -> Fetched:
        if item.is_link:
            fetched = asyncio.run(reach(link(item.place), directory / "dump", self._terms))
            if fetched.pages is not None:
                stack.callback(fetched.pages.close)
            return fetched
        path = Path(item.place)
        try:
            size = path.stat().st_size
            return Fetched(path, size, None, identity(path, size), path.name, 0.0)
        except OSError as error:
            raise FetchFailed("status", f"it cannot be read ({error.strerror})") from error

    def _dump(self, fetched: Fetched) -> Outcome:
        if self._stopping:
            raise Stopped
        same = self._store.duplicates.same_dump(fetched.identity, fetched.sha256)
        if same is not None and self._is_current(same.report.id):
            return Outcome((same.report.id,))
        try:
            report = self._analysed(fetched)
        except (AnalysisFailed, FetchFailed) as failed:
            if self._stopping:
                raise Stopped from failed
            return Outcome(failures=(Failure(failed.kind, failed.line),))
        stored = self._store.remember(report, by_operator=True)
        return Outcome((stored.id,), int(same is None))

    def _is_current(self, number: int) -> bool:
        # By other rules, or by another version, the same dump may get another verdict.
        known = self._store.reports.report(number)
        with suppress(BadRules):
            return known is not None and known.analyzer == self._analyzer()
        return True

    def _analysed(self, fetched: Fetched) -> Report:
        servers = self._settings.symbol_servers()
        try:
            report = self._run(fetched, servers)
            if servers is not None and servers.late() and servers.await_late():
                report = self._run(fetched, servers)
            return report
        finally:
            if servers is not None:
                servers.close()

    def _run(self, fetched: Fetched, servers: SymbolServers | None) -> Report:
        order = order_of(self._settings, fetched, servers, self._redact)
        child = start(order, self._settings.analysis_limits)
        with self._lock:
            self._children.add(child)
            is_late = self._stopping
        try:
            if is_late:
                raise Stopped
            return child.report()
        finally:
            with self._lock:
                self._children.discard(child)
            child.stop()
