"""What people choose in Slack: how verdicts stand in a channel, who is mentioned, when it is quiet, when digests come.

Every choice is kept with who made it and when; the latest one holds. A choice is about a channel, a person, a user
group, a rule, or the workspace (an empty ``about``). What the operator set stands below: see ``Defaults``.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from storage.clock import Clock, moment, stamp
from storage.columns import storable
from storage.database import Database
from storage.hours import BadChoice, Every, Plan, Quiet
from storage.routes import Route

Mode = Literal["thread", "channel", "broadcast"]
MODES: tuple[Mode, ...] = get_args(Mode)
Name = Literal["mode", "route", "quiet", "digest-day", "digest-week"]
LOCKS = ("mode", "routes", "quiet", "digests")  # what an operator may keep for himself
_LOCK_OF: dict[str, str] = {
    "mode": "mode", "route": "routes", "quiet": "quiet", "digest-day": "digests", "digest-week": "digests",
}  # fmt: skip


class Locked(Exception):
    """The operator keeps this setting for himself."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the operator set: in force where nobody chose otherwise, or for good where ``locked`` names it.

    ``modes`` and ``plans`` are by channel, ``quiet`` by channel, person or group.
    """

    mode: Mode = "thread"
    modes: Mapping[str, Mode] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    plans: Mapping[str, tuple[Plan, ...]] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()


NO_DEFAULTS = Defaults()


@dataclass(frozen=True, slots=True)
class Change:
    """One choice as it was made; ``value`` is None where one was taken back."""

    about: str
    name: str
    value: Any
    by: str
    at: datetime


class Choices:
    """The choices of one database, above an operator's defaults."""

    def __init__(self, database: Database, clock: Clock, defaults: Defaults = NO_DEFAULTS) -> None:
        self._database = database
        self._clock = clock
        self.defaults = defaults

    def above(self, defaults: Defaults) -> "Choices":
        """The same choices above other defaults."""
        return Choices(self._database, self._clock, defaults)

    def is_locked(self, name: Name) -> bool:
        """Whether nobody may choose this in Slack."""
        return _LOCK_OF[name] in self.defaults.locked

    def mode(self, team: str, channel: str) -> Mode:
        """How verdicts stand in a channel."""
        chosen = self._latest(team, "mode", channel)
        if chosen in MODES:
            return chosen  # type: ignore[no-any-return]  # one of the three
        if channel in self.defaults.modes:
            return self.defaults.modes[channel]
        everywhere = self._latest(team, "mode", "")
        return everywhere if everywhere in MODES else self.defaults.mode

    def quiet(self, team: str, whom: str) -> Quiet | None:
        """The quiet hours of a channel, a person or a user group."""
        chosen = self._latest(team, "quiet", whom)
        return Quiet.read(chosen) if chosen else None if chosen is False else self.defaults.quiet.get(whom)

    def plan(self, team: str, channel: str, every: Every) -> Plan | None:
        """When a channel gets that digest; None for never."""
        chosen = self._latest(team, f"digest-{every}", channel)
        if chosen is None:
            return next((plan for plan in self.defaults.plans.get(channel, ()) if plan.every == every), None)
        return Plan.read(chosen) if chosen else None

    def routes(self, team: str) -> tuple[Route, ...]:
        """The rules in force: the operator's, then those made in Slack, oldest first."""
        if self.is_locked("route"):
            return self.defaults.routes
        kept = self._all(team, "route")
        return (*self.defaults.routes, *(Route.read(one, number) for number, one in kept.items() if one))

    def subscriptions(self, team: str) -> list[tuple[str, Plan]]:
        """Every channel that gets digests, with when."""
        channels = {*self.defaults.plans, *self._all(team, "digest-day"), *self._all(team, "digest-week")}
        every: tuple[Every, Every] = ("day", "week")
        plans = [(channel, self.plan(team, channel, one)) for channel in sorted(channels) for one in every]
        return [(channel, plan) for channel, plan in plans if plan is not None]

    def channels(self, team: str) -> list[str]:
        """The channels for which somebody, or the operator, chose anything."""
        named = {*self.defaults.modes, *self.defaults.plans, *self.defaults.quiet}
        for name in ("mode", "quiet", "digest-day", "digest-week"):
            named |= self._all(team, name).keys()
        return sorted(one for one in named if one[:1] in ("C", "G", "D"))

    def quiet_ones(self, team: str) -> dict[str, Quiet]:
        """Everybody's and every channel's quiet hours."""
        named = {*self.defaults.quiet, *self._all(team, "quiet")}
        found = {whom: self.quiet(team, whom) for whom in sorted(named)}
        return {whom: hours for whom, hours in found.items() if hours is not None}

    def choose_mode(self, team: str, channel: str, mode: str, by: str) -> None:
        """Raises: BadChoice, Locked."""
        if mode not in MODES:
            raise BadChoice({"mode": "This is thread, channel or broadcast."})
        self._put(team, channel, "mode", mode, by)

    def choose_quiet(self, team: str, whom: str, hours: Quiet | None, by: str) -> None:
        """None: there are none. Raises: Locked."""
        self._put(team, whom, "quiet", hours.to_json() if hours else False, by)

    def choose_plan(self, team: str, channel: str, every: Every, plan: Plan | None, by: str) -> None:
        """None: never. Raises: Locked."""
        self._put(
            team, channel, "digest-week" if every == "week" else "digest-day", plan.to_json() if plan else False, by
        )

    def choose_route(self, team: str, route: Route, by: str) -> Route:
        """Keep a rule, a new one or, by its number, one that is there; it as it is kept. Raises: Locked."""
        number = route.number or secrets.token_hex(4)
        self._put(team, number, "route", route.to_json(), by)
        return Route.read(route.to_json(), number)

    def drop_route(self, team: str, number: str, by: str) -> None:
        """Take a rule back; the operator's stay. Raises: Locked."""
        if self._latest(team, "route", number):
            self._put(team, number, "route", None, by)

    def changes(self, team: str, limit: int = 20) -> list[Change]:
        """Who chose what, the latest first."""
        rows = self._database.rows("SELECT * FROM choices WHERE team = ? ORDER BY id DESC LIMIT ?", [team, limit])
        return [
            Change(row["about"], row["name"], json.loads(row["value"]), row["by"], moment(row["at"])) for row in rows
        ]

    def since(self, team: str, about: str, name: Name) -> datetime | None:
        """When the present choice was made; None where nobody made one."""
        row = self._database.row(
            "SELECT at FROM choices WHERE team = ? AND name = ? AND about = ? ORDER BY id DESC LIMIT 1",
            [team, name, about],
        )
        return None if row is None else moment(row["at"])

    def _put(self, team: str, about: str, name: Name, value: Any, by: str) -> None:
        if self.is_locked(name):
            raise Locked(_LOCK_OF[name])
        if self._latest(team, name, about) == value and value is not None:
            return
        row = [team, storable(about), name, json.dumps(value), by, stamp(self._clock())]
        self._database.change("INSERT INTO choices (team, about, name, value, by, at) VALUES (?, ?, ?, ?, ?, ?)", row)

    def _latest(self, team: str, name: str, about: str) -> Any:
        if _LOCK_OF[name] in self.defaults.locked:
            return None
        row = self._database.row(
            "SELECT value FROM choices WHERE team = ? AND name = ? AND about = ? ORDER BY id DESC LIMIT 1",
            [team, name, about],
        )
        return None if row is None else json.loads(row["value"])

    def _all(self, team: str, name: str) -> dict[str, Any]:
        if _LOCK_OF[name] in self.defaults.locked:
            return {}
        rows = self._database.rows(
            "SELECT about, value, id FROM choices WHERE team = ? AND name = ? ORDER BY id", [team, name]
        )
        return {row["about"]: json.loads(row["value"]) for row in rows}
