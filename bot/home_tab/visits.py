"""One use of the home tab: what was pressed or chosen there, by whom, and what that person may see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.elements import chosen
from bot.home_tab.page import place_of
from bot.listeners.buttons import Desk
from storage.choices import Choices
from storage.sight import Sight
from storage.store import Store
from storage.threads import Thread


@dataclass(frozen=True, slots=True)
class Used:
    """Something on the tab as it was pressed or chosen: which, its value, by whom, in which workspace."""

    action: str
    value: str
    person: str
    team: str
    trigger: str


@dataclass(frozen=True, slots=True)
class Visit:
    """What was used, and what is worked with."""

    desk: Desk
    sight: Sight
    used: Used

    @property
    def seen(self) -> Store:
        """History as the person may see it."""
        return self.desk.store.seen_as(self.sight)

    @property
    def choices(self) -> Choices:
        """What is chosen."""
        return self.desk.store.choices.above(self.desk.defaults)

    def place(self) -> Thread | None:
        """Where the crash that a button is about was told; None for one that is not seen."""
        number = self.used.value
        if not number.isdecimal() or self.seen.reports.get(int(number)) is None:
            return None
        return place_of(self.seen, int(number))


def used_in(team: str, body: Mapping[str, Any]) -> Used | None:
    """What was used, or None where that was not on a home tab."""
    actions = body.get("actions") or [{}]
    if (body.get("view") or {}).get("type") != "home":
        return None
    person = str((body.get("user") or {}).get("id") or "")
    action = str(actions[0].get("action_id"))
    return Used(action, chosen(actions[0]), person, team, str(body.get("trigger_id") or ""))
