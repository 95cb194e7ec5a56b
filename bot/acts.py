"""The buttons below a verdict: which stand there, given what was done already. Their actions are in ``listeners``."""

from bot.blocks import Button, Picker, button
from bot.standing import Standing
from bot.words import button_words
from storage.threads import Thread

ACKNOWLEDGE, ASSIGN_ME, ASSIGN, KNOWN, WRONG = "acknowledge", "assign-me", "assign", "known", "wrong"
UNKNOWN, MERGE, SPLIT, UNDO = "not-known", "merge", "split", "undo-decision"
MUTE, UNMUTE, AGAIN, THREADS, DETAILS = "mute", "unmute", "again", "threads", "details"
RAW = "raw"
EXPORT = "export"  # below an answer


def buttons_at(place: Thread, stands: Standing, *, seen_before: bool) -> tuple[Button | Picker, ...]:
    """The buttons of a message that tells a report at a place."""
    number = str(place.report_id)
    if place.form == "pointer" or not place.report_id:
        return ()
    if place.form == "muted":
        return (button(UNMUTE, number),)
    return tuple(_buttons(place, number, stands, seen_before=seen_before))


def _buttons(place: Thread, number: str, stands: Standing, *, seen_before: bool) -> list[Button | Picker]:
    known, decision = stands.known, stands.decision
    row: list[Button | Picker] = []
    if place.form == "short":
        row.append(button(DETAILS, number))
    if known.acknowledged_by is None:
        row.append(button(ACKNOWLEDGE, number))
    row.append(button(ASSIGN_ME, number))
    row.append(Picker(ASSIGN, button_words(ASSIGN).text, known.assigned_to))
    row.append(button(KNOWN, number, KNOWN if known.issue is None else f"{KNOWN}-edit"))
    if known.issue is not None:
        row.append(button(UNKNOWN, number))
    row.append(button(WRONG, number))
    row.append(button(MERGE, number))
    if seen_before:
        row.append(button(SPLIT, number))
    if decision is not None:
        row.append(button(UNDO, number, "undo-split" if decision.deed == "split" else "undo-merge"))
    row.append(button(UNMUTE if stands.is_muted else MUTE, number))
    row.append(button(AGAIN, number))
    row.append(button(RAW, number))
    if seen_before:
        row.append(button(THREADS, number))
    return row
