"""What places were asked for in vain, and until when they are not asked again."""

import json
import time
from contextlib import suppress
from pathlib import Path

from bot.symbols.stores import MISSING, part_of

MISSING_SECONDS = 24 * 3600.0  # a server said that it has no such file
FAILED_SECONDS = 600.0  # it could not be asked, or sent something else


def recalled(place: Path, server: str) -> str | None:
    """Why a server is not asked again for the file of a place, or None: it may be asked."""
    note = _known(place).get(server)
    until = note.get("until") if isinstance(note, dict) else None
    if isinstance(note, dict) and isinstance(until, int | float) and time.time() < until:
        return f"{note.get('reason', '')} (asked before)"
    return None


def remember(place: Path, server: str, reason: str, seconds: float) -> None:
    """Notes why a server did not give a file, for so many seconds. Where that cannot be written, it is forgotten."""
    known = {**_known(place), server: {"until": time.time() + seconds, "reason": reason}}
    with suppress(OSError), part_of(place) as part:
        part.write_text(json.dumps(known))
        part.replace(place / MISSING)


def _known(place: Path) -> dict[str, object]:
    try:
        known = json.loads((place / MISSING).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
