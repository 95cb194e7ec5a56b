"""Small charts as SVG: bars without script, sized by attributes, coloured by the page's style sheet."""

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

from bot.wording import count as counted

HEIGHT, STEP, BAR = 60, 12, 9


def bars(days: Sequence[tuple[date, int]], label: str, unit: str = "day") -> Markup:
    """One bar a day, or a week, told in words for those who do not see it, with the number on each bar as its title."""
    most = max((count for _, count in days), default=0)
    drawn = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>').format(
            place * STEP, HEIGHT - height, BAR, height, day.isoformat(), count
        )
        for place, (day, count) in enumerate(days)
        if (height := round(count * HEIGHT / most) or int(count > 0) if most else 0)
    )
    width = max(len(days) * STEP, STEP)
    said = f"{label}: {sum(count for _, count in days)} in {counted(len(days), unit)}, at most {most} a {unit}"
    return Markup(
        '<svg class="bars" role="img" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}">'
        '<path d="M0 {}H{}"/>{}</svg>'
    ).format(said, width, HEIGHT + 1, width, HEIGHT + 1, HEIGHT, width, drawn)
