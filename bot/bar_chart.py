"""A small chart of bars as a PNG, by the program that draws pile-ups; and in words for those who do not see it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.picture import draw

HIGH, WIDE, STEP = 90, 26, 34  # points: the highest bar, a bar, from bar to bar
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Bar:
    """A count with its name, and the count of the period before, which is drawn thin beside it."""

    label: str
    count: int
    before: int


def bar_chart(bars: Sequence[Bar], legend: str) -> bytes | None:
    """The picture, with what its bars are below it; None where nothing can draw it."""
    return draw(_dot(bars, legend))


def described(bars: Sequence[Bar], before: str) -> str:
    """The same in words: "Mon 3 (1 before), Tue 0 (2)"."""
    return ", ".join(
        f"{bar.label} {bar.count} ({bar.before}{f' {before}' if not number else ''})" for number, bar in enumerate(bars)
    )


def sparkline(bars: Sequence[Bar]) -> str:
    """The bars as characters."""
    most = max((bar.count for bar in bars), default=0)
    return "".join(BLOCKS[bar.count * (len(BLOCKS) - 1) // most if most else 0] for bar in bars)


def _dot(bars: Sequence[Bar], legend: str) -> str:
    most = max((max(bar.count, bar.before) for bar in bars), default=0) or 1
    lines = [
        "digraph chart {",
        "  graph [layout=nop2, dpi=110, bgcolor=white, pad=0.15];",
        '  node [shape=box, style=filled, fixedsize=true, label="", fontname=Helvetica, fontsize=10, color="#44546a"];',
    ]
    for number, bar in enumerate(bars):
        left = number * STEP
        lines += [
            *_column(f"now{number}", left, WIDE - 10, bar.count * HIGH / most, "#44546a"),
            *_column(f"before{number}", left + 13, 7, bar.before * HIGH / most, "#c9d2de"),
            _text(f"n{number}", left, bar.count * HIGH / most + 8, str(bar.count)),
            _text(f"l{number}", left, -9, bar.label),
        ]
    lines.append(_text("legend", (len(bars) - 1) * STEP / 2, -26, legend))
    return "\n".join([*lines, "}", ""])


def _column(name: str, x: float, width: float, height: float, colour: str) -> list[str]:
    if height <= 0:
        return []
    place = f'pos="{x:.1f},{height / 2:.1f}", width={width / 72:.3f}, height={height / 72:.3f}'
    return [f'  {name} [{place}, fillcolor="{colour}"];']


def _text(name: str, x: float, y: float, words: str) -> str:
    place = f'pos="{x:.1f},{y:.1f}", width={STEP / 72:.3f}, height=0.18'
    return f'  {name} [{place}, shape=plaintext, style="", label="{words}"];'
