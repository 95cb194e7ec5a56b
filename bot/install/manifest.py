"""The app's manifest for what it is to do: ``pileup manifest``. ``bot/manifest.json`` is that of the default features.

Source: docs.slack.dev/reference/app-manifest.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from bot.install.scopes import DEFAULT, FEATURES, UnknownFeature, bot_events, bot_scopes, chosen
from bot.install.wanted import wanted_features
from bot.listeners.names import COMMAND, SHORTCUT

ABOUT = "Reads Windows crash dumps: which driver did it, which lock it held, who was stuck behind it."
EXAMPLE = "https://pileup.example.com"
EVENTS_PATH, BACK, SIGNED_IN = "/slack/events", "/slack/oauth_redirect", "/signin/callback"


def manifest(features: Iterable[str] = DEFAULT, url: str = EXAMPLE, web_url: str = EXAMPLE) -> dict[str, Any]:
    """The manifest with these features. ``url`` is where Slack reaches the bot, ``web_url`` where people reach its
    pages.

    Raises:
        UnknownFeature.
    """
    names = chosen(features)
    request = {"request_url": f"{url}{EVENTS_PATH}"} if "http" in names else {}
    redirects = [
        address for name, address in (("install", f"{url}{BACK}"), ("signin", f"{web_url}{SIGNED_IN}")) if name in names
    ]
    command = _COMMAND | ({"url": request["request_url"]} if request else {})
    has_questions = "questions" in names
    return {
        "_metadata": {"major_version": 2, "minor_version": 0},
        "display_information": {
            "name": "Pileup",
            "description": ABOUT,
            "background_color": "#2c2d30",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": "app_home_opened" in bot_events(names),
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "pileup", "always_online": True},
        }
        | ({"unfurl_domains": [_domain(web_url)]} if "unfurl" in names else {})
        | ({"shortcuts": [_SHORTCUT]} if has_questions and "links" in names else {})
        | ({"slash_commands": [command]} if has_questions else {}),
        "oauth_config": ({"redirect_urls": redirects} if redirects else {})
        | {"scopes": {"bot": list(bot_scopes(names))}},
        "settings": {
            "event_subscriptions": request | {"bot_events": list(bot_events(names))},
            "interactivity": {"is_enabled": True} | request,
            "org_deploy_enabled": False,
            "socket_mode_enabled": "http" not in names,
            "token_rotation_enabled": "install" in names,
        },
    }


def text(made: dict[str, Any]) -> str:
    """A manifest as it is pasted."""
    return json.dumps(made, indent=2, ensure_ascii=False)


def run(features: str | None, url: str | None, *, list_them: bool = False) -> int:
    """Print a manifest. The exit status: 2 for a feature that there is not."""
    from bot.settings import BadSettings, read_settings

    if list_them:
        for name, feature in FEATURES.items():
            print(f"{name:10} {'default  ' if name in DEFAULT else '         '}{feature.help}")
        return 0
    try:
        settings = read_settings()
        names = wanted_features(settings) if features is None else tuple(features.replace(",", " ").split())
        made = manifest(names, (url or settings.http_url or EXAMPLE).rstrip("/"), settings.web_url or url or EXAMPLE)
    except (UnknownFeature, BadSettings) as error:
        print(f"pileup: {error}", file=sys.stderr)
        return 2
    print(text(made))
    return 0


def _domain(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


_SHORTCUT = {
    "name": "Analyze dumps in message",
    "type": "message",
    "callback_id": SHORTCUT,
    "description": "Says in the message's thread what its crash dumps tell.",
}
_COMMAND = {
    "command": COMMAND,
    "description": "Ask about crashes, or have a dump analyzed.",
    "usage_hint": "last 5 crashes | 0x9f | https://…/MEMORY.DMP",
    "should_escape": False,
}
