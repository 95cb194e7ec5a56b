"""The bot in a process of its own, as an installation runs it: started, killed, stopped; what it costs."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bot.sandbox import StandIn
from bot.sandbox.server import APP_TOKEN, BOT_TOKEN
from tests.bot.kit import SECRET, free_port, is_open, until

SERVE = "import sys; from bot.cli import main; sys.exit(main())"
START_SECONDS = 60.0
STOP_SECONDS = 60.0


@dataclass
class BotProcess:
    """``pileup serve`` against the stand-in; ``more`` are settings. What it logs is in ``home``, in ``bot.log``.

    ``prefix`` goes before the command, to run it on another host, whose address is ``address``.
    """

    slack: StandIn
    home: Path
    transport: str = "socket"
    more: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    prefix: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    children_seconds: float = 0.0
    own_seconds: float = 0.0
    peak_kb: int = 0
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> float:
        """Start it; the seconds until it takes events. Raises: TimeoutError, RuntimeError: it ended."""
        began = time.monotonic()
        before = len(self.slack.calls_of("apps.connections.open"))
        await self._launched("serve", lambda: self._hears(before))
        if self.transport == "http" and self.slack.deliveries.over_http is None:
            await self.slack.use_http(f"http://{self.address}:{self.port}/slack/events", SECRET)
        return time.monotonic() - began

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    @property
    def said(self) -> str:
        """What it has logged so far."""
        return (self.home / "bot.log").read_text(errors="replace")

    async def kill(self) -> None:
        """Kill it as an out-of-memory killer does."""
        self._note_cost()
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def stop(self) -> int | None:
        """Ask it to end; its exit status, None where it had to be killed."""
        self._note_cost()
        process = self._process
        if process is None or process.returncode is not None:
            return None if process is None else process.returncode
        process.terminate()
        try:
            return await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            await self.kill()
            return None

    async def _launched(self, command: str, is_there: Callable[[], bool]) -> None:
        with (self.home / "bot.log").open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *(*self.prefix, sys.executable, "-c", SERVE, command), env=self._environment(), stdout=log, stderr=log
            )
        await until(lambda: process.returncode is not None or is_there(), START_SECONDS)
        if process.returncode is not None:
            raise RuntimeError(f"pileup {command} ended with {process.returncode}:\n{self.said[-2000:]}")

    def _hears(self, opened_before: int) -> bool:
        if self.transport == "http":
            return is_open(self.port, self.address)
        is_new = len(self.slack.calls_of("apps.connections.open")) > opened_before
        return is_new and bool(self.slack.socket_mode.connections)

    def _environment(self) -> dict[str, str]:
        by_http = {
            "PILEUP_SLACK_SIGNING_SECRET": SECRET,
            "PILEUP_HTTP_PORT": str(self.port),
            "PILEUP_HTTP_ADDRESS": self.address,
        }
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PILEUP_")},
            "PILEUP_HOME": str(self.home / "home"),
            "PILEUP_SLACK_API_URL": self.slack.api_url,
            "PILEUP_SLACK_BOT_TOKEN": BOT_TOKEN,
            "PILEUP_ALLOW_PRIVATE_ADDRESSES": "true",
            "PILEUP_TRANSPORT": self.transport,
            **(by_http if self.transport == "http" else {"PILEUP_SLACK_APP_TOKEN": APP_TOKEN}),
            **self.more,
        }

    def _note_cost(self) -> None:
        # Of the process itself and of the children that it has waited for, as far as the system tells.
        if self._process is None or self._process.returncode is not None:
            return
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return
        own, children = (sum(map(int, fields[at : at + 2])) / os.sysconf("SC_CLK_TCK") for at in (11, 13))
        self.own_seconds += own
        self.children_seconds += children
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        self.peak_kb = max(self.peak_kb, int(peak.split()[1]))
