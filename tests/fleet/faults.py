"""What goes wrong in a fleet on PostgreSQL, one thing at a time: each does it to an installation, and mends it again.

A strike waits for its moment, does its harm, holds it for as long as it says, and mends what an operator or a
supervisor would mend: a killed process is started again, a cable plugged in, a full disk emptied.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.listeners.intake import ANALYZE
from storage.store import Store
from tests.bot.kit import until
from tests.bot_process import BotProcess
from tests.fleet.installation import DATA, Installation
from tests.postgres import children_of
from tests.soak.counting import part_of

AWAY_SECONDS = 2.0  # until a supervisor starts again what died
MOMENT_SECONDS = 120.0
POLL = 0.02

Strike = Callable[[Installation, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table. ``bot_works``: the bot takes dumps, too. ``seconds`` is how long the harm lasts. The homes of
    workers, or the cluster's data, are in so many megabytes of memory where these are set; ``fake_time`` lets the
    workers' clocks be moved."""

    name: str
    strike: Strike
    seconds: float = 0.0
    bot_works: bool = False
    scratch_mb: int | None = None
    data_mb: int | None = None
    fake_time: bool = False


async def worker_dies(site: Installation, _seconds: float) -> None:
    """A worker is killed amid an analysis, and does not come back."""
    worker = site.workers["w1"]
    await _amid_analysis(worker)
    await worker.kill()


async def worker_dies_and_comes_back(site: Installation, _seconds: float) -> None:
    """A worker is killed amid an analysis, and started again."""
    worker = site.workers["w1"]
    await _amid_analysis(worker)
    await _killed(worker)


async def bot_dies(site: Installation, _seconds: float) -> None:
    """The bot, which works as well, is killed with a story half told, and started again."""
    with site.open() as store:
        await until(lambda: _half_told(site, store), MOMENT_SECONDS, POLL)
    await _killed(site.bot)


async def database_restarts(site: Installation, _seconds: float) -> None:
    """The database is stopped without a word to anybody, and recovers as it starts."""
    assert site.cluster is not None
    await asyncio.to_thread(site.cluster.restart, "immediate")


async def database_loses_power(site: Installation, seconds: float) -> None:
    """Every process of the database is killed; it stays away for a while."""
    assert site.cluster is not None
    await asyncio.to_thread(site.cluster.kill)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(site.cluster.start)


def cut(*names: str) -> Strike:
    """The cables of these hosts to the database are pulled; Slack is reached all the while."""

    async def strike(site: Installation, seconds: float) -> None:
        if "w1" in names:
            await _amid_analysis(site.workers["w1"])
        for name in names:
            site.hosts[name].pull(DATA)
        await asyncio.sleep(seconds)
        for name in names:
            site.hosts[name].plug(DATA)

    return strike


async def scratch_fills(site: Installation, seconds: float) -> None:
    """There is no room left where the workers keep dumps."""
    with contextlib.ExitStack() as full:
        for worker in site.workers.values():
            full.enter_context(_filled(worker.home))
        await asyncio.sleep(seconds)


async def data_fills(site: Installation, seconds: float) -> None:
    """There is no room left for the database, which may end over it, and is then started again."""
    cluster = site.cluster
    assert cluster is not None
    with _filled(cluster.data.parent):
        await asyncio.sleep(seconds)
    if cluster.pid is None:
        await asyncio.to_thread(cluster.start)


async def clocks_jump(site: Installation, seconds: float) -> None:
    """One worker's clock jumps an hour ahead, the other's an hour back; then both are put right."""
    for name, shift in (("w1", "+1h"), ("w2", "-1h")):
        clock_of(site.home, name).write_text(f"{shift}\n")
    await asyncio.sleep(seconds)
    for name in ("w1", "w2"):
        clock_of(site.home, name).write_text("+0\n")


FAULTS = (
    Fault("worker killed amid an analysis, never back", worker_dies),
    Fault("worker killed amid an analysis, started again", worker_dies_and_comes_back),
    Fault("bot killed amid an answer, started again", bot_dies, bot_works=True),
    Fault("database restarted, immediate", database_restarts),
    Fault("database killed with all it started, away 10 s", database_loses_power, 10),
    Fault("cable pulled: one worker - database, 30 s", cut("w1"), 30),
    Fault("cable pulled: all workers - database, 30 s", cut("w1", "w2"), 30),
    Fault("cable pulled: bot - database, 30 s", cut("bot"), 30, bot_works=True),
    Fault("cable pulled: everybody - database, 30 s", cut("bot", "w1", "w2"), 30, bot_works=True),
    Fault("disk of all workers full, 20 s", scratch_fills, 20, scratch_mb=120),
    Fault("disk of the database full, 20 s", data_fills, 20, data_mb=320),
    Fault("workers' clocks: +1 h and -1 h, 20 s", clocks_jump, 20, fake_time=True),
)


def clock_of(home: Path, name: str) -> Path:
    """The file that says how far a host's clock is off."""
    return home / f"clock-{name}"


@contextlib.contextmanager
def memory_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of this size at an empty directory, gone at the end."""
    place.mkdir(exist_ok=True)
    options = f"size={megabytes}m,mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


@contextlib.contextmanager
def _filled(place: Path) -> Iterator[None]:
    # Whatever is freed meanwhile is taken as well.
    filler, ended = place / "filler", asyncio.Event()

    async def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            while not ended.is_set():
                try:
                    file.write(bytes(1 << 16))
                except OSError:
                    with contextlib.suppress(OSError):
                        file.write(bytes(1 << 10))
                    await asyncio.sleep(0.02)

    filling = asyncio.get_running_loop().create_task(fill())
    try:
        yield
    finally:
        ended.set()
        filling.cancel()
        filler.unlink(missing_ok=True)


async def _amid_analysis(worker: BotProcess) -> None:
    # Its child has worked for a moment, so that it has its order and is not done.
    await until(lambda: worker.pid is not None and any(map(_is_busy, children_of(worker.pid))), MOMENT_SECONDS, POLL)


def _is_busy(process: int) -> bool:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > 0.15
    return False


def _half_told(site: Installation, store: Store) -> bool:
    # Something of ours stands in the thread of a job that the bot itself has in hand.
    bots = f"{site.hosts['bot'].name}:"
    jobs = (job for job in store.jobs.active() if job.kind == ANALYZE and (job.worker or "").startswith(bots))
    return any(
        any(map(part_of, site.slack.workspace.channels[job.payload["channel"]].thread(job.payload["ts"])))
        for job in jobs
    )


async def _killed(process: BotProcess) -> None:
    await process.kill()
    await asyncio.sleep(AWAY_SECONDS)
    await process.start()
