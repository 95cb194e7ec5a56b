"""The home tab as blocks. Words are the templates'; what stands below a text to be pressed is here."""

from collections.abc import Callable, Iterator

from bot import blocks
from bot.blocks import Button
from bot.fields import channel_choice, choice
from bot.home_tab.chosen import Chosen
from bot.home_tab.page import Item, Page
from bot.outbound import Block, View
from bot.slack_text import render
from storage.routes import Route
from storage.threads import Thread

ACKNOWLEDGE, ASSIGN_ME, KNOWN = "home-acknowledge", "home-assign-me", "home-known"
MODE, CHANNEL, RULE, NEW_RULE = "home-mode", "home-channel", "home-rule", "home-new-rule"
MY_QUIET, GROUP_QUIET = "home-my-quiet", "home-group-quiet"
MODES = (
    ("thread", "Verdicts in the thread"),
    ("broadcast", "Verdicts in the thread, shown in the channel"),
    ("channel", "Verdicts in the channel itself"),
)
MAX_RULES = 100  # that can be chosen of, to change them

Address = Callable[[Thread], str | None]


def home_view(page: Page, chosen: Chosen, address: Address, note: str = "") -> View:
    """The home tab. ``address`` gives that of a report's page; ``note`` is a word for why something was not done."""
    mentions = page.people | chosen.people
    return View("home", "Home", tuple(_blocks(page, chosen, address, note)), mentions=mentions)


def only_words(name: str, **values: str) -> View:
    """A home tab that says one thing."""
    return View("home", "Home", render(name, **values).blocks)


def rule_words(rule: Route) -> str:
    """A rule as one of those to choose of."""
    conditions = [value for value in (rule.module, rule.host, rule.code, rule.team) if value]
    return f"{rule.name}: {', '.join(conditions)}" if conditions else rule.name


def _blocks(page: Page, chosen: Chosen, address: Address, note: str) -> Iterator[Block]:
    yield from render("home_note", why=note).blocks
    yield from render("home_head", page=page).blocks
    for item in page.open:
        yield from _failure(item, address, recent=True)
    yield from render("home_more", more=page.more).blocks
    yield from render("home_mine", page=page).blocks
    for item in page.mine:
        yield from _failure(item, address, recent=False)
    yield from render("home_more", more=page.more_mine).blocks
    yield from render("home_drivers", page=page).blocks
    yield from _settings(chosen)


def _failure(item: Item, address: Address, *, recent: bool) -> Iterator[Block]:
    link = None if item.place is None else address(item.place)
    yield from render("home_failure", item=item, address=link, recent=recent).blocks
    if item.place is not None:
        yield from blocks.button_row(_buttons(item))


def _buttons(item: Item) -> tuple[Button, ...]:
    number, known = str(item.number), item.stands.known
    row = []
    if known.acknowledged_by is None:
        row.append(Button(ACKNOWLEDGE, number, "Acknowledge", f"Acknowledge {item.text}"[:75]))
    row.append(Button(ASSIGN_ME, number, "Assign to me", f"Assign to me: {item.text}"[:75]))
    words = "Known issue…" if known.issue is None else "Edit known issue…"
    row.append(Button(KNOWN, number, words, f"Known issue: {item.text}"[:75]))
    return tuple(row)


def _settings(chosen: Chosen) -> Iterator[Block]:
    locked = chosen.locked
    yield from render("home_channels", chosen=chosen).blocks
    modes = [] if "mode" in locked else [choice(MODE, "Verdicts everywhere", MODES, chosen.mode)]
    if {"mode", "quiet", "digests"} - locked:
        yield _actions(*modes, channel_choice(CHANNEL, "Settings of a channel…"))
    yield from render("home_rules", chosen=chosen).blocks
    if "routes" not in locked:
        new = blocks.button_row((Button(NEW_RULE, "new", "Add a rule…", "Add a routing rule"),))[0]["elements"]
        rules = [(rule.number or "", rule_words(rule)) for rule in chosen.rules[:MAX_RULES]]
        yield _actions(*new, *([choice(RULE, "Change a rule…", rules)] if rules else []))
    yield from render("home_quiet", chosen=chosen).blocks
    if "quiet" not in locked:
        yield from blocks.button_row(
            (
                Button(MY_QUIET, "me", "My quiet hours…", "Choose your own quiet hours"),
                Button(GROUP_QUIET, "group", "Of a user group…", "Choose the quiet hours of a user group"),
            )
        )


def _actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}
