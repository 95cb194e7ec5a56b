"""``pileup history redact`` and ``pseudonym``: names taken out of reports that are in history already, and what a name
is called there."""

import fastjsonschema

from analysis.verdict.report import Report
from bot.analyzing import OK, USAGE, Stop
from bot.past import with_settings
from bot.redaction import Kind, Redaction
from bot.settings import Settings
from storage import Store


def redact() -> int:
    """Take names out of every report of history, by the settings in force. The exit status."""

    def redact_all(store: Store, settings: Settings) -> int:
        redaction = _of(settings)
        numbers = store.reports.numbers()
        changed = sum(_redacted(store, redaction, number) for number in numbers)
        store.forgetting.scrub()
        print(f"{changed} of {len(numbers)} reports held names that are to be taken out.")
        return OK

    return with_settings(redact_all)


def pseudonym(name: str) -> int:
    """Print what stands for a name in reports, as a machine and as a person. The exit status."""

    def print_it(_: Store, settings: Settings) -> int:
        redaction = _of(settings)
        kinds: tuple[Kind, ...] = ("hosts", "users")
        for kind in kinds:
            print(redaction.pseudonym(kind, name))
        return OK

    return with_settings(print_it)


def _of(settings: Settings) -> Redaction:
    redaction = settings.redaction
    if redaction is None:
        raise Stop("nothing is to be taken out: set PILEUP_REDACT", USAGE)
    return redaction


def _redacted(store: Store, redaction: Redaction, number: int) -> bool:
    try:
        document = store.reports.document(number)
        told = None if document is None else redaction.document(document)
        if told is None or told == document:
            return False
        store.remember(Report.from_json(told))
    except fastjsonschema.JsonSchemaException:  # another version's
        return False
    return True
