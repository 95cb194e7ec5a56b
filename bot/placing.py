"""How the verdict of a job stands in its channel: decided once, so that a change of the setting moves no story."""

from bot.digests import DIGEST
from bot.listeners.intake import ANALYZE
from bot.routing import HELD
from storage.choices import Choices, Mode
from storage.jobs import Job
from storage.store import Store

SLOT = "mode"  # among the posts of a job: not a message, but where its messages go


def mode_of(store: Store, choices: Choices, job: Job) -> Mode:
    """The mode of a job's story. What is asked inside a thread is answered inside it."""
    asked = job.payload
    chosen = choices.mode(asked["team"], asked["channel"])
    if job.kind in (HELD, DIGEST):
        return "channel"
    if job.kind != ANALYZE or asked["ts"] != asked["thread"]:
        return "broadcast" if chosen == "broadcast" else "thread"
    kept = store.posts.claim(job.key, SLOT).ts
    if kept is None:
        store.posts.sent(job.key, SLOT, asked["channel"], chosen)
    return next((mode for mode in ("thread", "channel", "broadcast") if mode == kept), chosen)
