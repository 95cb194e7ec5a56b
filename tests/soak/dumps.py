"""Small dumps, each of its own, of a few failures; and what an answer to each must say."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.bot.server import Request, Server, reply
from tests.forge import forge

COMMENT = 0xFB0  # of the dump's header, which nothing reads
# What nobody who answers can leave out, by story.
SAID = {
    "seed": "rassstp.sys did not return",
    "chain": "kestrelav.sys did not return",
    "deadlock": "this stop was deliberate",
    "nolock": "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
    "nolock-7e": "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
    "irp": "qbusenum.sys did not return",
}


@dataclass(frozen=True, slots=True)
class Dumps:
    """One dump of each story, and where their symbols are."""

    contents: dict[str, bytes]
    symbols: Path

    @classmethod
    def forged(cls, directory: Path) -> "Dumps":
        """Write them."""
        contents = {}
        for story in SAID:
            forged = forge(story, kind="triage", build=19041)
            contents[story] = forged.write(directory / "forged.dmp").read_bytes()
            forged.write_isf(directory / "symbols")
        return cls(contents, directory / "symbols")

    def own(self, story: str, number: int) -> bytes:
        """The dump of a story, told apart by its comment."""
        content = self.contents[story]
        return content[:COMMENT] + number.to_bytes(8, "little") + content[COMMENT + 8 :]

    def offer(self, files: Server, story: str, number: int) -> str:
        """Put one on a server: its link."""

        async def answer(_request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(reply("200 OK", self.own(story, number)))
            await writer.drain()

        files.routes[f"/{story}-{number}.dmp"] = answer
        return files.url(f"/{story}-{number}.dmp")
