"""Which features the settings call for: for a manifest where nobody chose, for installing, for doctor."""

from typing import TYPE_CHECKING

from bot.install.scopes import DEFAULT

if TYPE_CHECKING:
    from bot.settings import Settings


def wanted_features(settings: "Settings") -> tuple[str, ...]:
    """The default ones; user groups where some may do something, previews where there are pages with an address."""
    rights = settings.permissions
    names = rights.managers.union(*rights.single.values())
    more = [
        *(["unfurl"] if settings.web_url is not None else []),
        *(["groups"] if any(name.startswith("S") for name in names) else []),
    ]
    return (*DEFAULT, *more)
