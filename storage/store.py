"""The store: one database and what can be asked of it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Self

from analysis.verdict.report import Report
from storage.audit import Audit
from storage.backlog import Backlog
from storage.channels import Channels
from storage.choices import Choices
from storage.clock import Clock
from storage.database import Database, Place, is_postgresql, open_database
from storage.digests import Digests
from storage.duplicates import Duplicates, Seen
from storage.engine import Facts, facts_of
from storage.errors import DatabaseTooNew
from storage.events import Events, Posts
from storage.forgetting import Forgetting, Forgotten, Which
from storage.gates import Limits
from storage.glance import Glances
from storage.grouping import RULES, Decision, Grouping
from storage.handover import Handover
from storage.held import HeldMentions
from storage.ingests import Ingests
from storage.installations import Installations
from storage.jobs import Job, Jobs, NewJob
from storage.knowledge import Act, Deed, Knowledge, Known, TicketLink, no_link
from storage.lanes import Holds, Lanes
from storage.migrations import MIGRATIONS, migrate
from storage.overview import Overview
from storage.periods import Periods
from storage.renaming import Renaming
from storage.reports import Reports, StoredReport
from storage.retention import Retention
from storage.search import Search
from storage.sessions import Sessions
from storage.sight import EVERYTHING, Sight
from storage.sources import Sources
from storage.suspicion import Suspicion, Suspicions
from storage.threads import Thread, Threads
from storage.tokens import Tokens
from storage.trends import Trends
from storage.unfurls import Unfurls
from storage.uploads import Uploads
from storage.webhooks import Webhooks
from storage.workers import Workers

Then = Callable[[Decision], Iterable[NewJob]]


class Store:
    """Jobs, reports, Slack traces, duplicates, search and retention over one database.

    Safe to use from several threads; several processes may open the same database.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sight: Sight = EVERYTHING,
        ticket_link: TicketLink = no_link,
        handover: Handover | None = None,
    ) -> None:
        self._database = database
        self._ticket_link = ticket_link
        self._clock = clock
        self._sight = sight
        self.handover = handover
        self.jobs = Jobs(database, clock, handover)
        self.events = Events(database, clock, self.jobs, sight.tenant)
        self.posts = Posts(database, clock)
        self.ingests = Ingests(database, clock)
        self.suspicion = Suspicions(database, sight)
        self.grouping = Grouping(database, clock, sight.tenant or "")
        self.reports = Reports(database, clock, self.grouping, sight)
        self.unfurls = Unfurls(database, clock)
        self.threads = Threads(database, clock, sight)
        self.duplicates = Duplicates(database, self.reports, self.threads, self.grouping, sight)
        self.search = Search(database, sight)
        self.overview = Overview(database, sight)
        self.trends = Trends(database, self.overview, sight)
        self.glance = Glances(database, self.overview, self.trends, sight)
        self.knowledge = Knowledge(database, clock, sight, ticket_link)
        self.channels = Channels(database, clock)
        self.installations = Installations(database, clock)
        self.audit = Audit(database, clock)
        self.renaming = Renaming(database, self._of_team)
        self.tokens = Tokens(database, clock)
        self.sessions = Sessions(database, clock)
        self.webhooks = Webhooks(database, clock, self.jobs)
        self.uploads = Uploads(database, clock, self.jobs)
        self.forgetting = Forgetting(database, self.reports)
        self.retention = Retention(database, clock, self.forgetting)
        self.workers = Workers(database, clock)
        self.backlog = Backlog(database)
        self.sources = Sources(database, clock)
        self.lanes = Lanes(database, clock)
        self.holds = Holds(database, clock)
        self.choices = Choices(database, clock)
        self.held = HeldMentions(database, clock, self.jobs)
        self.digests = Digests(database, clock, self.jobs)
        self.periods = Periods(database, sight)

    @classmethod
    def open(
        cls,
        place: Place,
        clock: Clock | None = None,
        ticket_link: TicketLink = no_link,
        hand_over: Limits | None = None,
    ) -> Self:
        """Open or create the database and bring it to the present schema. ``ticket_link`` makes tickets links; without
        a clock the database's own is used. ``hand_over``: on PostgreSQL jobs go to the workers' queue, through gates
        with these limits.

        Raises:
            OSError: the directory of a file cannot be made.
            StorageError: it is no such database, cannot be reached, or was locked for too long.
            DatabaseTooNew: a later version has written it.
            QueueMissing: the queue's package is not installed.
        """
        database = open_database(place)
        handover: Handover | None = None
        try:
            migrate(database)
            if hand_over is not None and is_postgresql(place):
                from storage.queue_schema import prepare

                prepare(database)
                handover = Handover(database, clock or database.clock, hand_over)
        except BaseException:
            database.close()
            raise
        return cls(database, clock or database.clock, ticket_link=ticket_link, handover=handover)

    def seen_from(self, channels: frozenset[str]) -> "Store":
        """The same history as the members of these Slack channels may see it; for reading, and not to be closed."""
        return self.seen_as(Sight(channels))

    def seen_at(self, team: str, channel: str) -> "Store":
        """The same history as every member of one channel may see it; as ``seen_from``."""
        return self.seen_as(self.channels.seen_at(team, channel))

    def at_once(self) -> AbstractContextManager[None]:
        """One transaction for several changes; it belongs to the thread that began it."""
        return self._database.write()

    @property
    def sees_all(self) -> bool:
        """Whether nothing of history is out of sight."""
        return self._sight.is_whole

    def seen_as(self, sight: Sight) -> "Store":
        """The same history with this sight; as ``seen_from``. The history of one workspace stays that."""
        own = replace(sight, tenant=self._sight.tenant or sight.tenant)
        return Store(self._database, self._clock, own, self._ticket_link, self.handover)

    def _of_team(self, team: str) -> tuple[Reports, Grouping]:
        store = self.of_tenant(team) if team else self
        return store.reports, store.grouping

    @property
    def tenant(self) -> str | None:
        """The workspace whose history this is, where one bot serves several."""
        return self._sight.tenant

    def of_tenant(self, team: str) -> "Store":
        """The history of one workspace, where one bot serves several; not to be closed."""
        return Store(self._database, self._clock, Sight(tenant=team), self._ticket_link, self.handover)

    def seen(self, report: Report) -> Seen:
        """Was this dump, this failure or something like it here before? Asked best before ``remember``."""
        return self.duplicates.of(report, self._clock())

    def suspicion_of(self, report: Report) -> Suspicion | None:
        """Whether this crash is one of a machine whose memory is suspect, with the evidence."""
        return self.suspicion.of(report, self._clock())

    def known(self, report: Report) -> Known:
        """What people have said of this failure, under any name that a crash of it has or had."""
        return self.knowledge.of(self.duplicates.names(report))

    def acts(self, report: Report) -> tuple[Act, ...]:
        """Everything that people did about this failure, oldest first."""
        return self.knowledge.acts(self.duplicates.names(report))

    def act(
        self,
        number: int,
        deed: Deed,
        by: str,
        detail: Mapping[str, str | None],
        then: NewJob,
        *,
        at: tuple[str, str] = ("", ""),
    ) -> Job | None:
        """Keep what somebody did about a report's failure, together with the job that shows it; None without a report.
        ``at`` is the team and the channel of the message that it was done below.

        Raises:
            ValueError: there is no such deed.
        """
        with self._database.write():
            line = self.reports.get(number)
            if line is None:
                return None
            self.knowledge.note(line.signature, deed, by, detail, number, at=at)
            return self.jobs.enqueue(then).job

    def merge(self, number: int, other: int, by: str, then: Then) -> Decision | None:
        """Let the failure of one crash count as that of another; None where it does already or a crash is missing.

        ``then`` makes the jobs that show it; they are kept together with it, as for ``split`` and ``undo``.
        """
        one, into = self.reports.get(number), self.reports.get(other)
        if one is None or into is None:
            return None
        with self._database.write():
            return self._followed(self.grouping.merge(one.signature, into.signature, by, number), then)

    def split(self, number: int, by: str, then: Then) -> Decision | None:
        """Take one crash out of its failure; None where it is alone there, was taken out already, or is missing."""
        report = self.reports.report(number)
        if report is None or not self.duplicates.members(report) - {number}:
            return None
        with self._database.write():
            return self._followed(self.grouping.split(number, by), then)

    def decision_on(self, report: Report) -> Decision | None:
        """The latest that somebody decided about a crash's failure, or about this crash alone, and that is in force."""
        own = self.duplicates.own_name(report)
        made = (one for one in self.grouping.decisions(own) if one.undone_by is None and one.by != RULES)
        return next((one for one in made if one.deed == "merge" or one.name == own), None)

    def undo(self, decision: int, by: str, then: Then) -> Decision | None:
        """Take a merge or a split back; None where there is no such one in force."""
        with self._database.write():
            undone = self.grouping.undo(decision, by)
            report = None if undone is None or undone.report_id is None else self.reports.report(undone.report_id)
            if undone is not None and undone.deed == "split" and report is not None:
                self.reports.add(report)
            return self._followed(undone, then)

    def _followed(self, decision: Decision | None, then: Then) -> Decision | None:
        for job in then(decision) if decision is not None else ():
            self.jobs.enqueue(job)
        return decision

    def places(self, report: Report) -> list[Thread]:
        """Every place in Slack that shows a crash of this failure, oldest first."""
        return self.threads.of_reports(self.duplicates.members(report))

    def remember(self, report: Report, *, by_operator: bool = False) -> StoredReport:
        """Put a report into history. ``by_operator``: it was not analysed for a channel, so that everybody may see it.

        Raises:
            fastjsonschema.JsonSchemaException: the report breaks its contract; nothing is stored.
        """
        return self.reports.add(report, by_operator=by_operator)

    def forget(self, which: Which) -> Forgotten:
        """Delete crashes with all that was said and done about them, and leave nothing of them in the files.

        Raises:
            ValueError: nothing is asked for in particular.
        """
        gone = self.forgetting.forget(which)
        self.forgetting.scrub()
        return gone

    def forget_team(self, team: str) -> Forgotten:
        """Delete whatever is kept of a workspace, which took the app away: crashes told in no other, jobs, traces."""
        return self.forget(Which(team=team))

    def outgrown(self) -> DatabaseTooNew | None:
        """What to say where a newer version has changed the schema since this process opened the store: it may go on
        for now, and should be stopped soon. None: nobody has."""
        found = self._database.version()
        return DatabaseTooNew(found, len(MIGRATIONS)) if found > len(MIGRATIONS) else None

    def facts(self) -> Facts:
        """What the database runs on, how large it is, and its schema."""
        return facts_of(self._database)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
