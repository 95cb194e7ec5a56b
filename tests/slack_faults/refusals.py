"""What Slack takes away: tokens, scopes, channels, people's leave."""

from collections.abc import Iterator

from bot import acts
from bot.listeners.names import SHORTCUT
from bot.starting import CannotServe
from storage.store import Store
from tests.bot.kit import ANNA, BOT, CRASHES, DIRECT, NO_BOT, dump, is_done, replies, shown, until
from tests.slack_faults.events import VERDICT
from tests.slack_faults.limits import BEN, pressed
from tests.slack_faults.scene import PATIENCE, Case, Scene, first

GROUP = "refusals"
ALL = frozenset(
    {"chat:write", "channels:history", "groups:history", "im:history", "app_mentions:read", "reactions:write",
     "files:write", "files:read", "channels:read", "groups:read", "im:read", "users:read", "commands"}
)  # fmt: skip
GENERAL = "C0GENERAL1"


async def _link(here: Scene) -> str:
    said = here.post()
    await until(lambda: any(":summary" in str(m.metadata) for m in replies(here.slack, said)), PATIENCE)
    await here.quiet()
    return here.ending(said)


async def _uploaded(here: Scene) -> str:
    return await here.done(here.slack.workspace.upload(CRASHES, ANNA, "MEMORY.DMP", dump("seed")))


async def _unmentioned(here: Scene) -> str:
    here.post()
    said = here.slack.workspace.say(CRASHES, ANNA, f"{BOT} {here.link()}")
    return await here.told(said)


async def _question(here: Scene) -> str:
    await _link(here)
    asked = here.slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
    await until(lambda: replies(here.slack, asked, DIRECT), PATIENCE)
    return first(shown(replies(here.slack, asked, DIRECT)[0]))


async def _revoked(here: Scene) -> str:
    grant = here.slack.grants.all[0]
    async with here.running():
        said = here.post()
        await here.analyst.running.wait()
        grant.is_revoked = True
        with Store.open(here.home / "pileup.sqlite") as store:
            await until(lambda: [job.state for job in store.jobs.active()] == ["waiting"], PATIENCE)
    try:
        async with here.running():
            raise AssertionError("it starts with a token that was revoked")
    except CannotServe as problem:
        told = str(problem)
    grant.is_revoked = False
    with Store.open(here.home / "pileup.sqlite") as store:
        store.jobs.note(store.jobs.active()[0].id)  # as its time has come
    async with here.running():
        ending = await here.told(said)
        await here.quiet()
    return f"{ending}; to the operator: {told}"


async def _wrong_app_token(here: Scene) -> str:
    try:
        async with here.running():
            return "it started"
    except CannotServe as problem:
        return f"to the operator: {problem}"


async def _closing(here: Scene, how: str) -> str:
    said = here.post()
    await here.analyst.running.wait()
    workspace = here.slack.workspace
    channel = workspace.channels[CRASHES]
    if how == "archived":
        channel.is_archived = True
    elif how == "removed":
        channel.members.discard(workspace.bot.id)
    else:
        del workspace.channels[CRASHES]
    await here.quiet()
    workspace.channels.setdefault(CRASHES, channel)
    again = workspace.say(GENERAL, ANNA, here.link())
    ending = await here.done(again, GENERAL)
    assert here.analyst.runs == 1, "it was analysed twice"
    return f"where it is asked again: {ending}; below the first: {here.ending(said)}"


async def _archived(here: Scene) -> str:
    return await _closing(here, "archived")


async def _removed(here: Scene) -> str:
    return await _closing(here, "removed")


async def _channel_deleted(here: Scene) -> str:
    return await _closing(here, "deleted")


async def _not_in_channel(here: Scene) -> str:
    here.slack.command(NO_BOT, ANNA, here.link())
    return await here.whispered()


async def _in_an_archive(here: Scene) -> str:
    here.slack.command("C0ARCHIVE1", ANNA, here.link())
    return await here.whispered()


