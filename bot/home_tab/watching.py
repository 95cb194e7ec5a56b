"""Who looks at the home tab: it is brought up to date after what they do elsewhere, too, and one at a time."""

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

MAX_WATCHERS = 10_000
Who = tuple[str, str]  # workspace, person


class Watchers:
    """People of whom this process saw that they opened the home tab."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Who, None] = OrderedDict()
        self._turns: WeakValueDictionary[Who, asyncio.Lock] = WeakValueDictionary()

    def note(self, who: Who) -> None:
        """Somebody opened it."""
        self._seen[who] = None
        self._seen.move_to_end(who)
        while len(self._seen) > MAX_WATCHERS:
            self._seen.popitem(last=False)

    def __contains__(self, who: Who) -> bool:
        return who in self._seen

    def turn(self, who: Who) -> asyncio.Lock:
        """Held while the tab is made and shown, so that no older one comes later."""
        lock = self._turns.get(who)
        if lock is None:
            lock = self._turns[who] = asyncio.Lock()
        return lock
