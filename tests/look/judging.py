"""What a machine can tell of a page that people would trip over. Each check gives a line for each thing it found."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from tests.browser import Page

Check = Callable[[Page], Coroutine[Any, Any, list[str]]]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
MAX_STOPS = 600  # of the Tab key on one page


async def accessible(page: Page, axe: str) -> list[str]:
    """Violations of the Web Content Accessibility Guidelines 2.2 AA and of good practice, as axe-core finds them."""
    await page.evaluate(f"void (() => {{ {axe} }})()")
    options = json.dumps({"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]})
    found = await page.evaluate(f"axe.run(document, {options}).then((r) => JSON.stringify(r.violations.map({_BRIEF})))")
    return [f"axe: {one}" for one in json.loads(found)]


async def fits(page: Page) -> list[str]:
    """What sticks out to the right of the window, so that people must scroll sideways for it."""
    found = await page.evaluate(_OUTSIDE)
    return [f"sticks out: {one}" for one in found]


async def tells_at_once(page: Page) -> list[str]:
    """A verdict that is not to be read without scrolling."""
    below = await page.evaluate(
        "[...document.querySelectorAll('.verdict h1, .verdict .confidence')]"
        ".filter((e) => e.getBoundingClientRect().bottom > innerHeight).map((e) => e.className || e.tagName)"
    )
    return [f"not in the first screen: {one}" for one in below]


async def by_keyboard(page: Page) -> list[str]:
    """Controls that Tab does not reach, or shows no focus of; traps; an order that jumps up."""
    wanted = await page.evaluate(f"({_NUMBERED})()")
    seen: list[int] = []
    problems: list[str] = []
    for _ in range(MAX_STOPS):
        await page.key("Tab")
        here = await page.evaluate(f"({_FOCUSED})()")
        if here is None or here["number"] in seen:
            break
        seen.append(here["number"])
        problems += [f"keyboard: {here['what']} {said}" for said in here["problems"]]
    missed = [what for number, what in enumerate(wanted) if number not in seen]
    problems += [f"keyboard: never reached: {what}" for what in missed]
    if seen != sorted(seen):
        problems.append("keyboard: the order of Tab is not that of the page")
    return problems


async def skips(page: Page) -> list[str]:
    """A page with a head whose first stop does not lead past it."""
    await page.key("Tab")
    first = await page.evaluate("document.activeElement.getAttribute('href')")
    if first != "#content":
        return [f"skip link: the first stop is {first}"]
    await page.key("Enter")
    await page.key("Tab")
    inside = await page.evaluate(
        "((main, here) => main.contains(here) || main.compareDocumentPosition(here) & 4"
        f" || !main.querySelector(`{_STOPS}`))(document.querySelector('main'), document.activeElement)"
    )
    return [] if inside else ["skip link: it does not lead into the page"]


_BRIEF = (
    "(v) => v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 4).map((n) => n.target.join(' ') + ' '"
    " + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? '')).join(' | ') + ' (' + v.nodes.length + ')'"
)
_WHAT = (
    "(e) => e.tagName.toLowerCase() + ' '"
    " + (e.id || e.getAttribute('aria-label') || e.innerText || e.name || '').slice(0, 40)"
)
# Elements whose right edge is outside, unless something around them scrolls or hides by itself.
_OUTSIDE = f"""(() => {{
  const what = {_WHAT};
  const inScroller = (e) => {{ for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== 'visible') return true; return false; }};
  const out = [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().width > 1
    && e.getBoundingClientRect().right > innerWidth + 1 && !inScroller(e)).map(what);
  if (document.scrollingElement.scrollWidth > innerWidth) out.push('the page itself');
  return out.slice(0, 5);
}})()"""
_STOPS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
_NUMBERED = f"""() => {{
  const what = {_WHAT};
  window.scrollTo(0, 0); document.activeElement?.blur();
  const all = [...document.querySelectorAll("{_STOPS}")].filter((e) => e.checkVisibility({{visibilityProperty: true}}));
  all.forEach((e, n) => e.pileupStop = n);
  return all.map(what);
}}"""
_FOCUSED = f"""() => {{
  const e = document.activeElement;
  if (!e || e === document.body || e.pileupStop === undefined) return null;
  const s = getComputedStyle(e), b = e.getBoundingClientRect(), problems = [];
  if (s.outlineStyle === 'none' || parseFloat(s.outlineWidth) < 2) problems.push('shows no focus');
  if (b.bottom < 0 || b.top > innerHeight) problems.push('is out of sight when it has the focus');
  if (b.width < 1 || b.height < 1) problems.push('has no size when it has the focus');
  return {{number: e.pileupStop, what: ({_WHAT})(e), problems}};
}}"""
