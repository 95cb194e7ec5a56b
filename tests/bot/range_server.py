"""A web server for a file of any size, read from the disk range by range, with the ways in which such servers lie.

``python -m tests.bot.range_server FILE`` serves it until it is killed and prints its port: a process of its own, so
that a benchmark's client does not share its processor time with its server.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

PIECE = 1 << 18


@dataclass
class RangeServer:
    """Serves ``path`` at any address. Counts what it sent; ``delay`` seconds pass before each answer."""

    path: Path
    delay: float = 0.0
    tag: str | None = '"v1"'
    changed: float | None = 1_600_000_000.0
    ranges: bool = True
    more: tuple[str, ...] = ()
    # Called for each ranged request with its number, first and last byte; may change self, or answer by itself.
    lie: Callable[[int, int, int], bytes | None] | None = None
    port: int = 0
    heard: int = 0
    waiting: int = 0  # requests that are heard and not answered yet
    most_waiting: int = 0
    sent: int = 0
    asked: list[tuple[int, int] | None] = field(default_factory=list)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"http://127.0.0.1:{self.port}/memory.dmp"

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client came."""
        task = asyncio.create_task(self._talk(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError), closing(writer):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                self.heard += 1
                self.waiting += 1
                self.most_waiting = max(self.most_waiting, self.waiting)
                try:
                    await asyncio.sleep(self.delay)
                    await self._answer(headers, writer)
                finally:
                    self.waiting -= 1

    async def _answer(self, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        size = self.path.stat().st_size
        known = headers.get("if-range")
        span = headers.get("range") if self.ranges and known in (None, self.tag, self._date(lower=True)) else None
        if span is None:
            self.asked.append(None)
            await self._send(writer, "200 OK", (), 0, size)
            return
        first_text, _, last_text = span.removeprefix("bytes=").partition("-")
        first, last = int(first_text), min(int(last_text or size), size - 1)
        self.asked.append((first, last))
        answer = self.lie(len(self.asked), first, last) if self.lie is not None else None
        if answer is not None:
            writer.write(answer)
            await writer.drain()
            if b"Content-Length: -" in answer or answer == b"":
                raise ConnectionError
            return
        if first >= size:
            await self._send(writer, "416 Range Not Satisfiable", (f"Content-Range: bytes */{size}",), 0, 0)
            return
        about = (f"Content-Range: bytes {first}-{last}/{size}",)
        await self._send(writer, "206 Partial Content", about, first, last + 1 - first)

    async def _send(
        self, writer: asyncio.StreamWriter, status: str, about: tuple[str, ...], offset: int, count: int
    ) -> None:
        date = self._date()
        own = [f"ETag: {self.tag}"] if self.tag else []
        own += [f"Last-Modified: {date}"] if date else []
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {count}", f"Date: {formatdate(usegmt=True)}", *about, *own)
        writer.write("\r\n".join((*lines, *self.more, "", "")).encode())
        with self.path.open("rb") as file:
            file.seek(offset)
            while count:
                data = file.read(min(count, PIECE))
                writer.write(data)
                await writer.drain()
                count -= len(data)
                self.sent += len(data)

    def _date(self, *, lower: bool = False) -> str | None:
        date = None if self.changed is None else formatdate(self.changed, usegmt=True)
        return date.lower() if date and lower else date


@asynccontextmanager
async def serving_ranges(server: RangeServer) -> AsyncIterator[RangeServer]:
    """Serve until the block ends."""
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def _main() -> None:
    async with serving_ranges(RangeServer(Path(sys.argv[1]))) as server:
        print(server.port, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):  # each line asks for the counts
            print(len(server.asked), server.sent, flush=True)
            server.asked.clear()
            server.sent = 0


if __name__ == "__main__":
    asyncio.run(_main())
