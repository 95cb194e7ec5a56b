"""Calls of each method that Slack refuses as too many, breaks down on, answers late, or answers to nobody."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from bot import acts
from bot.sandbox import Faults, Message
from bot.starting import CannotServe
from tests.bot.kit import ANNA, CRASHES, DIRECT, dump, is_told, replies, shown, until
from tests.slack_faults.events import VERDICT
from tests.slack_faults.scene import PATIENCE, Case, Scene, first

BEN = "U0BEN00001"
ANSWERED = "The only crash"
MISSED = "The window could not be opened"
FORM = "a window: Known issue"
Prepare = Callable[[Faults, str], None]
FAULTS: dict[str, Prepare] = {
    "429 twice, Retry-After 1 s": lambda faults, method: faults.limit_calls(method, 1, times=2),
    "429, Retry-After 12 s": lambda faults, method: faults.limit_calls(method, 12),
    "503 twice": lambda faults, method: faults.break_down(method, 503, times=2),
    "502, though it was done": lambda faults, method: faults.break_down(method, 502, after_doing=True),
    "done, and the answer is lost": lambda faults, method: faults.lose_answer(method),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a method comes to be called: what is sent, and what is done once the fault is prepared."""

    sent: str
    play: "Callable[[Scene, Callable[[], None]], Awaitable[str]]"
    sees: str = VERDICT
    verdicts: int = 1
    starts: bool = True
    managers: str | None = None


async def _story(here: Scene, prepare: Callable[[], None]) -> str:
    prepare()
    return await here.told(here.post())


async def _command(here: Scene, prepare: Callable[[], None]) -> str:
    prepare()
    return await commanded(here, here.link())


async def commanded(here: Scene, text: str) -> str:
    """A person uses the slash command with a link: what stands below the message that it leaves."""
    top = here.slack.workspace.channels[CRASHES].top
    here.slack.command(CRASHES, ANNA, text)
    await until(lambda: list(top()) and is_told(here.slack, next(top())), PATIENCE)
    await here.quiet()
    return first(shown(replies(here.slack, next(top()))[1]))


async def _looked_up(here: Scene, prepare: Callable[[], None]) -> str:
    here.slack.faults.lose_answer("chat.postMessage")
    return await _story(here, prepare)


async def _command_looked_up(here: Scene, prepare: Callable[[], None]) -> str:
    here.slack.faults.lose_answer("chat.postMessage")
    return await _command(here, prepare)


async def _astray(here: Scene, prepare: Callable[[], None]) -> str:
    here.slack.faults.limit_calls("chat.postMessage", 1)
    prepare()
    said = here.post()
    await here.calls("ratelimited")
    del here.slack.workspace.channels[CRASHES].messages[said.ts]
    await here.quiet()
    left = [m for m in here.slack.workspace.channels[CRASHES].messages.values() if m.bot_id]
    return "a message in the channel" if left else "nothing in the channel"


async def pressed(here: Scene, prepare: Callable[[], None], action: str, user: str = ANNA) -> Message:
    """A verdict below which a person pressed a button, once a fault was prepared."""
    said = here.post()
    await here.told(said)
    await here.quiet()
    prepare()
    verdict = replies(here.slack, said)[0]
    here.slack.press(CRASHES, verdict.ts, action, user)
    return verdict


async def _window(here: Scene, prepare: Callable[[], None]) -> str:
    await pressed(here, prepare, acts.KNOWN)
    views, whispers = here.slack.workspace.views, here.slack.workspace.whispers
    await until(lambda: whispers or any("submit" in view.content for view in views.values()), PATIENCE)
    if whispers:
        return await here.whispered()
    return f"a window: {next(iter(views.values())).content['title']['text']}"


async def _denied(here: Scene, prepare: Callable[[], None]) -> str:
    await pressed(here, prepare, acts.ACKNOWLEDGE, BEN)
    return await here.whispered()


async def _home(here: Scene, prepare: Callable[[], None]) -> str:
    await here.told(here.post())
    prepare()
    here.slack.open_home(ANNA)
    homes = here.slack.workspace.homes
    await until(lambda: ANNA in homes and "rassstp.sys" in str(homes[ANNA].content), PATIENCE)
    return "the home tab, with rassstp.sys"


async def _question(here: Scene, prepare: Callable[[], None]) -> str:
    await here.told(here.post())
    prepare()
    asked = here.slack.workspace.say(DIRECT, ANNA, "last 5 crashes")
    await until(lambda: replies(here.slack, asked, DIRECT), PATIENCE)
    return first(shown(replies(here.slack, asked, DIRECT)[0]))


