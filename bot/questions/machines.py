"""Answers about machines: whose memory is suspect, and why."""

from bot.questions.parts import Answer, Asked
from bot.standing import Standing, standing_lines
from storage.suspicion import WINDOW

SHOWN_HOSTS, SHOWN_CRASHES = 5, 8


def memory(asked: Asked) -> Answer:
    """The machines whose memory is suspect, or whether that of the one that is named is; of the last 30 days where no
    time is."""
    since, until = asked.query.since or asked.until - WINDOW, asked.until
    time = asked.time or f" in the last {WINDOW.days} days"
    found = asked.store.suspicion.hosts(since, until)
    named = asked.query.host or asked.query.words  # a name that history does not know is a machine's, too
    if named is not None:
        found = tuple(one for one in found if one.host.lower() == named.lower())
    if not found:
        about = named or "any machine"
        line = f"Nothing{time} makes the memory of {about} suspect: that takes unrelated crashes of one machine."
        return Answer((line,))
    lines = [line for one in found[:SHOWN_HOSTS] for line in standing_lines(Standing(suspicion=one))]
    if len(found) > SHOWN_HOSTS:
        lines.append(f"… and {len(found) - SHOWN_HOSTS} more machines.")
    return Answer(tuple(lines), asked.of(found[0].crashes[-SHOWN_CRASHES:][::-1]))
