"""A reverse proxy that adds a delay to every request: ``python -m tests.bench.proxy PORT SECONDS`` prints its port.

It stands before a web server on loopback, as a gateway or a far link stands before a file server: a process of its own,
with connections of its own behind it. Each request waits before it goes on; answers pass as they come.
"""

import asyncio
import sys
from contextlib import closing, suppress

PIECE = 1 << 18


async def _main(port: int, delay: float) -> None:
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_pass_on(reader, writer, port, delay))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async with await asyncio.start_server(connected, "127.0.0.1", 0, limit=PIECE) as listener:
        print(listener.sockets[0].getsockname()[1], flush=True)
        await listener.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, delay: float) -> None:
    # One client's requests, one after another, over one connection behind.
    behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
    with suppress(ConnectionError, asyncio.IncompleteReadError), closing(writer), closing(behind_writer):
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(delay)
            behind_writer.write(request)
            await behind_writer.drain()
            head = await behind_reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            left = _length(head)
            while left:
                data = await behind_reader.read(min(left, PIECE))
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                left -= len(data)


def _length(head: bytes) -> int:
    lines = head.decode("latin-1").lower().split("\r\n")
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))
