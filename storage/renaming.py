"""History named anew: when the rules that name failures change, old reports get the names that they would get today."""

from collections.abc import Callable
from dataclasses import replace

import fastjsonschema

from analysis.verdict.rebucket import naming_identity, rebucket
from storage.database import Database
from storage.grouping import Grouping
from storage.reports import Reports

BATCH = 200


class Renaming:
    """Brings the signatures of one database up to the rules in force. Former names stay aliases."""

    def __init__(self, database: Database, of_team: Callable[[str], tuple[Reports, Grouping]]) -> None:
        self._database = database
        self._of_team = of_team

    def outdated(self) -> int:
        """How many reports were named by other rules."""
        return int(self._database.value("SELECT count(*) FROM reports WHERE named_by IS NOT ?", [naming_identity()]))

    def step(self, limit: int = BATCH) -> tuple[int, int]:
        """Name up to ``limit`` outdated reports anew: how many were looked at, how many got another name.

        A step that is cut short goes on with the next call. A document that
        this version cannot read keeps its names.
        """
        rules = naming_identity()
        rows = self._database.rows(
            "SELECT id, team FROM reports WHERE named_by IS NOT ? ORDER BY id LIMIT ?", [rules, limit]
        )
        return len(rows), sum(self._rename(row["id"], row["team"], rules) for row in rows)

    def _rename(self, number: int, team: str, rules: str) -> bool:
        reports, grouping = self._of_team(team)
        try:
            report = reports.report(number)
        except fastjsonschema.JsonSchemaException:
            report = None
        if report is None:
            self._database.change("UPDATE reports SET named_by = ? WHERE id = ?", [rules, number])
            return False
        bucket = rebucket(report)
        grouping.renamed(report.bucket.signature, bucket.signature)
        reports.add(replace(report, bucket=bucket))  # also what an older version did not keep beside the document
        return bucket.signature != report.bucket.signature
