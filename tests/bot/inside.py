"""The bot in a network that is all loopback, with a public address of its own: who can lead it inside?

Run in a network namespace of its own (``unshare -rn``). Prints a JSON object: what the bot said to each link, and
which paths were asked for.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bot.sandbox import StandIn
from tests.bot.kit import ANNA, BOT, CRASHES, Analyst, bot, dump, is_done, replies, until
from tests.bot.server import page, redirect, serving

PUBLIC = "93.184.216.34"
INNER = (
    "127.0.0.1", "localhost", "10.1.2.3", "192.168.7.7", "172.16.5.5", "100.64.1.1", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:10.1.2.3]", "2130706433", "169.254.169.254",
)  # fmt: skip


async def main() -> dict[str, Any]:
    """Post a good link, then one to each inner address, straight and by a redirect."""
    for address in (PUBLIC, "10.1.2.3", "192.168.7.7", "172.16.5.5", "100.64.1.1", "169.254.169.254"):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)  # noqa: ASYNC221
    routes = {"good.dmp": page(dump("seed")), "secret.dmp": page(dump("seed", 2))}
    said: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as home:
        async with StandIn() as slack, serving("0.0.0.0", **routes) as files:
            async with bot(slack, Path(home), Analyst(), allow_private_addresses=False, download_attempts=1) as _:
                posted = {"good": slack.workspace.say(CRASHES, ANNA, f"{BOT} {files.url('/good.dmp', PUBLIC)}")}
                for number, host in enumerate(INNER):
                    target = files.url("/secret.dmp", host)
                    files.routes[f"/{number}"] = redirect(target)
                    posted[host] = slack.workspace.say(CRASHES, ANNA, f"{BOT} {target}")
                    by_way = files.url(f"/{number}", PUBLIC)
                    posted[f"redirect to {host}"] = slack.workspace.say(CRASHES, ANNA, f"{BOT} {by_way}")
                await until(lambda: all(is_done(slack, parent) for parent in posted.values()), 40)
                said = {name: replies(slack, parent)[0].text for name, parent in posted.items()}
            asked = sorted(request.path for request in files.requests)
    return {"said": said, "asked": asked}


if __name__ == "__main__":
    json.dump(asyncio.run(main()), sys.stdout)
