"""Events: twice, out of order, of what was edited or deleted, of others, of nobody."""

from collections.abc import Iterator

from bot.sandbox import Message
from bot.sandbox.events import events_of
from tests.bot.kit import ANNA, BOT, CRASHES, is_done, replies, until
from tests.slack_faults.scene import Case, Scene

VERDICT = "rassstp.sys holds"
GROUP = "events"


async def _twice(here: Scene) -> str:
    here.slack.faults.redeliver = 1.0
    return await here.told(here.post())


async def _mention(here: Scene) -> str:
    here.slack.faults.redeliver = 1.0
    return await here.told(here.slack.workspace.say(CRASHES, ANNA, f"{BOT} what is {here.link()}"))


def _unsent(here: Scene, text: str, thread: str | None = None) -> tuple[Message, list[dict[str, object]]]:
    # A message that stands there, and its events, not delivered yet.
    workspace = here.slack.workspace
    kept, workspace.listeners[:] = list(workspace.listeners), []
    said = workspace.say(CRASHES, ANNA, text, thread)
    workspace.listeners[:] = kept
    return said, events_of(workspace, "posted", workspace.channels[CRASHES], said)


async def _edit_first(here: Scene) -> str:
    said, posted = _unsent(here, "look at this")
    here.slack.workspace.edit(here.slack.workspace.channels[CRASHES], said, f"look at {here.link()}", [])
    for event in posted:
        here.slack.deliveries.emit(event)
    return await here.told(said)


async def _deletion_first(here: Scene) -> str:
    said, posted = _unsent(here, here.link())
    here.slack.workspace.delete(here.slack.workspace.channels[CRASHES], said)
    await until(lambda: here.slack.deliveries.all and here.slack.deliveries.all[0].acked_after is not None)
    for event in posted:
        here.slack.deliveries.emit(event)
    await here.quiet()
    return _channel(here)


async def _answer_first(here: Scene) -> str:
    parent, first = _unsent(here, "a machine is down")
    said, second = _unsent(here, here.link(), parent.ts)
    for event in (*second, *first):
        here.slack.deliveries.emit(event)
    await until(lambda: is_done(here.slack, said), 30)
    await here.quiet()
    return here.ending(parent)


async def _link_by_edit(here: Scene) -> str:
    said = here.slack.workspace.say(CRASHES, ANNA, "look at this")
    here.slack.workspace.edit(here.slack.workspace.channels[CRASHES], said, f"look at {here.link()}", [])
    return await here.told(said)


async def _edited_again(here: Scene) -> str:
    said = here.post()
    await here.analyst.running.wait()
    here.slack.workspace.edit(here.slack.workspace.channels[CRASHES], said, f"please look: {here.link()}", [])
    return await here.told(said)


async def _link_gone(here: Scene) -> str:
    said = here.post()
    await here.analyst.running.wait()
    here.slack.workspace.edit(here.slack.workspace.channels[CRASHES], said, "never mind", [])
    return await here.told(said)


async def _other_link(here: Scene) -> str:
    said = here.post()
    await here.told(said)
    here.slack.workspace.edit(here.slack.workspace.channels[CRASHES], said, here.link(0, "deadlock"), [])
    await until(lambda: here.analyst.runs == 2, 30)
    await here.quiet()
    return here.ending(said)


async def _deleted(here: Scene) -> str:
    said = here.post()
    await here.analyst.running.wait()
    await until(lambda: replies(here.slack, said))
    here.slack.workspace.delete(here.slack.workspace.channels[CRASHES], said)
    await here.quiet()
    return here.ending(said)


async def _gone_unheard(here: Scene) -> str:
    here.slack.faults.rate_limit(0.5, retry_after=1, method="chat.postMessage")
    said = here.post()
    await here.calls("ratelimited")
    del here.slack.workspace.channels[CRASHES].messages[said.ts]
    await here.quiet()
    return _channel(here)


async def _gone_with_replies(here: Scene) -> str:
    said = here.post()
    await until(lambda: replies(here.slack, said), 30)
    del here.slack.workspace.channels[CRASHES].messages[said.ts]
    await here.quiet()
    return here.ending(said)


async def _our_reply_deleted(here: Scene) -> str:
    said = here.post()
    await here.analyst.running.wait()
    await until(lambda: replies(here.slack, said))
    here.slack.workspace.delete(here.slack.workspace.channels[CRASHES], replies(here.slack, said)[0])
    return await here.told(said)


