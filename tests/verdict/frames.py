"""Frames from printed symbols, as tests write them."""

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame
from analysis.trust import Trust

BASE = 0xFFFF_F800_1000_0000


def frame(symbol: str, trust: Trust = Trust.UNWIND, address: int = BASE) -> Frame:
    """A frame of a driver, of nt, or of no module ("0x…")."""
    name = symbol.partition("!")[0].partition("+")[0].lower()
    if name.startswith("0x"):
        return Frame(VirtAddr(int(name.replace("`", ""), 16)), symbol, None, trust)
    image = "ntoskrnl.exe" if name == "nt" else name if "." in name else f"{name}.sys"
    return Frame(VirtAddr(address), symbol, image, trust)


def stack(text: str, trust: Trust = Trust.UNWIND) -> tuple[Frame, ...]:
    """Frames of a stack written on one line, innermost first."""
    return tuple(frame(symbol, trust) for symbol in text.split())
