"""The main pages in a real browser, for the quick suite: nothing that people trip over. ``make pages`` looks at all."""

import asyncio
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Page, chromium
from tests.look.axe import axe
from tests.look.judging import accessible, by_keyboard, fits, skips, tells_at_once
from tests.look.stage import staged
from tests.look.views import SIZES, views
from tests.look.ways import ask_by_keyboard, no_script_runs, sign_in

MAIN = ("dashboard", "search-answer", "crash-whole", "failure-hostile")
HEAD = (
    "<!doctype html><html lang=en><title>A page</title><style>:focus-visible { outline: 3px solid blue }</style>"
    "<header><a href='#content'>Skip</a></header><main id=content tabindex=-1><h1>A page</h1>"
)
# What stands in a page, and what is to be said of it.
BAD = {
    "<p style='color: #888; background: #fff'>pale</p>": "axe: color-contrast",
    "<svg role=img><path d='M0 0'/></svg>": "axe: svg-img-alt",
    "<button></button>": "axe: button-name",
    "<p style='width: 2000px'>wide</p>": "sticks out: p wide",
    "<div style='width: 2000px'>wide</div>": "sticks out: the page itself",
    "<div class=verdict><h1 style='margin-top: 900px'>late</h1></div>": "not in the first screen: H1",
    "<a href='#x' style='outline: none'>where</a>": "a where shows no focus",
    "<a href='#x' tabindex=-1>no way</a>": "never reached: a no way",
    "<a href='#x'>one</a><a href='#y' tabindex=1>two</a>": "the order of Tab",
    "<a href='#x' style='position: fixed; top: -90px'>gone</a>": "a gone is out of sight",
    "<input id=trap onkeydown='event.preventDefault()'><a href='#x'>behind</a>": "never reached: a behind",
}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def checker() -> str:
    try:
        return axe()
    except LookupError as error:
        pytest.skip(str(error))


async def test_nobody_trips_over_the_main_pages(tmp_path: Path, checker: str) -> None:
    async with staged(tmp_path, kinds=("seed",)) as stage, chromium(tmp_path / "profile") as page:
        listed = {view.name: view for view in views(stage)}
        found = []
        await sign_in(page, stage)
        for size, dark, name in [("wide", False, name) for name in MAIN] + [("narrow", True, name) for name in MAIN]:
            view = listed[name]
            await page.resize(*SIZES[size])
            await page.shown_as(dark=dark)
            await page.open(view.url)
            problems = [*await accessible(page, checker), *await fits(page)]
            problems += await tells_at_once(page) if view.verdict else []
            found += [f"{name} {size}: {line}" for line in problems]
        found += [*await by_keyboard(page), *await skips(page)]
        assert (found, page.problems) == ([], [])
        await ask_by_keyboard(page, stage)
        await no_script_runs(page, stage)


@pytest.mark.slow
async def test_each_check_sees_what_it_is_there_for(tmp_path: Path, checker: str) -> None:
    async with chromium(tmp_path / "profile") as page:
        for body, said in BAD.items():
            await _open(page, tmp_path, body)
            found = [*await accessible(page, checker), *await fits(page), *await tells_at_once(page)]
            found += [*await by_keyboard(page)]
            await _open(page, tmp_path, body)
            found += await skips(page)
            assert any(said in line for line in found), (body, found)


async def _open(page: Page, directory: Path, body: str) -> None:
    file = directory / "bad.html"
    await asyncio.to_thread(file.write_text, HEAD + body)
    await page.open(file.as_uri())
