"""The buttons below a verdict: which stand there, given what was done already. Their actions are in ``listeners``."""

from bot.blocks import Button, Picker
from bot.standing import Standing
from storage.threads import Thread

ACKNOWLEDGE, ASSIGN_ME, ASSIGN, KNOWN, WRONG = "acknowledge", "assign-me", "assign", "known", "wrong"
UNKNOWN, MERGE, SPLIT, UNDO = "not-known", "merge", "split", "undo-decision"
MUTE, UNMUTE, AGAIN, THREADS, DETAILS = "mute", "unmute", "again", "threads", "details"


def buttons_at(place: Thread, stands: Standing, *, seen_before: bool) -> tuple[Button | Picker, ...]:
    """The buttons of a message that tells a report at a place."""
    number = str(place.report_id)
    if place.form == "pointer" or not place.report_id:
        return ()
    if place.form == "muted":
        return (Button(UNMUTE, number, "Unmute", "Tell crashes of this failure in full again in this channel"),)
    return tuple(_buttons(place, number, stands, seen_before=seen_before))


def _buttons(place: Thread, number: str, stands: Standing, *, seen_before: bool) -> list[Button | Picker]:
    known = stands.known
    row: list[Button | Picker] = []
    if place.form == "short":
        row.append(Button(DETAILS, number, "Show details", "Show the details of this crash in this thread"))
    if known.acknowledged_by is None:
        row.append(Button(ACKNOWLEDGE, number, "Acknowledge", "Say that you have seen this failure"))
    row.append(Button(ASSIGN_ME, number, "Assign to me", "Say that you look after this failure"))
    row.append(Picker(ASSIGN, "Assign to…", known.assigned_to))
    issue = "Known issue…" if known.issue is None else "Edit known issue…"
    row.append(Button(KNOWN, number, issue, "Say what is known of this failure, and in which version it is fixed"))
    if known.issue is not None:
        row.append(Button(UNKNOWN, number, "Not known any more", "Take back what is known of this failure"))
    row.append(Button(WRONG, number, "Wrong verdict…", "Say why this verdict is wrong"))
    row.append(Button(MERGE, number, "Same as…", "Say that this is the same failure as another"))
    if seen_before:
        row.append(Button(SPLIT, number, "Does not belong", "Say that this crash is not one of its failure"))
    if stands.decision is not None:
        undo = "Undo split" if stands.decision.deed == "split" else "Undo merge"
        row.append(Button(UNDO, number, undo, "Take back what was decided about which crashes belong together"))
    if stands.is_muted:
        row.append(Button(UNMUTE, number, "Unmute", "Tell crashes of this failure in full again in this channel"))
    else:
        row.append(Button(MUTE, number, "Mute here", "Tell crashes of this failure in one line in this channel"))
    if place.name is None:
        row.append(Button(AGAIN, number, "Analyze again", "Fetch and analyze this dump again"))
    if seen_before:
        row.append(Button(THREADS, number, "All threads", "List every thread about this failure"))
    return row
