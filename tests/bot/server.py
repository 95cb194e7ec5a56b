"""A small web server with a route for each way a download can go wrong. It counts what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

BODY = bytes(range(256)) * 4096  # 1 MiB

Answer = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    path: str
    headers: dict[str, str]


@dataclass
class Server:
    port: int = 0
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)
    routes: dict[str, Answer] = field(default_factory=dict)
    handlers: set["asyncio.Task[None]"] = field(default_factory=set)

    def url(self, path: str, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}{path}"

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.handle(reader, writer))
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
            request = Request(lines[0].split()[1], headers)
            self.requests.append(request)
            answer = self.routes.get(request.path.partition("?")[0], status("404 Not Found"))
            await answer(request, writer)


@asynccontextmanager
async def serving(host: str = "127.0.0.1", /, **routes: Answer) -> AsyncIterator[Server]:
    """Serve ``/name`` for each route until the block ends."""
    server = Server(host=host, routes={f"/{name}": answer for name, answer in routes.items()})
    listener = await asyncio.start_server(server.connected, host, 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for handler in server.handlers:
            handler.cancel()
        await asyncio.gather(*server.handlers, return_exceptions=True)
        await asyncio.sleep(0)


def reply(head: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def status(line: str, *headers: str) -> Answer:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply("\r\n".join([line, *headers])))
        await writer.drain()

    return answer


def page(body: bytes, *headers: str) -> Answer:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply("\r\n".join(["200 OK", *headers]), body))
        await writer.drain()

    return answer


def tagged(body: bytes, tag: str) -> Answer:
    """Says 304 to who knows the tag."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        known = request.headers.get("if-none-match") == tag
        head = f"304 Not Modified\r\nETag: {tag}" if known else f"200 OK\r\nETag: {tag}"
        writer.write(reply(head, b"" if known else body))
        await writer.drain()

    return answer


def redirect(target: str) -> Answer:
    return status("302 Found", f"Location: {target}")


def broken(first: int, *, tag: str | None = '"v1"', ranges: bool = True) -> Answer:
    """Breaks off after ``first`` bytes, then goes on from there if it is asked to (and may)."""
    tries = [0]

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        tries[0] += 1
        etag = f"ETag: {tag}\r\n" if tag else ""
        start = int(request.headers.get("range", "bytes=0-")[6:].partition("-")[0])
        if tries[0] == 1:
            writer.write(f"HTTP/1.1 200 OK\r\n{etag}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:first])
        elif start and ranges:
            rest = BODY[start:]
            span = f"Content-Range: bytes {start}-{len(BODY) - 1}/{len(BODY)}"
            writer.write(
                f"HTTP/1.1 206 Partial Content\r\n{span}\r\nContent-Length: {len(rest)}\r\n\r\n".encode() + rest
            )
        else:
            writer.write(reply("200 OK", BODY))
        await writer.drain()

    return answer


def dropping(most: int, validator: str = 'ETag: "v1"') -> Answer:
    """Breaks off after so many bytes of every answer, and goes on from there if it is asked to."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        start = int(request.headers.get("range", "bytes=0-")[6:].partition("-")[0])
        rest = BODY[start:]
        line = "206 Partial Content" if start else "200 OK"
        span = f"Content-Range: bytes {start}-{len(BODY) - 1}/{len(BODY)}\r\n" if start else ""
        head = f"HTTP/1.1 {line}\r\n{validator}\r\n{span}Content-Length: {len(rest)}\r\n\r\n"
        writer.write(head.encode() + rest[:most])
        await writer.drain()

    return answer


def endless(every: float = 0.01, chunk: bytes = b"x" * 100) -> Answer:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(every)

    return answer


def silent() -> Answer:
    async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome")
        await writer.drain()
        await asyncio.sleep(30)

    return answer
