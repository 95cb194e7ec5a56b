"""Ways through the site, gone as people go them: signing in, asking by keyboard, without script, uploading, leaving."""

import asyncio
from datetime import timedelta

from bot.web import links
from tests.bot.web.sites import SECRET
from tests.browser import Page
from tests.look.gallery import OPEN
from tests.look.stage import Stage

MAX_STOPS = 12  # of the Tab key until the field of the search


async def sign_in(page: Page, stage: Stage) -> None:
    """From a page that is not for strangers over the issuer's and back to that very page. Raises: TimeoutError."""
    await page.open(f"{stage.site}/crashes/1")
    await page.press("a", "Sign in with Slack")
    await page.press("#allow")
    await page.until("location.pathname === '/crashes/1' && document.readyState === 'complete'")
    await page.see("Sign out", "header")
    page.problems.clear()  # that the first page was refused


async def ask_by_keyboard(page: Page, stage: Stage) -> None:
    """From the front page to a crash that a question finds, without a mouse. Raises: TimeoutError, AssertionError."""
    await page.open(f"{stage.site}/")
    await _tab_to(page, "document.activeElement.id === 'q'", MAX_STOPS)
    await page.call("Input.insertText", text="have we seen rassstp?")
    await page.key("Enter")
    await page.see("rassstp.sys was seen", "main")
    await _tab_to(page, "document.activeElement.pathname?.startsWith('/crashes/')", 2 * MAX_STOPS)
    await page.key("Enter")
    await page.see("Confidence:", ".verdict")


async def follow_the_drawing(page: Page, stage: Stage) -> None:
    """From a thread in the drawing to its stack, which opens. Raises: TimeoutError."""
    await page.open(f"{stage.site}/crashes/{stage.gallery.crashes['seed']}")
    await page.press(".drawing a text")
    await page.until("document.querySelector('details:has(:target)')?.open")


async def without_script(page: Page, stage: Stage) -> None:
    """The same pages in a browser that runs no script at all. Raises: TimeoutError."""
    await page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        await ask_by_keyboard(page, stage)
        await page.press("details:not([open]) > summary")
        await page.press("a", "all crashes of this failure")
        await page.see("The last four weeks", "h2")
        await page.press("nav a", "Pileup")
        await page.see("Crashes at a glance", "h1")
    finally:
        await page.call("Emulation.setScriptExecutionDisabled", value=False)


async def no_script_runs(page: Page, stage: Stage) -> None:
    """What somebody might get into a page does not run there: the browser says that the policy forbids it."""
    await page.open(f"{stage.site}/")
    await page.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.evil = 1';"
        "document.body.append(s); "
        "document.body.insertAdjacentHTML('beforeend', `<img src='/static/icon.svg' onload='window.evil = 2'>`); })()"
    )
    async with asyncio.timeout(10):
        while sum("Content Security Policy" in line for line in page.problems) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await page.evaluate("window.evil === undefined")
    page.problems.clear()


async def upload(page: Page, stage: Stage) -> None:
    """A file is chosen, sent, and waits for its turn. Raises: TimeoutError."""
    dump = stage.file.with_name("MINI.DMP")
    await asyncio.to_thread(dump.write_bytes, b"MDMP" + bytes(5000))
    await page.open(f"{stage.site}/upload")
    root = await page.call("DOM.getDocument")
    found = await page.call("DOM.querySelector", nodeId=root["root"]["nodeId"], selector="#dump")
    await page.call("DOM.setFileInputFiles", files=[str(dump)], nodeId=found["nodeId"])
    await page.press("button", "Upload and analyze")
    await page.see("waits for its turn", "main")


async def leave(page: Page, stage: Stage) -> None:
    """Signing out, after which a link from Slack still opens what was told in its channel, and nothing else."""
    await page.open(f"{stage.site}/")
    await page.press("button", "Sign out")
    await page.see("Sign in with Slack", "main")
    number = stage.gallery.crashes["seed"]
    token = links.sign(SECRET, OPEN, stage.now + timedelta(days=1))
    await page.open(f"{stage.site}/open/{token}/{number}")
    await page.see("Confidence:", ".verdict")
    await page.open(f"{stage.site}/crashes/{stage.gallery.crashes['private']}")
    await page.see("There is no such page", "main")


async def _tab_to(page: Page, condition: str, most: int) -> None:
    for _ in range(most):
        await page.key("Tab")
        if await page.evaluate(condition):
            return
    raise AssertionError(f"not reached with {most} times Tab: {condition}")


WAYS = (ask_by_keyboard, follow_the_drawing, without_script, no_script_runs, upload, leave)


async def ways(page: Page, stage: Stage) -> list[str]:
    """Every way, for who signed in; what went wrong on it."""
    wrong = []
    for way in WAYS:
        await page.resize(1280, 900)
        try:
            await way(page, stage)
        except (TimeoutError, AssertionError) as error:
            wrong.append(f"{way.__name__}: {type(error).__name__} {error}")
    return wrong
