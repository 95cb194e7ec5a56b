"""The order for a child that is to read a fetched dump, by the settings."""

from collections.abc import Callable
from typing import Any

from bot.child import Order
from bot.fetch.download import Fetched
from bot.settings import Settings
from bot.symbols.fetching import SymbolServers

Redact = Callable[[dict[str, Any]], dict[str, Any]]


def redact_by(settings: Settings) -> Redact | None:
    """What takes names out of a document; None where nothing is to be taken out. Raises: OSError, without a key."""
    redaction = settings.redaction
    return None if redaction is None else redaction.document


def order_of(settings: Settings, fetched: Fetched, symbols: SymbolServers | None, redact: Redact | None) -> Order:
    """What to analyse and what the child may know of it."""
    return Order(
        fetched.path,
        fetched.source,
        settings.symbol_paths(),
        settings.home / "cache",
        fetched.sha256,
        round(fetched.seconds, 3),
        symbols,
        settings.rules,
        fetched.pages,
        fetched.note,
        redact=redact,
    )
