"""The talk about one link: reaction, one reply that grows into the summary, details below it.

Everything is idempotent by key and slot. A claim is stored before a message is sent and its time stamp after;
a claim without a time stamp was interrupted between the two, so the message is looked for before it is sent again.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from analysis.verdict.report import Report
from bot import blocks
from bot.detail_parts import parts_of, report_file, report_slot
from bot.outbound import Message
from bot.sending import Refused, Sender, Upload
from storage.choices import Mode
from storage.events import Posts

log = logging.getLogger(__name__)

Settle = Callable[[bool], Awaitable[list[bool | None]]]

SUMMARY = "summary"
STEP_SECONDS = 1.5  # between two progress edits of one reply
SEEN, FINE, BAD = "eyes", "white_check_mark", "x"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a link was posted. ``thread`` is the message our replies hang under, ``ts`` the user's own.

    ``mode`` says how the verdict stands there: in the thread, there and in the channel, or in the channel itself, with
    a thread of its own below it.
    """

    team: str
    channel: str
    ts: str
    thread: str
    mode: Mode = "thread"


class Conversation:
    """One link's replies. ``key`` is the job's, ``source`` what people know the link by.

    ``settle`` notes how this link ended and says how each link of the message did, None while it is not known.
    ``buttons`` stand below the reply while work goes on.
    """

    def __init__(
        self,
        sender: Sender,
        posts: Posts,
        place: Place,
        key: str,
        source: str,
        *,
        settle: Settle,
        buttons: tuple[blocks.Button, ...] = (),
    ) -> None:
        self.place = place
        self._settle = settle
        self._buttons = buttons
        self._sender = sender
        self._posts = posts
        self.key = key
        self.source = source
        self._shown: tuple[str, int | str] | None = None
        self._wanted: tuple[str, float | None, str] | None = None
        self._edited_at = 0.0
        self._editing: asyncio.Task[None] | None = None
        self._ts: str | None = None
        self._hushed = asyncio.Event()
        self._stage = ""
        self._opening: asyncio.Task[str] | None = None  # the first post, on its way or there
        self._last: Message | None = None
        self._is_told = False  # the first post said the last word already

    @property
    def thread(self) -> str:
        """The message that replies hang under; in the channel itself the first reply, once it is there."""
        return (self._ts or self.place.thread) if self.place.mode == "channel" else self.place.thread

    async def begin(self, stage: str) -> str | None:
        """React and post the one reply, unless that is done already; its time stamp.

        None: other messages go first, and work need not wait for them. The reply then says, when its turn comes, what
        there is to say by then; at best that is the end itself. Where Slack grants no more edits for now, the reply
        waits for some, or for the end.

        Raises:
            Refused, Unreachable.
        """
        if self._opening is None:
            is_new = await asyncio.to_thread(self._posts.known, self.key, SUMMARY) is None
            must_wait = is_new and self._sender.is_busy(self.place.channel)
            await self._sender.react(self.place.channel, self.place.ts, SEEN, final=False)
            self._stage = stage
            if is_new and not self._sender.has_edits:
                return None
            self._opening = asyncio.create_task(self._open())
            if not must_wait:
                await self._opening
        return self._ts

    async def _open(self) -> str:
        self._ts = await self._say(SUMMARY, self._first_words, broadcast=self.place.mode == "broadcast")
        return self._ts

    def _first_words(self) -> Message:
        if self._last is not None:
            self._is_told = True
            return self._last
        stage, fraction, detail = self._wanted or (self._stage, None, "")
        self._shown = (stage, detail if fraction is None else int(fraction * 100))
        return self._progress(stage, fraction, detail)

    async def reply(self, message: Message) -> str:
        """Answer a question: one message in the thread, once; its time stamp. Raises: Refused, Unreachable."""
        return await self._say("answer", message)

    async def announce(self, message: Message) -> str:
        """Say something in the channel itself, once; its time stamp. Raises: Refused, Unreachable."""
        self._ts = await self._say(SUMMARY, message)
        return self._ts

    async def attach(self, slot: str, upload: Upload) -> None:
        """Share a file below, once. One that Slack refuses is logged and left out. Raises: Unreachable."""
        try:
            await self._share(slot, upload)
        except Refused as refused:
            log.warning("%s of %s was refused: %s", slot, self.key[:60], refused.word)

    async def call(self, slot: str, message: Message) -> None:
        """Tell those whom a verdict concerns, once. Where Slack refuses, that is logged. Raises: Unreachable."""
        try:
            await self._say(slot, message)
        except Refused as refused:
            log.warning("%s of %s was refused: %s", slot, self.key[:60], refused.word)

    def progress(self, stage: str, fraction: float | None, detail: str = "") -> None:
        """Show how far it is, some time soon or never: the latest figure wins, and finals go first."""
        self._wanted = (stage, fraction, detail)
        if self._opening is None and self._stage and not self._hushed.is_set() and self._sender.has_edits:
            self._opening = asyncio.get_running_loop().create_task(self._open())
        if self._ts is not None and (self._editing is None or self._editing.done()):
            self._editing = asyncio.get_running_loop().create_task(self._show())

    async def end(self, message: Message, *, fine: bool) -> str:
        """Turn the reply into its final form and the reaction into a result; the reply's time stamp.

        The reaction is the message's, not the link's: of several links the last one brings it, a cross if any failed.

        Raises:
            Refused, Unreachable.
        """
        await self.hush()
        ts = await self._final(message)
        outcomes = await self._settle(fine) or [fine]
        if None not in outcomes:
            good, other = (FINE, BAD) if all(outcomes) else (BAD, FINE)
            await self._sender.react(self.place.channel, self.place.ts, good)
            if len(outcomes) > 1:  # a link that was edited in later may turn the result
                await self._sender.react(self.place.channel, self.place.ts, other, add=False)
            # Nobody knows whether it is there: who waits was greeted, or a process put it there and was killed.
            await self._sender.react(self.place.channel, self.place.ts, SEEN, add=False)
        return ts

    async def change_summary(self, message: Message) -> None:
        """Edit the reply once it has its final form, if it was posted. Raises: Refused, Unreachable."""
        ts = await asyncio.to_thread(self._posts.known, self.key, SUMMARY)
        if ts is not None:
            await self._sender.edit(self.place.channel, ts, message, self._name(SUMMARY), final=True)

    async def ask(self, message: Message) -> None:
        """Turn the reply into a question, to which the answer is a message in the thread. Raises: as ``end``."""
        await self.hush()
        await self._final(message)

    async def withdraw(self, message: Message) -> None:
        """End with this where something was said already; where nothing was, nothing is. Raises: as ``end``."""
        if await asyncio.to_thread(self._posts.known, self.key, SUMMARY) is not None:
            await self.end(message, fine=False)

    async def tell_one(self, number: int, message: Message) -> str:
        """One dump of several: a reply of its own, once; its time stamp. Raises: Refused, Unreachable."""
        return await self._say(dump_slot(number), message)

    async def hush(self) -> None:
        """No more progress edits. One that is on its way is waited for: cut off, it might land after a final one."""
        self._wanted = None
        self._hushed.set()
        if self._editing is not None:
            await self._editing
            self._editing = None

    async def leave(self) -> None:
        """Say nothing more; a first post that still waits for its turn is given up."""
        await self.hush()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)

    async def details(self, report: Report, before: Report | None = None, number: int | None = None) -> None:
        """Everything below the summary, each part once. A part that Slack refuses is logged and left out. ``number``
        is the dump's among several.

        With ``before``, the report whose details stand there, messages are edited; files, which cannot be, are shared
        again where they differ.

        Raises:
            Unreachable.
        """
        for name, make in parts_of(report, before):
            slot = name if number is None else f"{name}-{number}"
            part = await asyncio.to_thread(make)
            try:
                if isinstance(part, Upload):
                    await self._share(slot, part)
                elif before is not None:
                    await self._change(slot, part)
                elif part is not None:
                    await self._say(slot, part, urgent=False)
            except Refused as refused:
                log.warning("%s of %s was refused: %s", slot, self.key[:60], refused.word)

    async def share_report(self, report: Report, number: int | None = None) -> bool:
        """Share the report as a file, unless this edition of it is in the thread: false. Raises: Unreachable."""
        slot = report_slot(report) if number is None else f"{report_slot(report)}-{number}"
        if await asyncio.to_thread(self._posts.known, self.key, slot) is not None:
            return False
        await self.attach(slot, await asyncio.to_thread(report_file, report, f"-{slot.partition('-')[2]}"))
        return True

    async def _change(self, slot: str, message: Message | None) -> None:
        # What stands there already, or what says that nothing of it is left.
        known = (await asyncio.to_thread(self._posts.known, self.key, slot)) is not None
        if known or message is not None:
            ts = await self._say(slot, message or blocks.gone())
            if known:
                await self._sender.edit(self.place.channel, ts, message or blocks.gone(), self._name(slot), final=True)

    async def _final(self, message: Message) -> str:
        self._last = message
        self._opening = self._opening or asyncio.create_task(self._open())
        ts = await self._opening
        if self._is_told:
            self._is_told = False  # what comes after it is an edit
            return ts
        try:
            await self._sender.edit(self.place.channel, ts, message, self._name(SUMMARY), final=True)
        except Refused as refused:
            if refused.word not in ("message_not_found", "cant_update_message", "edit_window_closed"):
                raise
            return await self._say(f"{SUMMARY}-again", message)  # somebody deleted our reply
        return ts

    async def _say(
        self, slot: str, message: Message | Callable[[], Message], *, broadcast: bool = False, urgent: bool = True
    ) -> str:
        post = await asyncio.to_thread(self._posts.claim, self.key, slot)
        if post.ts is not None:
            return post.ts
        under = None if self.place.mode == "channel" and slot.startswith(SUMMARY) else self.thread
        ts = None if post.fresh else await self._sender.find(self.place.channel, under, self._name(slot))
        if ts is None:
            try:
                ts = await self._sender.post(
                    self.place.channel,
                    under,
                    message,
                    self._name(slot),
                    broadcast=broadcast,
                    urgent=urgent,
                )
            except Refused:
                await asyncio.to_thread(self._posts.release, self.key, slot)
                raise
        await asyncio.to_thread(self._posts.sent, self.key, slot, self.place.channel, ts)
        return ts

    async def _share(self, slot: str, upload: Upload) -> None:
        post = await asyncio.to_thread(self._posts.claim, self.key, slot)
        if post.ts is not None:
            return
        found = None if post.fresh else await self._sender.find_file(self.place.channel, self.thread, upload.name)
        if found is None:
            try:
                found = await self._sender.share(self.place.channel, self.thread, upload)
            except Refused:
                await asyncio.to_thread(self._posts.release, self.key, slot)
                raise
        await asyncio.to_thread(self._posts.sent, self.key, slot, self.place.channel, found)

    async def _show(self) -> None:
        while self._wanted is not None and self._ts is not None:
            with suppress(TimeoutError):
                pause = max(0.0, self._edited_at + STEP_SECONDS - time.monotonic())
                await asyncio.wait_for(self._hushed.wait(), pause)
            if self._wanted is None:
                return
            stage, fraction, detail = self._wanted
            self._wanted = None
            figure = (stage, detail if fraction is None else int(fraction * 100))
            if figure == self._shown:
                continue
            self._edited_at = time.monotonic()
            message = self._progress(stage, fraction, detail)
            if await self._sender.edit(self.place.channel, self._ts, message, self._name(SUMMARY), final=False):
                self._shown = figure

    def _progress(self, stage: str, fraction: float | None, detail: str = "") -> Message:
        return blocks.progress(stage, self.source, fraction, detail, self._buttons)

    def _name(self, slot: str) -> str:
        return message_key(self.key, slot)


def message_key(key: str, slot: str) -> str:
    """The key in a message's metadata: of which job, and which part of its story."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:20]}:{slot}"


def dump_slot(number: int) -> str:
    """The part that tells one dump of several."""
    return f"dump-{number}"


def dump_number(slot: str) -> int | None:
    """Which of several dumps a part tells; None for the only one."""
    number = slot.removeprefix("dump-")
    return int(number) if number.isdecimal() else None
