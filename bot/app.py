"""The Bolt app: a factory, no state of its own.

``process_before_response`` makes Bolt acknowledge after the listener has returned, so an event is stored before
Slack forgets it. The listener is one SQLite transaction in a thread: far below the three seconds Slack grants.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.async_app import AsyncAck, AsyncRespond
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from bot import modals
from bot.auditing import keep_jobs, note_refused
from bot.clients import bare_client
from bot.home_tab import acting, showing
from bot.home_tab import forms as home_forms
from bot.install import leaving
from bot.listeners import buttons, commands, intake, rooms, unfurling
from bot.listeners.names import COMMAND, SHORTCUT
from bot.outbound import Message, checked
from bot.patience import Patience
from bot.stopping import stop_jobs
from bot.web.guard import NO_PAGES, Access
from bot.workspaces import Workspaces
from storage.events import Request
from storage.jobs import Job
from storage.store import Store

log = logging.getLogger(__name__)

ANYTHING = re.compile("")
Leave = Callable[[Mapping[str, Any]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Here:
    """What a listener works with in the workspace of an event."""

    desk: buttons.Desk
    rules: intake.Rules
    store: Store


def create_app(listeners: "Listeners", api_url: str, signing_secret: str | None = None) -> AsyncApp:
    """The app with its listeners. With a signing secret it takes events over HTTP, and none that is not signed with
    it.
    """

    async def authorize(team_id: str | None, **_: Any) -> AuthorizeResult | None:  # Bolt takes no method here
        return await listeners.authorize(team_id)

    app = AsyncApp(
        client=bare_client(api_url),
        authorize=authorize,  # type: ignore[arg-type]  # it takes None for "not installed", though
        process_before_response=True,
        signing_secret=signing_secret,
        request_verification_enabled=signing_secret is not None,
    )
    app.command(COMMAND)(ack=acknowledge, lazy=[listeners.command])
    app.shortcut(SHORTCUT)(ack=acknowledge, lazy=[listeners.shortcut])
    app.event("app_mention")(listeners.hear)
    app.event("message")(listeners.hear)
    for name in rooms.EVENTS:
        app.event(name)(ack=acknowledge, lazy=[listeners.heed])
    for name in leaving.EVENTS:
        app.event(name)(ack=acknowledge, lazy=[listeners.lose])
    # What a person did with a button is acknowledged before it is done: history may be slow, three seconds are not.
    for action in buttons.ACTIONS:
        app.action(action)(ack=acknowledge, lazy=[listeners.press])
    for form in (*buttons.ALL_FORMS, *home_forms.FORMS):
        app.view(form)(ack=check, lazy=[listeners.submit])
    app.event("link_shared")(ack=acknowledge, lazy=[listeners.unfurl])
    app.event("app_home_opened")(ack=acknowledge, lazy=[listeners.open_home])
    for action in acting.ACTIONS:
        app.action(action)(ack=acknowledge, lazy=[listeners.press_home])
    _take_the_rest(app)
    return app


def _take_the_rest(app: AsyncApp) -> None:
    # Last: events that an operator subscribed to for nothing, buttons of an older version, windows that were closed.
    # What nobody acknowledges comes again, shows the person a warning, or has Slack switch all events off.
    for listen in (app.event, app.action, app.shortcut, app.view_submission, app.view_closed):
        listen(ANYTHING)(acknowledge)
    app.middleware(be_limited)


@dataclass(frozen=True, slots=True)
class Listeners:
    """What is done with an event: with what ``desk`` has, in the workspace that it is of. ``leave`` is told of
    workspaces that take the app away; ``access`` says which pages are ours.
    """

    workspaces: Workspaces
    desk: buttons.Desk
    rules: intake.Rules
    leave: Leave | None = None
    access: Access = NO_PAGES
    patience: Patience = field(default_factory=Patience)

    async def authorize(self, team_id: str | None) -> AuthorizeResult | None:
        """Who we are where an event comes from: known, since taking an event must not wait for Slack's answer."""
        workspace = await self.workspaces.of(team_id or "")
        if workspace is None:
            return None
        who = workspace.identity
        return AuthorizeResult(enterprise_id=None, team_id=who.team, bot_user_id=who.user, bot_id=who.bot)

    async def hear(self, body: dict[str, Any]) -> None:
        """A message, or a mention. While history is away it is kept in mind."""
        await self.patience.keep(f"event {body.get('event_id')}", lambda: self._hear(body))

    async def _hear(self, body: dict[str, Any]) -> None:
        here = await self._here(body)
        if here is None:
            return
        if rooms.is_about_room(body["event"]):
            await rooms.heed(here.store, here.desk.membership, body)
            return
        gone = intake.deleted(body)
        if gone is not None:
            jobs = await asyncio.to_thread(here.store.jobs.of_message, *gone)
            await stop_jobs(here.store, here.desk.stops, jobs, "deleted")
            return
        wanted = intake.requests(body, here.rules)
        if not wanted:
            await note_refused(here.store, body, here.rules)
            return
        made = await asyncio.to_thread(_taken, here.store, body, wanted)
        log.info("event %s: %d of %d requests are new", body["event_id"], len(made), len(wanted))
        if made:
            here.desk.announce(made)

    async def heed(self, body: dict[str, Any]) -> None:
        """Something happened to a channel."""
        here = await self._here(body)
        if here is not None:
            await rooms.heed(here.store, here.desk.membership, body)

    async def lose(self, body: dict[str, Any]) -> None:
        """A workspace takes the app away."""
        if self.leave is not None:
            await self.leave(body)

    async def press(self, body: dict[str, Any]) -> None:
        """A button was pressed."""
        here = await self._here(body)
        if here is not None:
            await buttons.press(here.desk, here.rules, body)
            await showing.follow(here.desk, here.rules, team_of(body), body)

    async def open_home(self, body: dict[str, Any]) -> None:
        """The home tab was opened."""
        here = await self._here(body)
        if here is not None:
            await showing.opened(here.desk, here.rules, team_of(body), body["event"])

    async def unfurl(self, body: dict[str, Any]) -> None:
        """Links to our pages were posted."""
        here = await self._here(body)
        if here is not None:
            await unfurling.unfurl(here.desk, here.rules, self.access, team_of(body), body)

    async def press_home(self, body: dict[str, Any]) -> None:
        """Something on the home tab was pressed or chosen."""
        here = await self._here(body)
        if here is not None:
            await acting.press(here.desk, here.rules, team_of(body), body)

    async def submit(self, body: dict[str, Any]) -> None:
        """A form was sent."""
        here = await self._here(body)
        if here is None:
            return
        if body["view"]["callback_id"] in home_forms.FORMS:
            await acting.submit(here.desk, here.rules, team_of(body), body)
            return
        await buttons.submit(here.desk, here.rules, body)
        about = modals.unpack(body["view"].get("private_metadata"))
        surely = about is not None and about.at_home
        await showing.follow(here.desk, here.rules, team_of(body), body, surely=surely)

    async def command(self, body: dict[str, Any], respond: AsyncRespond) -> None:
        """The slash command."""
        here = await self._here(body)
        if here is not None:
            await commands.command(here.desk, here.rules, body, teller(respond))

    async def shortcut(self, body: dict[str, Any], respond: AsyncRespond) -> None:
        """The shortcut of a message."""
        here = await self._here(body)
        if here is not None:
            await commands.shortcut(here.desk, here.rules, body, teller(respond))

    async def _here(self, body: Mapping[str, Any]) -> Here | None:
        workspace = await self.workspaces.of(team_of(body))
        if workspace is None:
            return None
        rules = replace(self.rules, bot_user=workspace.identity.user)
        return Here(self.desk.at(workspace), rules, workspace.store)


