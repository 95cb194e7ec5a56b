"""Reports for the tests of history: only what history looks at differs between them."""

import hashlib
from datetime import UTC, datetime, timedelta

from analysis.verdict.report import (
    Analyzer,
    Blocking,
    Bucket,
    Bugcheck,
    Chain,
    ChainLock,
    Culprit,
    Dump,
    Parameter,
    Report,
    Root,
    StackFrame,
    System,
    ThreadFacts,
    Verdict,
)

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOLDER = ("nt!KeWaitForSingleObject+0x1a", "ndis!NdisUnbind+0x10", "rassstp+0x1234", "nt!PnpWorker+0x40")


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float = 0, days: float = 0) -> None:
        self.now += timedelta(days=days, seconds=seconds)


def identity_of(name: str) -> str:
    return f"1:{hashlib.sha256(name.encode()).hexdigest()}"


def report(
    dump: str = "first",
    *,
    code: str = "0x9f",
    name: str = "DRIVER_POWER_STATE_FAILURE",
    module: str | None = "rassstp.sys",
    signature: str = "9f/4 rassstp PiEngineLock",
    aliases: tuple[str, ...] = (),
    host: str | None = None,
    crashed: datetime | None = None,
    lock: str | None = "nt!PiEngineLock",
    service: str | None = None,
    frames: tuple[str, ...] = HOLDER,
    live: bool = False,
    sha256: str | None = None,
) -> Report:
    stack = tuple(StackFrame(f"{0x1000 + 8 * n:#x}", symbol, None, "unwind") for n, symbol in enumerate(frames))
    culprit = None if module is None else Culprit(module, function=f"{module}+0x12", service=service)
    chains = (
        () if lock is None else (Chain(ChainLock("0xff00", "eresource", lock), ("0x10",), ("0x20",), 1, "structure"),)
    )
    return Report(
        analyzer=Analyzer("0.1.0", "none"),
        analyzed_at="2026-06-15T12:00:00Z",
        dump=Dump("kernel-full", 4096, sha256, identity_of(dump), f"{dump}.dmp", 4096, live),
        system=System(
            build="10.0.19041.804",
            computer_name=host,
            crash_time=None if crashed is None else crashed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
        bugcheck=Bugcheck(code, code, name, (Parameter("0x4"),) * 4, "It hung."),
        verdict=Verdict(culprit, "high" if culprit else "none", f"{module} held {lock}"),
        bucket=Bucket(f"{code.upper()}_{module}", "00000000-0000-0000-0000-000000000000", signature, aliases),
        blocking=Blocking(root=Root("0x10"), chains=chains),
        threads=(ThreadFacts("0x20", stack=stack[:1]), ThreadFacts("0x10", "System", stack=stack)),
    )