async def _in_a_thread(here: Scene) -> str:
    parent = here.slack.workspace.say(CRASHES, ANNA, "a machine is down")
    said = here.post(thread=parent.ts)
    await here.done(said)
    await here.quiet()
    return here.ending(parent)


async def _by_bots(here: Scene) -> str:
    workspace = here.slack.workspace
    place = workspace.channels[CRASHES]
    ours = Message(workspace.new_ts(), workspace.bot.id, here.link(1), bot_id=workspace.bot.bot_id)
    other = Message(workspace.new_ts(), "U0MONITOR1", here.link(2), bot_id="B0MONITOR1")
    for message in (ours, other):
        workspace.post(place, message)
    await here.quiet()
    place.messages.pop(ours.ts)  # what the bot was made to say for this row
    return _channel(here)


async def _nobodys(here: Scene) -> str:
    place = {"channel": CRASHES, "event_ts": here.slack.workspace.new_ts()}
    about = {"user": ANNA, "reaction": "eyes", "item": {"type": "message", "channel": CRASHES, "ts": "1.000001"}}
    for event in ({"type": "reaction_added"} | about, {"type": "pin_added", "user": ANNA}, {"type": "emoji_changed"}):
        here.slack.deliveries.emit(event | place)
    for subtype in ("channel_join", "channel_topic", "bot_message", "tombstone"):
        said = {"type": "message", "subtype": subtype, "user": ANNA, "text": "x", "channel_type": "channel"}
        here.slack.deliveries.emit(said | place | {"ts": here.slack.workspace.new_ts()})
    await here.quiet()
    return await here.told(here.post())


async def _not_subscribed(here: Scene) -> str:
    hears = here.slack.deliveries.hears
    here.slack.deliveries.hears = lambda _event: False
    lost = here.post(1)
    here.slack.deliveries.hears = hears
    return f"{await here.told(here.post())}; below the first: {here.ending(lost)}"


def _channel(here: Scene) -> str:
    ours = [
        m for m in here.slack.workspace.channels[CRASHES].messages.values() if m.user == here.slack.workspace.bot.id
    ]
    return f"{len(ours)} messages" if ours else "nothing in the channel"


def cases() -> Iterator[Case]:
    """The rows."""
    yield Case(GROUP, "every event comes twice", "a link", _twice, VERDICT)
    yield Case(GROUP, "a mention is two events, each twice", "a mention with a link", _mention, VERDICT)
    yield Case(GROUP, "the edit arrives before the message", "a link, added by an edit", _edit_first, VERDICT)
    yield Case(GROUP, "the deletion arrives before the message", "a link, deleted", _deletion_first, "nothing", 0)
    yield Case(GROUP, "the answer arrives before its parent", "a link in a thread", _answer_first, VERDICT)
    yield Case(GROUP, "edited: the link is new", "a link, added by an edit", _link_by_edit, VERDICT)
    yield Case(GROUP, "edited while it is read: the same link", "a link", _edited_again, VERDICT, seconds=0.5)
    yield Case(GROUP, "edited while it is read: no link any more", "a link", _link_gone, VERDICT, seconds=0.5)
    yield Case(GROUP, "edited when it was told: another link", "a link, then another", _other_link, VERDICT, 2)
    yield Case(
        GROUP, "deleted while it is read", "a link, deleted", _deleted, "Stopped: the message with the link was",
        0, seconds=3,
    )  # fmt: skip
    yield Case(GROUP, "deleted before the answer, and nobody says so", "a link, deleted", _gone_unheard, "nothing", 0)
    yield Case(
        GROUP,
        "deleted below our reply, and nobody says so",
        "a link, deleted",
        _gone_with_replies,
        VERDICT,
        seconds=0.5,
    )
    yield Case(GROUP, "our reply is deleted while it is read", "a link", _our_reply_deleted, VERDICT, seconds=1)
    yield Case(GROUP, "a message in a thread", "a link in a thread", _in_a_thread, VERDICT)
    yield Case(GROUP, "the bot's own message, and another bot's", "two links", _by_bots, "nothing", 0)
    yield Case(GROUP, "events that nobody listens to", "a reaction, a pin, a join; a link", _nobodys, VERDICT)
    yield Case(GROUP, "events switched off, then on again", "two links", _not_subscribed, VERDICT)
