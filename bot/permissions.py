"""Who may do what: by person, by user group, or as an admin of the workspace; for each deed, or for all of them.

A deed that no setting names is for everybody; settings, which others live with, are not for guests then. Whoever cannot
be told to belong to those who may, may not: a group that Slack does not tell of has no members.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.membership import Membership

ADMINS, EVERYBODY = "admins", "everybody"  # words that stand for people

SETTINGS = "settings"  # the deed that all choices are, but those about oneself
# What the buttons, windows and settings ask for.
DEEDS = ("acknowledge", "assign", "known", "wrong", "merge", "mute", "again", SETTINGS)
_NAME = re.compile(r"[UWS][A-Z0-9]{7,}|admins|everybody")


@dataclass(frozen=True, slots=True)
class Permissions:
    """``managers`` may do all deeds but those in ``single``; empty sets are everybody."""

    managers: frozenset[str] = frozenset()
    single: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of(self, deed: str) -> frozenset[str]:
        """Who may do a deed: ids of people and groups, and words; empty for everybody."""
        return self.single.get(deed, self.managers)


ANYBODY = Permissions()


async def may(membership: "Membership", permissions: Permissions, user: str, deed: str) -> bool:
    """Whether a person may do a deed."""
    names = permissions.of(deed)
    if not names:
        return deed != SETTINGS or (await membership.sight_of(user)).public_of is not None
    return await membership.is_one_of(user, names)


def read_permissions(text: str) -> dict[str, frozenset[str]]:
    """``mute=admins known=U0ANNA0001,S0STORAGE1`` as deeds with who may do them.

    Raises:
        ValueError: what is wrong with it.
    """
    found: dict[str, frozenset[str]] = {}
    for part in text.split():
        deed, sign, names = part.partition("=")
        if deed not in DEEDS or not sign:
            raise ValueError(f"{deed} is none of {', '.join(DEEDS)}")
        given = frozenset(name for name in names.split(",") if name)
        wrong = sorted(name for name in given if not _NAME.fullmatch(name))
        if wrong or not given:
            who = f"ids of people (U…) and user groups (S…), {ADMINS} or {EVERYBODY}"
            raise ValueError(f"{deed} is for {who}, not for {', '.join(wrong) or 'nobody'}")
        found[deed] = given
    return found
