"""Pages from templates: ``templates/web/pages/NAME.html.j2`` in, HTML out.

Whatever a template prints is escaped by Jinja, and stripped before of what draws nothing or turns the direction of
text around; nothing from a dump ever becomes an attribute that is obeyed (a target, a style, a name of an element).
"""

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from bot import wording
from bot.mrkdwn import visible
from bot.questions.naming import code_text
from bot.questions.trends import spike_words
from bot.web.lines import group_link, subject_link

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "web" / "pages"
STYLE_SHEET = TEMPLATES / "pages.css"
ICON = TEMPLATES / "icon.svg"


def page(name: str, /, **values: Any) -> str:
    """The page of one template.

    Raises:
        jinja2.UndefinedError: the template names a value that was not given.
    """
    return _environment().get_template(f"{name}.html.j2").render(**values)


@functools.cache
def style() -> Markup:
    """The style sheet, for a page that carries it inside."""
    return Markup(STYLE_SHEET.read_text("utf-8"))  # noqa: S704  # our own file


def policy_with_own_style() -> str:
    """The content security policy of a page that needs nothing but the style sheet inside it."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": wording.duration,
        "size": wording.size,
        "ordinal": wording.ordinal,
        "count": wording.count,
        "time": _time,
        "spike": spike_words,
        "group_link": group_link,
        "subject_link": _subject_link,
        "code": code_text,
        "breakable": _breakable,
    }
    return environment


def _printed(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


def _subject_link(name: str, kind: str) -> str:
    return subject_link(kind, name)


def _breakable(text: str) -> Markup:
    # Names as DRIVER_POWER_STATE_FAILURE are wider than a telephone: a line may end behind each underscore.
    return Markup("_<wbr>").join(escape(part) for part in visible(text).split("_"))


def _time(iso: str) -> Markup:
    # A page that runs no script cannot know the reader's zone: UTC, and said so.
    moment = wording.moment(iso)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M}"
    )
