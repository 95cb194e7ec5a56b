"""Whose history is looked at: all of it, or what was told in some Slack channels.

A channel's members saw what was told there, and a page for them must not show more: not in a list, not in a count, not
in a document. So the condition stands in the queries themselves. What was never told in Slack is seen by nobody else.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sight:
    """``channels`` are Slack's ids; None is all of history."""

    channels: frozenset[str] | None = None

    def of_reports(self, table: str = "reports") -> tuple[str, list[str]]:
        """A condition on rows of ``reports``, under that name in the query, and its values."""
        if self.channels is None:
            return "1", []
        place, values = self.of_threads()
        return f"EXISTS (SELECT 1 FROM threads WHERE threads.report_id = {table}.id AND {place})", values  # noqa: S608

    def of_threads(self) -> tuple[str, list[str]]:
        """A condition on rows of ``threads``, and its values."""
        if self.channels is None:
            return "1", []
        return f"threads.channel IN ({', '.join('?' for _ in self.channels)})", sorted(self.channels)


EVERYTHING = Sight()
