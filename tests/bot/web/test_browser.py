"""The pages in a real browser: drawn on a wide and a narrow screen, with nothing that sticks out or goes missing.

The screenshots stay where ``PILEUP_SCREENSHOTS`` says, for a person to look at.
"""

import asyncio
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bot.web.guard import Access
from bot.web.pages import create_site
from bot.web.running import open_socket, serve_pages
from tests.bot.web.documents import HOSTILE, full_document, with_texts
from tests.bot.web.sites import STORED, history
from tests.storage.samples import Clock

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HEIGHT, EDGE = 2400, 10
Pixels = NDArray[np.int64]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here"),
]


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    with history(tmp_path) as store:
        document = full_document()
        store.remember(with_texts(document, lambda text: text))
        document["dump"]["identity"] = "1:" + "f" * 64
        document["dump"]["sha256"] = None
        store.remember(with_texts(document, lambda _: HOSTILE[0] * 3))
        place, stop = open_socket("127.0.0.1", 0), asyncio.Event()
        serving = asyncio.create_task(serve_pages(create_site(store, Access(), Clock()), place, stop))
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
        stop.set()
        await serving


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("dashboard", "/"),
        ("search", "/crashes?q=have+we+seen+rassstp"),
        ("failure", "/groups/9f%2F4%20rassstp%20PiEngineLock"),
        ("crash", "/crashes/4"),
        ("hostile", "/crashes/5"),
        ("small", f"/crashes/{STORED}"),
    ],
)
async def test_a_page_fits_the_screen(address: str, tmp_path: Path, name: str, path: str, width: int) -> None:
    kept = Path(os.environ.get("PILEUP_SCREENSHOTS", tmp_path))
    picture = kept / f"{name}-{width}.png"
    command = [
        CHROMIUM or "", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},{HEIGHT}", f"--screenshot={picture}",
        f"{address}{path}",
    ]  # fmt: skip
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=90)
    pixels = read_png(picture.read_bytes())
    assert pixels.shape[:2] == (HEIGHT, width)
    below = pixels[HEIGHT // 8 :, :, :]  # the header of the site fills the whole width
    assert len(np.unique(below.reshape(-1, 3), axis=0)) > 20
    edge = below[:, -EDGE:, :]
    assert (edge == edge[-1, -1]).all()


def read_png(data: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG of 8 bits a channel without interlacing: rows, columns, red green blue."""
    width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
    channels = {2: 3, 6: 4}[colour]
    packed, place = b"", 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + length]
        place += length + 12
    raw = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + width * channels)
    rows = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.int64)
    for number, line in enumerate(raw):
        above = _unfiltered(int(line[0]), line[1:].reshape(width, channels).astype(np.int64), above)
        rows[number] = above
    return rows[:, :, :3]


def _unfiltered(kind: int, line: Pixels, above: Pixels) -> Pixels:
    if kind == 0:
        return line
    if kind == 1:
        return np.cumsum(line, axis=0) % 256
    if kind == 2:
        return (line + above) % 256
    done = np.zeros_like(line)
    left = corner = np.zeros(line.shape[1], np.int64)
    for column, (value, up) in enumerate(zip(line, above, strict=True)):
        guess = (left + up) // 2 if kind == 3 else _paeth(left, up, corner)
        left = done[column] = (value + guess) % 256
        corner = up
    return done


def _paeth(left: Pixels, up: Pixels, corner: Pixels) -> Pixels:
    guess = left + up - corner
    near, far, last = abs(guess - left), abs(guess - up), abs(guess - corner)
    chosen: Pixels = np.where((near <= far) & (near <= last), left, np.where(far <= last, up, corner))
    return chosen