async def _start(here: Scene, prepare: Callable[[], None]) -> str:
    prepare()
    try:
        async with here.running():
            return await here.told(here.post())
    except CannotServe as problem:
        return f"to the operator: {problem}"


async def _upload(here: Scene, prepare: Callable[[], None]) -> str:
    prepare()
    return await here.told(here.slack.workspace.upload(CRASHES, ANNA, "MEMORY.DMP", dump("seed")))


LINK = Way("a link", _story)
DELETED = Way("a link, deleted", _astray, "nothing in the channel", 0)
QUESTION = Way("a question to the bot alone", _question, ANSWERED)
WAYS: dict[str, Way] = {
    "chat.postMessage": LINK,
    "chat.update": LINK,
    "reactions.add": LINK,
    "reactions.remove": LINK,
    "files.getUploadURLExternal": LINK,
    "files.completeUploadExternal": LINK,
    "conversations.info": Way("a command with a link", _command),
    "conversations.replies": Way("a link; an answer was lost", _looked_up),
    "conversations.history": Way("a command; an answer was lost", _command_looked_up),
    "chat.delete": DELETED,
    "users.conversations": QUESTION,
    "users.info": QUESTION,
    "views.open": Way("a press that opens a form", _window, FORM),
    "views.update": Way("a press that opens a form", _window, FORM),
    "views.publish": Way("a look at the home tab", _home, "rassstp.sys"),
    "chat.postEphemeral": Way("a press by who may not", _denied, "You may not do this here", managers=ANNA),
    "auth.test": Way("a start, then a link", _start, starts=False),
    "apps.connections.open": Way("a start, then a link", _start, starts=False),
}
# Where something else is the honest end.
ELSE: dict[tuple[str, str], tuple[str, int]] = {
    **{("views.open", fault): (MISSED, 1) for fault in FAULTS},
}


def cases() -> Iterator[Case]:
    """The rows."""
    for method, way in WAYS.items():
        for fault, prepare in FAULTS.items():
            yield _case(method, fault, prepare, way)
    yield _case(
        "views.open", "429, Retry-After 1 s", lambda faults, method: faults.limit_calls(method, 1), WAYS["views.open"]
    )
    for fault, prepare in list(FAULTS.items())[:2]:
        yield _case("files.download", fault, prepare, Way("a dump, uploaded", _upload))
    yield Case("limits", "429 to everything for 6 s, Retry-After 2 s", "a link", _everything, VERDICT)
    yield Case("limits", "Slack takes 4 s for each answer", "a link", _slow, VERDICT)
    yield Case("limits", "internal_error three times, chat.postMessage", "a link", _internal, VERDICT)
    yield Case("limits", "the second of two commands breaks off undone", "two commands", _two_commands, VERDICT)


def _case(method: str, fault: str, prepare: Prepare, way: Way) -> Case:
    sees, verdicts = ELSE.get((method, fault), (way.sees, way.verdicts))

    async def play(here: Scene) -> str:
        return await way.play(here, partial(prepare, here.slack.faults, method))

    settings = {} if way.managers is None else {"managers": way.managers}
    only = "socket" if method == "apps.connections.open" else None
    made = Case("limits", f"{method}: {fault}", way.sent, play, sees, verdicts, only, starts=way.starts)
    return replace(made, settings=settings, seconds=0.5 if method == "chat.update" else 0.0)


async def _everything(here: Scene) -> str:
    here.slack.faults.rate_limit(6, retry_after=2)
    return await here.told(here.post())


async def _slow(here: Scene) -> str:
    here.slack.faults.slow_seconds = 4.0
    ending = await here.told(here.post())
    here.slack.faults.slow_seconds = 0.0
    return ending


async def _internal(here: Scene) -> str:
    here.slack.faults.fail("chat.postMessage", "internal_error", times=3)
    return await here.told(here.post())


async def _two_commands(here: Scene) -> str:
    here.slack.command(CRASHES, ANNA, "help")
    top = here.slack.workspace.channels[CRASHES].top
    await until(lambda: list(top()) and len(replies(here.slack, next(top()))) == 2, PATIENCE)
    here.slack.faults.break_down("chat.postMessage", 503)
    here.slack.command(CRASHES, ANNA, here.link())
    await until(lambda: len(list(top())) == 2 and is_told(here.slack, list(top())[1]), PATIENCE)
    return first(shown(replies(here.slack, list(top())[1])[1]))
