"""Links that are no dump: each gets one clear line in its thread, in time, and nothing else breaks.

The real download and the real analysis child run here.
"""

import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox import StandIn
from tests.bot.kit import ANNA, BOT, CRASHES, bot, is_done, replies, until
from tests.bot.server import endless, page, redirect, serving, status

LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>"
HEADER = bytearray(struct.pack("<8sII", b"PAGEDU64", 15, 19041) + b"PAGE" * 2044)
HEADER[0x30:0x34] = struct.pack("<I", 0x8664)  # MachineImageType
HEADER[0xF98:0xF9C] = struct.pack("<I", 1)  # DumpType: full
RANDOM = bytes(range(7, 251)) * 4000

INPUTS = {
    "missing": (status("404 Not Found"), ["404"]),
    "forbidden": (status("403 Forbidden"), ["403"]),
    "login": (page(LOGIN, "Content-Type: text/html"), ["HTML", "login"]),
    "empty": (page(b""), ["empty"]),
    "four": (page(b"PAGE"), ["4 bytes"]),
    "truncated": (page(bytes(HEADER[:0x1000])), ["cut off"]),
    "header": (page(bytes(HEADER)), ["cut short", "Confidence: none"]),
    "random": (page(RANDOM), ["not known"]),
    "large": (page(b"PAGEDU64" * 200_000), ["size cap", "1 MB"]),
    "slow": (endless(), ["3 s"]),
    "elsewhere": (redirect("http://169.254.169.254/x.dmp"), ["169.254.169.254"]),
    "text": (page(b"Release notes\n" * 500, "Content-Type: text/plain"), ["text"]),
}


@pytest.fixture
async def slack() -> AsyncIterator[StandIn]:
    async with StandIn() as stand_in:
        yield stand_in


async def test_each_bad_input_gets_one_clear_line(slack: StandIn, tmp_path: Path) -> None:
    routes = {name: answer for name, (answer, _) in INPUTS.items()}
    limits: dict[str, Any] = {"max_download": "1MB", "download_seconds": 3, "download_attempts": 1, "workers": 4}
    async with serving(**routes) as files, bot(slack, tmp_path, None, **limits):
        said = {name: slack.workspace.say(CRASHES, ANNA, f"{BOT} {files.url('/' + name)}") for name in INPUTS}
        for parent in said.values():
            await until(lambda parent=parent: is_done(slack, parent), 60)  # type: ignore[misc]  # bound at once
        for name, (_, words) in INPUTS.items():
            reply, *details = replies(slack, said[name])
            assert bool(details) == (name == "header"), "a sound header alone still gives a partial report"
            assert "\n" not in reply.text
            assert len(reply.text) < 250
            assert "Traceback" not in reply.text
            for word in words:
                assert word.lower() in reply.text.lower(), (name, reply.text)
