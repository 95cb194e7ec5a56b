"""``pileup digest``: a channel's digest printed as its members would read it, or sent once more by the running bot."""

import sys

from bot.analyzing import OK, USAGE, Stop, settings_or_stop
from bot.console import Line, print_lines, printable
from bot.digests import digest_job, digest_message, digest_of
from bot.mrkdwn import plain
from bot.past import with_store
from storage.clock import stamp, utc_now
from storage.hours import Every, Plan
from storage.store import Store

NINE = 9 * 60  # o'clock, in UTC: for a channel that gets no digests


def run(channel: str, every: Every, *, only_print: bool) -> int:
    """Print the digest of the last whole period, or make a job of it. The exit status: 2 for an unknown channel."""

    def do(store: Store) -> int:
        settings, now = settings_or_stop(), utc_now()
        team = store.digests.team_of(channel)
        if team is None:
            raise Stop(f"nothing was ever told or chosen in {channel}", USAGE)
        choices = store.choices.above(settings.defaults)
        plan = choices.plan(team, channel, every) or Plan(every, NINE, "UTC")
        period = store.digests.period(plan, plan.latest(now))
        if not only_print:
            store.jobs.enqueue(digest_job(team, channel, plan, period, extra=f":{stamp(now)}"))
            print(f"The bot will send {channel} the digest of {period.name}.")
            return OK
        history = store if settings.installs is None else store.of_tenant(team)
        digest = digest_of(history.seen_at(team, channel), channel, plan, period, settings.access.report_link)
        message = digest_message(digest)
        texts = [(block.get("text") or block["elements"][0])["text"] for block in message.blocks]
        lines: list[Line] = [("plain", printable(line)) for text in texts for line in plain(text).splitlines()]
        print_lines(iter([*lines, ("plain", f"Chart: {digest.chart_words}")]), sys.stdout)
        return OK

    return with_store(do)