async def _denied(here: Scene) -> str:
    verdict = await pressed(here, lambda: None, acts.ACKNOWLEDGE, BEN)
    told = await here.whispered()
    await here.quiet()
    assert "acknowledged by" not in shown(verdict)
    return told


async def _not_listened_to(here: Scene) -> str:
    said = here.slack.workspace.say(CRASHES, BEN, here.link())
    here.slack.command(CRASHES, BEN, here.link())
    here.slack.shortcut(CRASHES, said.ts, SHORTCUT, BEN)
    told = await here.whispered(2)
    await here.quiet()
    return f"{told}; in the channel: {here.ending(said)}"


async def _guest(here: Scene) -> str:
    here.slack.workspace.users[BEN].is_guest = True
    here.slack.workspace.channels[CRASHES].members.discard(BEN)
    await here.told(here.post())
    asked = here.slack.workspace.say("D0BEN00001", BEN, "last 5 crashes")
    await until(lambda: replies(here.slack, asked, "D0BEN00001"), PATIENCE)
    return first(shown(replies(here.slack, asked, "D0BEN00001")[0]))


async def _restricted(here: Scene) -> str:
    here.slack.faults.fail("chat.postMessage", "restricted_action")
    said = here.post()
    await until(lambda: here.analyst.runs == 1 or here.slack.calls_of("chat.postMessage", ok=False), PATIENCE)
    await here.quiet()
    again = here.slack.workspace.say(GENERAL, ANNA, here.link())
    await until(lambda: is_done(here.slack, again), PATIENCE)
    return f"{here.ending(said)}; asked elsewhere: {here.ending(again, GENERAL)}"


def cases() -> Iterator[Case]:
    """The rows."""
    lacking = "files:read: the download is a page with status 200"
    yield Case(
        GROUP,
        lacking,
        "a dump, uploaded",
        _uploaded,
        "Slack sent a web page instead of the file",
        0,
        scopes=ALL - {"files:read"},
    )
    for scope, sent, play in (
        ("files:write", "a link", _link),
        ("reactions:write", "a link", _link),
        ("channels:read", "a link", _link),
    ):
        yield Case(GROUP, f"the app lacks {scope}", sent, play, VERDICT, scopes=ALL - {scope})
    yield Case(
        GROUP, "the app lacks channels:history", "a link; a mention with it", _unmentioned, VERDICT,
        scopes=ALL - {"channels:history"},
    )  # fmt: skip
    yield Case(
        GROUP, "the app lacks users:read and channels:read", "a question to the bot alone", _question, "crash",
        scopes=ALL - {"users:read", "channels:read", "groups:read", "im:read"},
    )  # fmt: skip
    yield Case(
        GROUP, "the token is revoked while a dump is read", "a link", _revoked, VERDICT, seconds=0.3, starts=False
    )
    yield Case(
        GROUP, "the app token is refused at the start", "", _wrong_app_token, "refuses the app token: invalid_auth", 0,
        "socket", settings={"slack_app_token": "xapp-other"}, starts=False,
    )  # fmt: skip
    for name, play in (
        ("the channel is archived while a dump is read", _archived),
        ("the bot is removed from the channel meanwhile", _removed),
        ("the channel is deleted meanwhile", _channel_deleted),
    ):
        yield Case(GROUP, name, "a link, then elsewhere", play, VERDICT, seconds=0.4)
    yield Case(GROUP, "the bot is not in the channel", "a command with a link", _not_in_channel, "/invite @pileup", 0)
    yield Case(GROUP, "the channel is archived", "a command with a link", _in_an_archive, "/invite @pileup", 0)
    yield Case(GROUP, "only admins may post (restricted_action)", "a link, then elsewhere", _restricted, ":x: nothing")
    yield Case(
        GROUP, "a person who may not press", "a press", _denied, "You may not do this here", settings={"managers": ANNA}
    )
    yield Case(
        GROUP, "a person who is not listened to", "a link, a command, a shortcut", _not_listened_to,
        "not set up to answer you here", 0, settings={"users": ANNA},
    )  # fmt: skip
    yield Case(GROUP, "a guest asks about a channel he is not in", "a question to the bot alone", _guest, "No crash")
