"""A whole installation on hosts of its own: Slack's stand-in, a server with dumps, PostgreSQL, a bot, workers.

Slack and the dumps are reached over the first bridge, the database over the second, so that a host can be cut off from
either alone. Here, beside both bridges, stand Slack, the dumps and the cluster.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox import Channel, Faults, StandIn
from storage.store import Store
from tests import postgres
from tests.bot.server import Server, serving
from tests.bot_process import BotProcess
from tests.fleet import network
from tests.fleet.network import Host, Network
from tests.soak.dumps import Dumps
from tests.soak.posting import Run

WORLD, DATA = 0, 1  # the bridges


class WorkerProcess(BotProcess):
    """``pileup worker`` against the stand-in and the bot's database."""

    async def start(self) -> float:
        """Start it; the seconds until it takes jobs. Raises: TimeoutError, RuntimeError: it ended."""
        began, before = time.monotonic(), self.said.count("working as") if (self.home / "bot.log").exists() else 0
        await self._launched("worker", lambda: self.said.count("working as") > before)
        return time.monotonic() - began


@dataclass
class Installation:
    """What stands there. ``workers`` by the name of their host."""

    home: Path
    slack: StandIn
    files: Server
    dumps: Dumps
    run: Run
    database: str
    settings: dict[str, str]
    hosts: dict[str, Host] = field(default_factory=dict)
    cluster: postgres.Cluster | None = None
    bot: BotProcess = field(init=False)
    workers: dict[str, WorkerProcess] = field(default_factory=dict)

    def put_bot(self, workers: int, host: str | None = None, **more: str) -> BotProcess:
        """The bot, which works on so many dumps itself; not started yet."""
        self.bot = BotProcess(
            self.slack, self._place("bot"), more=self._settings(workers, more), prefix=self._prefix(host)
        )
        return self.bot

    def put_worker(
        self, host: str, home: Path | None = None, after: tuple[str, ...] = (), **more: str
    ) -> WorkerProcess:
        """A worker for one dump at a time on a host; not started yet. ``after`` comes between the words that lead to
        the host and the command."""
        made = self.workers[host] = WorkerProcess(
            self.slack,
            home or self._place(host),
            more=self._settings(1, more),
            prefix=(*self._prefix(host), *after),
        )
        return made

    async def start(self) -> None:
        """Start the bot and all workers."""
        await asyncio.gather(self.bot.start(), *(worker.start() for worker in self.workers.values()))

    async def stop(self) -> list[int | None]:
        """Stop them; their exit statuses, the bot's first."""
        return list(await asyncio.gather(self.bot.stop(), *(worker.stop() for worker in self.workers.values())))

    def open(self) -> Store:
        """Its history."""
        return Store.open(self.database if self.cluster else self.home / "site.sqlite")

    def channels(self, count: int) -> tuple[str, ...]:
        """So many public channels of their own."""
        place = self.slack.workspace
        made = [Channel(f"C0FLEET{number:03}", f"fleet-{number}", set(place.users)) for number in range(count)]
        place.channels |= {channel.id: channel for channel in made}
        return tuple(channel.id for channel in made)

    def _place(self, name: str) -> Path:
        place = self.home / name
        place.mkdir(exist_ok=True)
        return place

    def _settings(self, workers: int, more: Mapping[str, str]) -> dict[str, str]:
        return {**self.settings, "PILEUP_WORKERS": str(workers), **more}

    def _prefix(self, host: str | None) -> tuple[str, ...]:
        return () if host is None else self.hosts[host].prefix


def unavailable() -> str | None:
    """Why there can be no such site here; None when there can."""
    return network.unavailable() or postgres.unavailable()


@asynccontextmanager
async def alone(faults: Faults | None = None, seed: int = 7) -> AsyncIterator[Installation]:
    """Everything on this host, history in a file."""
    with tempfile.TemporaryDirectory(prefix="pileup-site-") as directory:
        home = Path(directory)
        async with _standing(home, f"sqlite:///{home / 'site.sqlite'}", "127.0.0.1", faults, seed) as site:
            yield site


@asynccontextmanager
async def spread(
    hosts: tuple[str, ...],
    faults: Faults | None = None,
    seed: int = 7,
    directory: Path | None = None,
    *,
    careless: bool = False,
) -> AsyncIterator[Installation]:
    """Everything on hosts of these names, history in a cluster of its own, whose files are in ``directory``."""
    with (
        tempfile.TemporaryDirectory(prefix="pileup-site-") as place,
        network.network(hosts, bridges=2) as net,
        _cluster(net, directory, careless) as cluster,
    ):
        async with _standing(Path(place), cluster.create(), net.addresses[WORLD], faults, seed) as site:
            site.hosts, site.cluster = net.hosts, cluster
            yield site


@contextmanager
def _cluster(net: Network, directory: Path | None, careless: bool) -> Iterator[postgres.Cluster]:
    made = postgres.Cluster(
        host=net.addresses[DATA], reached_from=net.subnets[DATA], directory=directory, careless=careless
    )
    with made:
        yield made


@asynccontextmanager
async def _standing(
    home: Path, database: str, address: str, faults: Faults | None, seed: int
) -> AsyncIterator[Installation]:
    dumps = await asyncio.to_thread(Dumps.forged, home)
    async with StandIn(faults=faults, host=address) as slack, serving(address) as files:
        run = Run(slack, random.Random(seed))
        slack.workspace.listeners.append(run.changed)
        settings = {
            "PILEUP_DATABASE_URL": database,
            "PILEUP_SYMBOLS": str(dumps.symbols),
            "NO_PROXY": address,
            "no_proxy": address,
        }
        site = Installation(home, slack, files, dumps, run, database, settings)
        try:
            yield site
        finally:
            if hasattr(site, "bot"):
                await site.stop()
