"""What people have said of a failure, as it stands beside one of its crashes. The words are a template's."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.verdict.report import Report
from bot.mrkdwn import plain
from bot.slack_text import render
from storage.clock import stamp
from storage.grouping import Decision
from storage.knowledge import NOTHING, Act, Known
from storage.store import Store
from storage.suspicion import Suspicion

_SLACK_ID = re.compile(r"[UWS][A-Z0-9]{7,}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a failure; the culprit of the crash beside it, in which version; in which channel it is told;
    whether the memory of its machine is suspect; what was decided about which crashes belong to it."""

    known: Known = NOTHING
    module: str | None = None
    version: str | None = None
    channel: str | None = None
    suspicion: Suspicion | None = None
    decision: Decision | None = None

    @property
    def is_regression(self) -> bool:
        """The crash should not have happened: its culprit is of a version in which the failure was mended."""
        return self.known.is_regression(self.version)

    @property
    def is_muted(self) -> bool:
        """Somebody muted the failure in this channel."""
        return self.channel in self.known.muted_in

    @property
    def people(self) -> frozenset[str]:
        """The Slack ids of those who are named."""
        known = self.known
        named = {known.acknowledged_by, known.assigned_to, *(doubt.by for doubt in known.doubts)}
        named.add(self.decision.by if self.decision else None)
        return frozenset(name for name in named if name and _SLACK_ID.fullmatch(name))


UNKNOWN = Standing()


def standing(store: Store, report: Report, channel: str | None = None, *, whole: bool = True) -> Standing:
    """How a crash's failure stands, told in a channel or elsewhere; not ``whole``, as in a list:
    nothing of its machine, nor of what was decided about it."""
    culprit = report.verdict.culprit
    known = store.known(report)
    suspicion = store.suspicion_of(report) if whole else None
    decision = store.decision_on(report) if whole else None
    if culprit is None:
        return Standing(known, channel=channel, suspicion=suspicion, decision=decision)
    return Standing(known, culprit.module, culprit.version, channel, suspicion, decision)


def known_json(known: Known) -> dict[str, Any]:
    """What people have said of a failure, for programs."""
    issue = known.issue
    return {
        "acknowledged_by": known.acknowledged_by,
        "assigned_to": known.assigned_to,
        "doubts": len(known.doubts),
        "issue": None
        if issue is None
        else {
            "note": issue.note,
            "ticket": issue.ticket,
            "fixed_in": issue.fixed_in,
            "by": issue.by,
            "at": stamp(issue.at),
        },
    }


def act_json(act: Act) -> dict[str, Any]:
    """One thing that somebody did about a failure, for programs."""
    return {"deed": act.deed, "by": act.by, "at": stamp(act.at), "crash": act.report_id, **act.detail}


def standing_lines(stands: Standing) -> Iterator[str]:
    """The same in plain words, for where there is no Slack: the known issue, then who looks after it."""
    message = render("standing", stands.people, standing=stands)
    for block in message.blocks:
        text = block.get("text") or block["elements"][0]
        yield plain(text["text"])
