"""The home tab as blocks. Words are the templates'; what stands below a text to be pressed is here."""

from collections.abc import Callable, Iterator

from bot import blocks
from bot.blocks import Button, button
from bot.fields import channel_choice, choice
from bot.home_tab import forms
from bot.home_tab.chosen import Chosen
from bot.home_tab.keeping import MAX_RULES
from bot.home_tab.page import Item, Page
from bot.outbound import Block, View
from bot.slack_text import render
from bot.words import window_words
from storage.routes import Route
from storage.threads import Thread

ACKNOWLEDGE, ASSIGN_ME, KNOWN = "home-acknowledge", "home-assign-me", "home-known"
MODE, CHANNEL, RULE, NEW_RULE = "home-mode", "home-channel", "home-rule", "home-new-rule"
MY_QUIET, GROUP_QUIET = "home-my-quiet", "home-group-quiet"

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
    mine = {item.number for item in page.mine}
    yield from render("home_note", why=note).blocks
    yield from render("home_head", page=page).blocks
    for item in page.open:
        yield from _failure(item, address, recent=True, is_mine=item.number in mine)
    yield from render("home_more", more=page.more, is_cut=page.is_cut).blocks
    yield from render("home_mine", page=page).blocks
    for item in page.mine:
        yield from _failure(item, address, recent=False, is_mine=True)
    yield from render("home_more", more=page.more_mine, is_cut=False).blocks
    yield from render("home_drivers", page=page).blocks
    yield from _settings(chosen)


def _failure(item: Item, address: Address, *, recent: bool, is_mine: bool) -> Iterator[Block]:
    link = None if item.place is None else address(item.place)
    yield from render("home_failure", item=item, address=link, recent=recent).blocks
    if item.place is not None:
        yield from blocks.button_row(_buttons(item, is_mine=is_mine))


def _buttons(item: Item, *, is_mine: bool) -> tuple[Button, ...]:
    number, known = str(item.number), item.stands.known
    row = [] if known.acknowledged_by is not None else [button(ACKNOWLEDGE, number, about=item.text)]
    if not is_mine:
        row.append(button(ASSIGN_ME, number, about=item.text))
    row.append(button(KNOWN, number, KNOWN if known.issue is None else f"{KNOWN}-edit", item.text))
    return tuple(row)


def _settings(chosen: Chosen) -> Iterator[Block]:
    locked = chosen.locked
    yield from render("home_channels", chosen=chosen).blocks
    modes = window_words(forms.ROOM_FORM)["mode"].options
    everywhere = [] if "mode" in locked else [choice(MODE, modes, chosen.mode)]
    if {"mode", "quiet", "digests"} - locked:
        yield _actions(*everywhere, channel_choice(CHANNEL))
    yield from render("home_rules", chosen=chosen).blocks
    if "routes" not in locked:
        rules = [(rule.number or "", rule_words(rule)) for rule in chosen.rules[-MAX_RULES:]]
        new = blocks.button_row((button(NEW_RULE, "new"),))[0]["elements"]
        yield _actions(*new, *([choice(RULE, rules)] if rules else []))
    yield from render("home_quiet", chosen=chosen).blocks
    if "quiet" not in locked:
        yield from blocks.button_row((button(MY_QUIET, "me"), button(GROUP_QUIET, "group")))


def _actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}
