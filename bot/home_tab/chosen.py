"""What is chosen in a workspace, as one person may see it: channels, rules, quiet hours."""

from dataclasses import dataclass, replace

from storage.channels import Channels
from storage.choices import LOCKS, Choices, Mode
from storage.hours import Plan, Quiet
from storage.routes import ROOM, Route
from storage.sight import Sight

HIDDEN = "?"  # stands for a channel that is not seen


@dataclass(frozen=True, slots=True)
class Room:
    """What is chosen for one channel."""

    channel: str
    mode: Mode
    quiet: Quiet | None
    day: Plan | None
    week: Plan | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is chosen. ``rules`` are those made in Slack, ``fixed`` the operator's; ``locked`` is what only settings
    can change."""

    mode: Mode
    rooms: tuple[Room, ...]
    rules: tuple[Route, ...]
    fixed: tuple[Route, ...]
    mine: Quiet | None
    groups: tuple[tuple[str, Quiet], ...]
    locked: frozenset[str]

    @property
    def people(self) -> frozenset[str]:
        """The ids of those who are named."""
        named = {rule.mention for rule in (*self.rules, *self.fixed) if rule.mention and rule.mention not in ROOM}
        return frozenset(named | {group for group, _ in self.groups})


def chosen_in(choices: Choices, channels: Channels, sight: Sight, team: str, person: str) -> Chosen:
    """What is chosen in a workspace: of channels that the person sees, and of nobody else's hours but groups'."""
    rooms = [one for one in choices.channels(team) if sees(channels, sight, team, one)]
    rules = [_seen_rule(channels, sight, team, rule) for rule in choices.routes(team)]
    quiet = choices.quiet_ones(team)
    return Chosen(
        choices.mode(team, ""),
        tuple(room_of(choices, team, channel) for channel in rooms),
        tuple(rule for rule in rules if rule.number is not None),
        tuple(rule for rule in rules if rule.number is None),
        quiet.get(person),
        tuple((whom, hours) for whom, hours in quiet.items() if whom.startswith("S")),
        choices.defaults.locked & set(LOCKS),
    )


def room_of(choices: Choices, team: str, channel: str) -> Room:
    """What is chosen for a channel."""
    quiet, mode = choices.quiet(team, channel), choices.mode(team, channel)
    return Room(channel, mode, quiet, choices.plan(team, channel, "day"), choices.plan(team, channel, "week"))


def sees(channels: Channels, sight: Sight, team: str, channel: str) -> bool:
    """Whether a channel is one that is seen."""
    if sight.channels is None or channel in sight.channels:
        return True
    room = channels.get(team, channel)
    return sight.public_of == team and room is not None and room.kind == "public"


def _seen_rule(channels: Channels, sight: Sight, team: str, rule: Route) -> Route:
    if rule.channel is None or sees(channels, sight, team, rule.channel):
        return rule
    return replace(rule, channel=HIDDEN)