def _taken(store: Store, body: dict[str, Any], wanted: list[Request]) -> list[Job]:
    # Slack waits: all that is kept of an event is one transaction, in one thread.
    user = body["event"].get("user") or ""
    with store.at_once():
        rooms.keep_kind(store, body, user)
        made = store.events.accept(body["event_id"], wanted)
        keep_jobs(store, made, user)
    return made


def team_of(body: Mapping[str, Any]) -> str:
    """The workspace that an event, a press or a command is for: the one that has the app, where it says so."""
    for authorized in body.get("authorizations") or ():
        if authorized.get("team_id"):
            return str(authorized["team_id"])
    return str(body.get("team_id") or (body.get("team") or {}).get("id") or "")


async def acknowledge(ack: AsyncAck) -> None:
    """Tell Slack that something has come."""
    await ack()


async def be_limited(body: dict[str, Any], next: Callable[[], Awaitable[BoltResponse]]) -> BoltResponse:  # noqa: A002  # Bolt's name
    """Take it from Slack where it says that it leaves events out."""
    if body.get("type") != "app_rate_limited":
        return await next()
    log.warning("Slack leaves events out: more than 30,000 came within an hour")
    return BoltResponse(status=200)


async def check(ack: AsyncAck, body: dict[str, Any]) -> None:
    """Take a form, or say what must be mended in it."""
    view = body["view"]
    kind, given = view["callback_id"], modals.filled_in(view)
    mistakes = home_forms.mistakes(kind, given) if kind in home_forms.FORMS else modals.mistakes(kind, given)
    if mistakes:
        await ack(response_action="errors", errors=mistakes)
    else:
        await ack()


def teller(respond: AsyncRespond) -> commands.Tell:
    """What says something to the person alone who used a command or a shortcut."""

    async def tell(message: Message) -> None:
        await respond(text=checked(message, "tell")["text"], response_type="ephemeral")

    return tell
