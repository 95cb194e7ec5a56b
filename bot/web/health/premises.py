"""What the page of health knows from the settings: where symbols come from and where files lie, who looks after it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from bot.permissions import ADMINS, EVERYBODY

if TYPE_CHECKING:
    from bot.settings import Settings
    from bot.tools import Tools
    from bot.workspaces import Workspaces

IsAdmin = Callable[[str, str], Awaitable[bool]]  # of a workspace and a person in it


@dataclass(frozen=True, slots=True)
class Premises:
    """``symbol_path`` are its elements, each with its places, the nearest first, without passwords; ``caches`` the
    directories that keep fetched symbols, each at most ``cache_bytes`` large; ``gaps`` sentences about places that are
    not looked into. ``rules`` says by which rules verdicts are given now. ``is_admin`` is None where nobody who signs
    in looks after the installation."""

    home: Path
    database: str
    symbol_path: tuple[tuple[str, ...], ...] = ()
    caches: tuple[Path, ...] = ()
    cache_bytes: int = 0
    gaps: tuple[str, ...] = ()
    rules: Callable[[], str] = lambda: ""
    is_admin: IsAdmin | None = None


def premises_of(settings: "Settings", workspaces: "Workspaces", tools: "Tools") -> Premises:
    """The same, from the settings."""
    from storage.database import spoken

    tiers = settings.symbol_tiers()
    kept = [place for one in tiers for place in one.places[:-1] if isinstance(place, Path)]
    kept += [settings.symbol_store] if settings.symbol_store.is_dir() else []
    return Premises(
        settings.home,
        spoken(settings.database),
        tuple(tuple(map(shown, one.places)) for one in tiers),
        tuple(dict.fromkeys(kept)),
        int(settings.symbol_cache_size),
        settings.symbol_gaps(),
        lambda: tools.analyzer().rules,
        _admins(settings, workspaces),
    )


def shown(place: Path | str) -> str:
    """A place of a symbol path, as it may be shown: an address without what it holds of a user and a password."""
    if isinstance(place, Path):
        return str(place)
    parts = urlsplit(place)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _admins(settings: "Settings", workspaces: "Workspaces") -> IsAdmin | None:
    # Where workspaces install the bot themselves, none of their admins looks after the machine that it runs on.
    if settings.installs is not None:
        return None
    names = (settings.permissions.managers - {EVERYBODY}) | {ADMINS}

    async def is_admin(team: str, person: str) -> bool:
        workspace = await workspaces.of(team)
        ours = workspace is not None and workspace.team == team
        return workspace is not None and ours and await workspace.membership.is_one_of(person, names)

    return is_admin
