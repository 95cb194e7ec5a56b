"""A page in headless Chromium, driven as a person drives it: over Chromium's own DevTools protocol, with no package.

Source: chromedevtools.github.io/devtools-protocol.
"""

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
START_SECONDS, WAIT_SECONDS = 60.0, 20.0
STILL_SECONDS = 0.15  # what did not move for so long stands still
KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Space": (32, " ")}  # virtual key code, and what it types


class Page:
    """One tab. ``css`` names an element; ``text``, where given, is what it must hold in words."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.problems: list[str] = []  # what the browser complained of: script errors, refused requests

    async def open(self, url: str) -> None:
        """Load a page and wait until it is there."""
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def see(self, text: str, css: str = "body") -> None:
        """Wait until words stand there. Raises: TimeoutError."""
        await self.until(f"({_FIND})({json.dumps(css)}, {json.dumps(text)}) !== undefined")

    async def press(self, css: str, text: str = "") -> None:
        """Click an element with the mouse, once it is there and stands still. Raises: TimeoutError."""
        before, place = None, await self._place(css, text)
        async with asyncio.timeout(WAIT_SECONDS):
            while place is None or place != before:
                await asyncio.sleep(STILL_SECONDS)
                before, place = place, await self._place(css, text)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def _place(self, css: str, text: str) -> Any:
        return await self.evaluate(
            f"(() => {{ const e = ({_FIND})({json.dumps(css)}, {json.dumps(text)}); if (!e) return null;"
            "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
            "return [b.left + b.width / 2, b.top + b.height / 2]; })()"
        )

    async def write(self, css: str, text: str) -> None:
        """Put the cursor into a field and type over what stands there. Raises: TimeoutError."""
        await self.press(css)
        await self.evaluate("document.activeElement.select?.()")
        await self.call("Input.insertText", text=text)

    async def choose(self, css: str, label: str) -> None:
        """Choose an option of a list by what it says. Raises: TimeoutError."""
        await self.until(f"({_FIND})({json.dumps(css)}, '') !== undefined")
        done = await self.evaluate(
            f"(() => {{ const list = document.querySelector({json.dumps(css)});"
            f"const one = [...list.options].find((o) => o.text === {json.dumps(label)}); if (!one) return false;"
            "one.selected = true; list.dispatchEvent(new Event('change', {bubbles: true})); return true; })()"
        )
        assert done, f"{css} has no option {label}"

    async def enter(self) -> None:
        """Press the enter key."""
        await self.key("Enter")

    async def key(self, name: str, *, shift: bool = False) -> None:
        """Press a key: Enter, Tab or Space."""
        number, text = KEYS[name]
        about = {"key": text if name == "Space" else name, "code": name, "windowsVirtualKeyCode": number}
        typed = {"text": text} if text else {}
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, modifiers=8 * shift, **about, **typed)

    async def until(self, condition: str) -> None:
        """Wait for an expression to become true. Raises: TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not await self.evaluate(condition):  # noqa: ASYNC110  # the page is a process of its own
                await asyncio.sleep(0.05)

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    async def picture(self, path: Path, css: str | None = None) -> None:
        """A PNG of the window, or of one element ("html": the whole page) at its full height."""
        clip: dict[str, Any] = {}
        if css is not None:
            box = await self.evaluate(
                f"(() => {{ const b = document.querySelector({json.dumps(css)}).getBoundingClientRect();"
                "return {x: b.x, y: b.y, width: b.width, height: b.height, scale: 1}; })()"
            )
            clip = {"clip": box, "captureBeyondViewport": True}
        shot = await self.call("Page.captureScreenshot", format="png", **clip)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def resize(self, width: int, height: int) -> None:
        """Make the window of this size, in pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def shown_as(self, medium: str = "", *, dark: bool = False) -> None:
        """Draw pages for the screen or, with ``medium`` "print", for paper; for people who like it light or dark."""
        wish = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", media=medium, features=[wish])

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result. Raises: AssertionError: the browser refuses it."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], WAIT_SECONDS)
        del self._answers[number]
        assert "error" not in answer, f"{method}: {answer.get('error')}"
        return dict(answer["result"])

    async def listen(self) -> None:
        """Hand out answers, until the connection ends."""
        async for frame in self._socket:
            said = json.loads(frame.data)
            waiting = self._answers.get(said.get("id", 0))
            if waiting is not None:
                waiting.set_result(said)
            elif said.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(said["params"]["exceptionDetails"])[:300])
            elif said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
                self.problems.append(said["params"]["entry"]["text"])


@asynccontextmanager
async def chromium(profile: Path, width: int = 1280, height: int = 900) -> AsyncIterator[Page]:
    """A page in a browser of its own, which ends with the block. ``profile`` is an empty directory for it."""
    process = await asyncio.create_subprocess_exec(
        CHROMIUM or "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--remote-debugging-port=0", "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}",
        "about:blank", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(await _tab(session, port), max_msg_size=0) as socket,
        ):
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            for domain in ("Page", "Runtime", "Log"):
                await page.call(f"{domain}.enable")
            await page.resize(width, height)
            yield page
            await socket.close()
            await listening
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _port(file: Path) -> int:
    async with asyncio.timeout(START_SECONDS):
        while not (file.exists() and file.read_text().strip()):  # noqa: ASYNC110, ASYNC240  # two lines
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])  # noqa: ASYNC240


async def _tab(session: aiohttp.ClientSession, port: int) -> str:
    async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
        return next(str(tab["webSocketDebuggerUrl"]) for tab in await answer.json() if tab["type"] == "page")


# The last one of the elements so named that holds the words.
_FIND = (
    "(css, text) => [...document.querySelectorAll(css)].filter((e) =>"
    " (e.innerText ?? e.value ?? '').includes(text)).at(-1)"
)
