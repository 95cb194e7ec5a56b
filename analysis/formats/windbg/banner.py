"""What WinDbg prints when it opens a dump: Windows' build, processors, when the machine stopped, how long it ran."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from analysis.formats.windbg.facts import Banner

_KERNEL = re.compile(
    r"\s*Windows .{1,60}?Kernel Version (\d{4,6}) .{0,60}?(?:\bUP|\((\d{1,4}) procs?\)) (?:Free|Checked) (\S+)"
)
_BUILT = re.compile(r"\s*(?:Built by|Edition build lab): (\d{4,6})\.(\d{1,6})\.")
_TIME = re.compile(
    r"\s*Debug session time: \w{3} (\w{3}) +(\d{1,2}) (\d\d):(\d\d):(\d\d)(?:\.\d+)? (\d{4})"
    r" \((?:UTC|GMT) ?([+-]) ?(\d{1,2})(?::(\d\d))?\)"
)
_UPTIME = re.compile(r"\s*System Uptime: (?:not available|(\d{1,5}) days? (\d{1,2}):(\d\d):(\d\d))")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ARCHITECTURES = {"x64": "x64", "x86": "x86", "ARM": "arm64", "ARM64": "arm64"}


def read_banner(lines: Sequence[str]) -> Banner:
    """The banner's facts, the first mention of each; None where there is none."""
    build = architecture = None
    processors = uptime = None
    crashed: datetime | None = None
    for line in lines:
        if (told := _KERNEL.match(line)) and processors is None:
            build, processors = build or told[1], int(told[2] or 1)
            architecture = _ARCHITECTURES.get(told[3])
        elif told := _BUILT.match(line):
            build = f"{told[1]}.{told[2]}" if build in (None, told[1]) else build
        elif (told := _TIME.match(line)) and crashed is None:
            crashed = _moment(told)
        elif (told := _UPTIME.match(line)) and told[1] and uptime is None:
            days, hours, minutes, seconds = (int(told[which]) for which in range(1, 5))
            uptime = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return Banner(build, processors, architecture, crashed, uptime)


def _moment(told: re.Match[str]) -> datetime | None:
    offset = timedelta(hours=int(told[8]), minutes=int(told[9] or 0))
    try:
        return datetime(
            int(told[6]), _MONTHS.index(told[1]) + 1, int(told[2]), int(told[3]), int(told[4]), int(told[5]),
            tzinfo=timezone(-offset if told[7] == "-" else offset),
        )  # fmt: skip
    except ValueError:  # no such day, hour, month or offset
        return None
