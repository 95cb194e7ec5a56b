"""``pileup history doubts``: which rules' verdicts people call wrong, and why."""

import json

from bot.analyzing import OK
from bot.console import printable
from bot.past import with_store
from bot.questions.parts import crashes, day, times
from storage import Store
from storage.clock import stamp

WHAT = {"no-driver": "no driver problem: ", "other-driver": "another driver: "}


def listing(*, as_json: bool) -> int:
    """Print every doubted rule, the most doubted first. The exit status."""

    def list_them(store: Store) -> int:
        found = store.knowledge.doubted()
        if as_json:
            rows = [
                {
                    "rule": one.rule,
                    "doubts": one.doubts,
                    "crashes": one.crashes,
                    "told": one.told,
                    "latest": [{"by": act.by, "at": stamp(act.at), **act.detail} for act in one.latest],
                }
                for one in found
            ]
            print(json.dumps(rows, indent=2))
            return OK
        if not found:
            print("Nobody called a verdict wrong.")
        for one in found:
            print(printable(f"{one.rule}: called wrong {times(one.doubts)}, {one.crashes} of {crashes(one.told)}"))
            for act in one.latest:
                what = WHAT.get(act.detail.get("what", ""), "")
                print(printable(f"    {act.by}, {day(act.at)}: {what}{act.detail.get('reason', '')}"))
        return OK

    return with_store(list_them)
