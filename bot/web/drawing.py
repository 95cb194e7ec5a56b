"""The pile-up as SVG inside a page: what the drawing program wrote, rebuilt from the few elements that a drawing needs.

Labels hold names from a dump. The program escapes them, but a page takes nobody's word for that: only listed elements
and attributes pass, links only to a place on the same page, and colours are left to the page's style sheet.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from markupsafe import Markup, escape

from analysis.verdict.report import Report
from bot.picture import draw_svg, wait_graph

_SPACE = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_PLACE = re.compile(r"#[a-z0-9-]{1,40}")
_NUMBERS = r"[-0-9a-zA-Z., ()]{1,4000}"  # coordinates, path commands and transforms
# Elements that a drawing is made of, with their attributes and what each may look like.
_ATTRIBUTES = {
    "g": {"class": "[a-z ]{1,40}", "transform": _NUMBERS},
    "path": {"d": _NUMBERS},
    "polygon": {"points": _NUMBERS},
    "polyline": {"points": _NUMBERS},
    "ellipse": dict.fromkeys(("cx", "cy", "rx", "ry"), _NUMBERS),
    "text": {"x": _NUMBERS, "y": _NUMBERS, "text-anchor": "start|middle|end", "font-size": "[0-9.]{1,8}"},
    "a": {},
}
_SCALE = 0.85  # the drawing is made for 110 dpi and large letters; a page's text is smaller
_MAX_DEPTH = 12
ROOM = 1200  # pixels across on a wide screen


@dataclass(frozen=True, slots=True)
class _Drawn:
    # ``width`` in pixels.
    svg: Markup
    width: int


def pile_up_svg(report: Report, links: Mapping[str, str]) -> Markup | None:
    """Who waits for whom as ``<svg>``; ``links`` are places on the page ("#s1") by thread address.

    There are two drawings, of which the style sheet shows one: from left to right where a wide screen has room for it,
    for a narrow screen whichever way is narrower. None where nobody waits, or where it cannot be drawn.
    """
    across, down = (_drawn(report, links, down=down) for down in (False, True))
    if across is None or down is None:
        return None
    narrow = min(down, across, key=lambda one: one.width)
    wide = across if across.width <= ROOM else narrow
    both = '<div class="on-wide">{}</div><div class="on-narrow">{}</div>'
    return Markup(both).format(wide.svg, narrow.svg)  # noqa: S704  # our own text


def _drawn(report: Report, links: Mapping[str, str], *, down: bool) -> _Drawn | None:
    dot = wait_graph(report, links, down=down)
    drawn = None if dot is None else draw_svg(dot)
    if drawn is None:
        return None
    # Not a foreign document: our own program's, of limited size, without entities of its own.
    root = ElementTree.fromstring(drawn)  # noqa: S314
    box = re.fullmatch(r"0\.00 0\.00 ([0-9.]+) ([0-9.]+)", root.get("viewBox", ""))
    if root.tag != f"{_SPACE}svg" or box is None:
        return None
    width, height = (round(float(side) * _SCALE) for side in box.groups())
    inner = Markup("").join(piece for child in root for piece in _safe(child, 0))
    svg = Markup(
        '<svg role="group" aria-label="Who waits for whom" viewBox="{}" width="{}" height="{}">{}</svg>'
    ).format(root.get("viewBox"), width, height, inner)
    return _Drawn(svg, width)


def _safe(element: ElementTree.Element, depth: int) -> Iterator[Markup]:
    name = element.tag.removeprefix(_SPACE) if isinstance(element.tag, str) else ""
    allowed = _ATTRIBUTES.get(name)
    if allowed is None or depth > _MAX_DEPTH or _is_paper(element):
        return
    attributes = [
        Markup(' {}="{}"').format(attribute, value)
        for attribute, value in element.attrib.items()
        if attribute in allowed and re.fullmatch(allowed[attribute], value)
    ]
    target = element.get(_LINK, "")
    if name == "a" and _PLACE.fullmatch(target):
        attributes.append(Markup(' href="{}"').format(target))
    body = escape(element.text or "") if name == "text" else Markup("")
    body += Markup("").join(piece for child in element for piece in _safe(child, depth + 1))
    yield Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(attributes), body)


def _is_paper(element: ElementTree.Element) -> bool:
    # The first polygon is the sheet that everything stands on.
    return element.get("fill") == "white" and element.get("stroke") == "none"
