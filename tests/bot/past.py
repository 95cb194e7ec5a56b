"""A past for a history: failures that came up so often, each crash told in a channel."""

from dataclasses import replace

from storage.store import Store
from storage.threads import Told
from tests.bot.kit import CRASHES
from tests.storage.samples import Clock, report

TEAM = "T0SANDBOX1"


def told(
    store: Store,
    at: Clock,
    signature: str,
    count: int,
    channel: str = CRASHES,
    *,
    hours: float = 1,
    lock: str | None = None,
    code: str = "0x9f",
    module: str = "rassstp.sys",
    version: str = "",
    host: str | None = None,
) -> int:
    """So many crashes of a failure, so many hours apart, on three machines or on one; the number of the last."""
    number = 0
    for turn in range(count):
        at.turn(3600 * hours)
        name, machine = f"{signature} {channel} {at()}", host or f"PC-{turn % 3 + 1}"
        crash = report(name, signature=signature, host=machine, crashed=at(), module=module, code=code, lock=lock)
        if version and crash.verdict.culprit is not None:
            culprit = replace(crash.verdict.culprit, version=version)
            crash = replace(crash, verdict=replace(crash.verdict, culprit=culprit))
        number = store.remember(crash).id
        ts, link = f"{number}.1", f"https://team.example/archives/{channel}/p{number}"
        store.threads.note(
            Told(report_id=number, team=TEAM, channel=channel, ts=ts, summary_ts=ts + "1", permalink=link)
        )
    return number
