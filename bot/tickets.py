"""Where tickets are: "ACME-123", "org/repo#12" and "INC0012345" as links, and the link that begins a new one.

What people write is anybody's text, so only what looks just like a ticket of a tracker becomes part of a link, and each
piece is encoded for its place there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from analysis.verdict.report import Report

# Tracker: what its tickets look like, and where one is below the tracker's address.
JIRA, GITHUB, SERVICENOW = "jira", "github", "servicenow"
_TICKETS = {
    JIRA: (re.compile(r"[A-Z][A-Z0-9_]{1,20}-[1-9]\d{0,9}"), "/browse/{0}"),
    GITHUB: (re.compile(r"([A-Za-z0-9][\w.-]{0,38}/[A-Za-z0-9_.-]{1,100})#([1-9]\d{0,9})"), "/{1}/issues/{2}"),
    SERVICENOW: (
        re.compile(r"(?:INC|PRB|CHG|TASK|RITM|REQ|SCTASK)\d{4,12}"),
        "/nav_to.do?uri=task.do%3Fsysparm_query%3Dnumber%3D{0}",
    ),
}
_ADDRESS = re.compile(r"https?://[^\s<>|\"]+")
MAX_TITLE, MAX_BODY = 200, 1500
MAX_LINK = 2000  # Slack takes 3,000 characters in a line, some trackers 2,048 in an address


@dataclass(frozen=True, slots=True)
class Tickets:
    """The addresses of trackers by their kind, and the template of the link that begins a ticket: with ``{title}`` and
    ``{body}`` in it."""

    trackers: Mapping[str, str] = field(default_factory=dict)
    new: str | None = None

    def address(self, ticket: str) -> str | None:
        """The address of a ticket, which may be written as one; None for words."""
        text = ticket.strip()
        if _ADDRESS.fullmatch(text):
            return text
        for tracker, (pattern, place) in _TICKETS.items():
            match = pattern.fullmatch(text)
            if match is not None and tracker in self.trackers:
                base = self.trackers[tracker].rstrip("/")
                return base + place.format(*(quote(group, safe="/") for group in (match[0], *match.groups())))
        return None

    def begin(self, report: Report) -> str | None:
        """The link that begins a ticket about a crash, its title and text filled in; None where none is set."""
        if self.new is None:
            return None
        title, body = title_of(report), body_of(report)
        while len(link := self._filled(title, body)) > MAX_LINK and body:
            body = body[: len(body) * 3 // 4]
        return link if len(link) <= MAX_LINK else self._filled("", "")

    def _filled(self, title: str, body: str) -> str:
        return (self.new or "").replace("{title}", quote(title, safe="")).replace("{body}", quote(body, safe=""))


def title_of(report: Report) -> str:
    """What a ticket about this crash is called: its stop code and who did it."""
    stop = report.bugcheck or report.exception
    culprit = report.verdict.culprit
    who = (culprit.module if culprit else None) or "no culprit"
    code = f"{stop.code} {stop.name or ''}".strip() if stop else report.dump.kind
    return _one_line(f"{who}: {code}")[:MAX_TITLE]


def body_of(report: Report) -> str:
    """What such a ticket begins with."""
    verdict, system = report.verdict, report.system
    lines = [
        verdict.summary,
        verdict.impact,
        f"Confidence: {verdict.confidence}",
        f"Host: {system.computer_name or 'unknown'}, build {system.build or 'unknown'}",
        f"Crashed: {system.crash_time or 'unknown'}",
        f"Bucket: {report.bucket.failure_bucket_id}",
    ]
    return "\n".join(_one_line(line) for line in lines if line)[:MAX_BODY]


def read_trackers(words: list[str]) -> dict[str, str]:
    """Trackers as the settings name them: ``jira=https://acme.atlassian.net``.

    Raises:
        ValueError: a kind that there is none of, or no address.
    """
    found = {}
    for word in words:
        kind, _, address = word.partition("=")
        if kind.lower() not in _TICKETS:
            raise ValueError(f"must name one of {', '.join(_TICKETS)}, as in jira=https://acme.atlassian.net")
        if not is_address(address):
            raise ValueError(f"must give {kind.lower()} an address, as in {kind.lower()}=https://tickets.example.com")
        found[kind.lower()] = address
    return found


def is_address(text: str) -> bool:
    """Whether a text is the address of a site."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and _ADDRESS.fullmatch(text) is not None


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
