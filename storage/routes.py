"""Routing rules: whom a crash concerns, by what its report says; and how much it matters.

A rule has conditions, all of which must hold; names of modules and hosts may have * and ? in them. Whom it mentions is
an id that a person put into the rule: nothing of a dump ever becomes a mention.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from analysis.verdict.report import Report
from storage.hours import BadChoice

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
CONDITIONS = ("module", "host", "code", "team", "channel")
ROOM = ("@here", "@channel")
MAX_TEXT = 120
_MENTION = re.compile(r"[UWS][A-Z0-9]{7,20}|@here|@channel")
_CHANNEL = re.compile(r"[CG][A-Z0-9]{7,20}")
_CODE = re.compile(r"0x[0-9a-f]{1,8}")


@dataclass(frozen=True, slots=True)
class Route:
    """One rule. ``severity`` high mentions at any hour, medium not in quiet hours, low mentions nobody.

    ``code`` is a bugcheck or exception code or a pattern of its name; ``team`` is whom the operator's rules name for
    the culprit; ``channel`` is where the crash is told. ``mention`` is a person's or group's id, or everybody in
    the channel (``@here``, ``@channel``). ``number`` is None for a rule of the operator's.
    """

    name: str
    severity: Severity = "medium"
    mention: str | None = None
    module: str | None = None
    host: str | None = None
    code: str | None = None
    team: str | None = None
    channel: str | None = None
    number: str | None = None

    def fits(self, report: Report, channel: str) -> bool:
        """Whether a crash that is told in a channel is of those that the rule is about."""
        culprit, bugcheck, exception = report.verdict.culprit, report.bugcheck, report.exception
        code, name = (bugcheck.code, bugcheck.name) if bugcheck else (None, None)
        if exception is not None and bugcheck is None:
            code, name = exception.code, exception.name
        return (
            _is_like(self.module, culprit.module if culprit else None)
            and _is_like(self.host, report.system.computer_name)
            and (_is_like(self.code, code) or _is_like(self.code, name))
            and (self.team is None or self.team == report.verdict.team)
            and self.channel in (None, channel)
        )

    def to_json(self) -> dict[str, Any]:
        """As it is kept, without its number."""
        fields = ("name", "severity", "mention", *CONDITIONS)
        return {field: value for field in fields if (value := getattr(self, field)) is not None}

    @classmethod
    def read(cls, given: Mapping[str, Any], number: str | None = None) -> Self:
        """From what was kept or typed. Raises: BadChoice."""
        problems = {
            field: "There is no such field."
            for field in given
            if field not in ("name", "severity", "mention", *CONDITIONS)
        }
        texts = {field: _text(given.get(field), field, problems) for field in ("name", "mention", *CONDITIONS)}
        severity = given.get("severity") or "medium"
        if severity not in SEVERITIES:
            problems["severity"] = "This is high, medium or low."
        problems |= _mistakes(texts, str(severity))
        if problems:
            raise BadChoice(problems)
        code = texts["code"]
        texts["code"] = f"{int(code, 16):#x}" if code and _CODE.fullmatch(code.lower()) else code
        name = texts.pop("name") or "a rule"
        return cls(name, next(level for level in SEVERITIES if level == severity), number=number, **texts)


def most_severe(routes: Iterable[Route]) -> Severity | None:
    """The highest severity among rules; None without any."""
    found = {route.severity for route in routes}
    return next((level for level in SEVERITIES if level in found), None)


def _mistakes(texts: Mapping[str, str | None], severity: str) -> dict[str, str]:
    found = {}
    if texts["mention"] is None and severity != "low":
        found["mention"] = "Say whom it mentions."
    if texts["mention"] is not None and not _MENTION.fullmatch(texts["mention"]):
        found["mention"] = "This is an id of a person (U…) or of a user group (S…), or @here, or @channel."
    if texts["channel"] is not None and not _CHANNEL.fullmatch(texts["channel"]):
        found["channel"] = "This is the id of a channel, C…"
    if not any(texts[field] for field in CONDITIONS):
        found["module"] = "Give at least one condition; * stands for every driver."
    return found


def _text(given: Any, field: str, problems: dict[str, str]) -> str | None:
    if given is None or given == "":
        return None
    if not isinstance(given, str) or not given.strip() or len(given) > MAX_TEXT or not given.isprintable():
        problems[field] = f"This is one line of at most {MAX_TEXT} characters."
        return None
    return given.strip()


def _is_like(pattern: str | None, value: str | None) -> bool:
    if pattern is None:
        return True
    return value is not None and fnmatch.fnmatchcase(value.lower(), pattern.lower())
