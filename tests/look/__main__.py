"""``python -m tests.look [--only NAME]``: every page of the bot in Chromium, wide and narrow, light and dark, on paper.

Pictures go to build/screens. What is wrong is printed, and makes the exit status 1.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.browser import CHROMIUM, Page, chromium
from tests.look.axe import axe
from tests.look.judging import accessible, by_keyboard, fits, skips, tells_at_once
from tests.look.stage import staged
from tests.look.views import SIZES, View, views
from tests.look.ways import sign_in, ways

SCREENS = Path(__file__).parents[2] / "build" / "screens"
PAPER = 718  # CSS pixels between the margins of A4


async def look(only: str) -> int:
    """Look at every page; how many things are wrong."""
    checker = axe()
    SCREENS.mkdir(parents=True, exist_ok=True)
    wrong = looked = 0
    with tempfile.TemporaryDirectory(prefix="pileup-look-") as directory:
        home = Path(directory)
        async with staged(home) as stage, chromium(home / "profile") as page:
            signed_in = False
            for view in views(stage):
                if view.signed_in and not signed_in:
                    await sign_in(page, stage)
                    signed_in = True
                if only not in view.name:
                    continue
                found = await look_at(page, view, checker)
                looked += 1
                wrong += len(found)
                print(f"{view.name:20} {'clean' if not found else len(found)}", flush=True)
                for line in found:
                    print(f"    {line}")
            if not only:
                found = await ways(page, stage)
                wrong += len(found)
                print(f"{'ways':20} {'clean' if not found else len(found)}")
                for line in found:
                    print(f"    {line}")
    print(f"{looked} pages, {wrong} things wrong; pictures in {SCREENS}")
    return wrong


async def look_at(page: Page, view: View, checker: str) -> list[str]:
    """One page at every size, in both colours, on paper, by keyboard; what is wrong with it."""
    found: list[str] = []
    page.problems.clear()
    for size, (width, height) in SIZES.items():
        await page.resize(width, height)
        await page.shown_as()
        await page.open(view.url)
        for dark in (False, True):
            await page.shown_as(dark=dark)
            kind = f"{size}-{'dark' if dark else 'light'}"
            await page.picture(SCREENS / f"{view.name}-{kind}.png", "html")
            problems = [*await accessible(page, checker), *await fits(page)]
            if view.verdict:
                problems += await tells_at_once(page)
            if size == "narrow" and not dark:
                await page.picture(SCREENS / f"{view.name}-first.png")
            found += [f"{kind}: {line}" for line in problems]
        await page.shown_as()
        found += [f"{size}: {line}" for line in await by_keyboard(page)]
    found += await _on_paper(page, view)
    if await page.evaluate("document.querySelector('header.site') !== null"):
        await page.open(view.url)
        found += await skips(page)
    usual = f"status of {view.status}"  # the browser complains of every answer that is an error
    return found + [f"browser: {line}" for line in page.problems if view.status == 200 or usual not in line]


async def _on_paper(page: Page, view: View) -> list[str]:
    await page.resize(PAPER, 1000)
    await page.shown_as("print", dark=True)
    found = await fits(page)
    await page.picture(SCREENS / f"{view.name}-paper.png", "html")
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.shown_as()
    return [f"paper: {line}" for line in found] + ([] if dark == "rgb(255, 255, 255)" else [f"paper: it is {dark}"])


def main() -> None:
    """Look, or say why not."""
    parser = argparse.ArgumentParser(description="Look at the pages in Chromium.")
    parser.add_argument("--only", default="", help="pages whose names have this in them")
    only = parser.parse_args().only
    if CHROMIUM is None:
        sys.exit("no Chromium here: nothing was looked at")
    try:
        sys.exit(1 if asyncio.run(look(only)) else 0)
    except LookupError as error:
        sys.exit(f"nothing was looked at: {error}")


if __name__ == "__main__":
    main()
