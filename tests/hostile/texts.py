"""Pasted debugger output, as text of any kind."""

from collections.abc import Iterable
from pathlib import Path

from analysis.formats import RawFile
from analysis.formats.windbg import is_windbg_text, read_windbg
from analysis.kernel.printed import read_printed
from tests.windbg.texts import EXAMPLES

_LONGEST = 3000


def check_text(data: bytes, scratch: Path) -> None:
    """Read it as a debugger's output, if it is one, and make the scene of it."""
    scratch.write_bytes(data)
    with RawFile(scratch) as raw:
        if not is_windbg_text(raw):
            return
        text = read_windbg(raw)
        assert all(0 <= module.start < module.end for module in text.modules)
        scene = read_printed(raw, text)
        assert all(str(thread) for thread in scene.facts.threads)


def texts() -> Iterable[bytes]:
    """The start of each example; one as UTF-16, one quoted."""
    for text in EXAMPLES.values():
        yield text[:_LONGEST].encode()
    first = next(iter(EXAMPLES.values()))[:_LONGEST]
    yield first.encode("utf-16")
    yield "".join(f"> {line}\n" for line in first.replace("<", "&lt;").splitlines()).encode()
