"""Whose history is looked at: all of it, or what was told in some Slack channels.

A channel's members saw what was told there, and an answer or a page for them must not show more: not in a list, not in
a count, not in a document. So the condition stands in the queries themselves. What was never told in Slack is seen by
nobody else, unless the operator analysed it: that is history of the whole workspace. Which channels are public is what
Slack last said of them; one of which it said nothing counts as private.
"""

from dataclasses import dataclass

ALWAYS, NEVER = "1 = 1", "1 = 0"
Condition = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Sight:
    """``channels`` are Slack's ids; None is all of history. ``public_of`` names a workspace whose public channels are
    seen, too. ``tenant`` is the workspace whose history this is, where one bot serves several: nothing of the others is
    seen, whatever the rest says.

    Ids are unique over all workspaces, so a channel that two of them share is one channel.
    """

    channels: frozenset[str] | None = None
    public_of: str | None = None
    tenant: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of history is seen, or all of the tenant's."""
        return self.channels is None

    def of_reports(self, table: str = "reports") -> Condition:
        """A condition on rows of ``reports``, under that name in the query, and its values."""
        if self.channels is None:
            return self._of_tenant(table, ALWAYS, [])
        place, values = self.of_threads()
        told = f"EXISTS (SELECT 1 FROM threads WHERE threads.report_id = {table}.id AND {place})"  # noqa: S608
        if self.channels:
            marks = ", ".join("?" for _ in self.channels)
            told = (
                f"({told} OR EXISTS (SELECT 1 FROM sightings WHERE sightings.report_id = {table}.id "  # noqa: S608
                f"AND sightings.channel IN ({marks})))"
            )
            values = [*values, *sorted(self.channels)]
        return self._of_tenant(
            table, told if self.public_of is None else f"({table}.by_operator = 1 OR {told})", values
        )

    def of_threads(self, table: str = "threads") -> Condition:
        """A condition on rows of ``threads``, or of what else has a team and a channel, and its values."""
        if self.channels is None:
            return self._of_tenant(table, ALWAYS, [])
        own = f"{table}.channel IN ({', '.join('?' for _ in self.channels)})" if self.channels else NEVER
        if self.public_of is None:
            return self._of_tenant(table, own, sorted(self.channels))
        public = (
            f"({table}.team = ? AND {table}.channel IN "  # noqa: S608  # the names of tables
            "(SELECT open.channel FROM channels AS open WHERE open.team = ? AND open.kind = 'public'))"
        )
        values = [*sorted(self.channels), self.public_of, self.public_of]
        return self._of_tenant(table, f"({own} OR {public})", values)

    def of_acts(self) -> Condition:
        """A condition on rows of ``acts``, and its values: what was said in a channel is for those who see it, and what
        the operator said is for everybody."""
        place, values = self.of_threads("acts")
        return (place, values) if place == ALWAYS else (f"(acts.channel = '' OR {place})", values)

    def _of_tenant(self, table: str, condition: str, values: list[str]) -> Condition:
        if self.tenant is None:
            return condition, values
        mine = f"{table}.team = ?"
        return (mine, [self.tenant]) if condition == ALWAYS else (f"({condition} AND {mine})", [*values, self.tenant])


EVERYTHING = Sight()
