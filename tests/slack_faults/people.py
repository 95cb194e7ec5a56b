"""What people do with buttons, forms and commands at the wrong moment."""

import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from bot import acts
from bot.sandbox.workspace import View, Workspace
from storage.forgetting import Which
from storage.store import Store
from storage.threads import Threads
from tests.bot.kit import ANNA, CRASHES, replies, shown, until
from tests.slack_faults.events import VERDICT
from tests.slack_faults.limits import MISSED, commanded, pressed
from tests.slack_faults.scene import PATIENCE, Case, Scene, asleep, first

GROUP = "people"


def _nothing() -> None:
    """No fault is prepared."""


async def _form(here: Scene) -> View:
    views = here.slack.workspace.views
    await until(lambda: any("submit" in view.content for view in views.values()), PATIENCE)
    return next(view for view in views.values() if "submit" in view.content)


async def _expired(here: Scene) -> str:
    def slow() -> None:
        here.slack.faults.slow_seconds = 3.2

    await pressed(here, slow, acts.KNOWN)
    told = await here.whispered()
    here.slack.faults.slow_seconds = 0.0
    return told


async def _pressed_twice(here: Scene) -> str:
    verdict = await pressed(here, _nothing, acts.ACKNOWLEDGE)
    sent = here.slack.deliveries.all[-1].payload
    here.slack.deliveries.interact(sent)
    await until(lambda: "acknowledged by" in shown(verdict), PATIENCE)
    await here.quiet()
    return f"“acknowledged by” {shown(verdict).count('acknowledged by')} time"


async def _window_twice(here: Scene) -> str:
    await pressed(here, _nothing, acts.KNOWN)
    await _form(here)
    here.slack.deliveries.interact(here.slack.deliveries.all[-1].payload)
    await here.calls("exchanged_trigger_id")
    await here.quiet()
    return f"{len(here.slack.workspace.views)} window, {len(here.slack.workspace.whispers)} whispers"


async def _closed(here: Scene) -> str:
    real = Workspace.open_view

    def opened(self: Workspace, trigger: str, content: dict[str, Any]) -> View:
        view = real(self, trigger, content)
        self.close_view(view)  # the person closes it at once
        return view

    with patch.object(Workspace, "open_view", opened):
        verdict = await pressed(here, _nothing, acts.KNOWN)
        await here.calls("not_found")
        await here.quiet()
    return first(shown(verdict))


async def _slow_store(here: Scene) -> str:
    verdict = await pressed(here, _nothing, acts.KNOWN)
    form = await _form(here)
    real = Threads.of_summary

    def slow(self: Threads, *given: str) -> Any:
        time.sleep(4)
        return real(self, *given)

    with patch.object(Threads, "of_summary", slow):
        sent = await here.slack.submit(form.id, {"note": "loses requests", "fixed_in": "99.1"})
        await until(lambda: "Known issue: loses requests" in shown(verdict), PATIENCE)
    return f"{first(shown(verdict))} (acknowledged {'in' if (sent.acked_after or 9) < 3 else 'NOT in'} time)"


async def _mistaken(here: Scene) -> str:
    await pressed(here, _nothing, acts.KNOWN)
    form = await _form(here)
    await here.slack.submit(form.id, {"note": " ", "fixed_in": "soon"})
    return f"the form stays, with {len(form.errors)} fields marked"


async def _sent_twice(here: Scene) -> str:
    verdict = await pressed(here, _nothing, acts.WRONG)
    form = await _form(here)
    sent = await here.slack.submit(form.id, {"reason": "it was the SSD"})
    here.slack.deliveries.interact(sent.payload)
    await until(lambda: "calls the verdict wrong" in shown(verdict), PATIENCE)
    await here.quiet()
    return f"“calls the verdict wrong” {shown(verdict).count('calls the verdict wrong')} time"


async def _forgotten(here: Scene) -> str:
    said = here.post()
    await here.told(said)
    await here.quiet()
    with Store.open(here.home / "pileup.sqlite") as store:
        store.forget(Which(numbers=(1,)))
    here.slack.press(CRASHES, replies(here.slack, said)[0].ts, acts.ACKNOWLEDGE, ANNA)
    return await here.whispered()


async def _message_gone(here: Scene) -> str:
    said = here.post()
    await here.told(said)
    await here.quiet()
    workspace = here.slack.workspace
    verdict = replies(here.slack, said)[0]
    sent = here.slack.press(CRASHES, verdict.ts, acts.ACKNOWLEDGE, ANNA)
    workspace.delete(workspace.channels[CRASHES], verdict)
    await here.quiet()
    assert sent.acked_after is not None
    again = here.slack.workspace.say(CRASHES, ANNA, here.link())
    return await here.done(again)


async def _old_button(here: Scene) -> str:
    said = here.post()
    await here.told(said)
    verdict = replies(here.slack, said)[0]
    sent = here.slack.press(CRASHES, verdict.ts, acts.ACKNOWLEDGE, ANNA)
    await until(lambda: "acknowledged by" in shown(verdict), PATIENCE)
    old = {**sent.payload, "actions": [{**sent.payload["actions"][0], "action_id": "of-an-older-version"}]}
    other = here.slack.deliveries.interact(old)
    await until(lambda: other.acked_after is not None, PATIENCE)
    return here.ending(said)


async def _command_twice(here: Scene) -> str:
    ending = await commanded(here, here.link())
    here.slack.deliveries.interact(here.slack.deliveries.all[0].payload, "slash_commands")
    await asleep(0.3)
    await here.quiet()
    tops = list(here.slack.workspace.channels[CRASHES].top())
    return f"{ending} below {len(tops)} message"


def cases() -> Iterator[Case]:
    """The rows."""
    for name, sent, play, sees in (
        ("the trigger expires: Slack takes 3.2 s", "a press that opens a form", _expired, MISSED),
        ("a press comes twice", "a press", _pressed_twice, "1 time"),
        ("a press that opens a form comes twice", "a press that opens a form", _window_twice, "1 window, 0 whispers"),
        ("the window is closed before it is filled", "a press that opens a form", _closed, VERDICT),
        ("history takes 4 s", "a form", _slow_store, "Known issue"),
        ("a form with mistakes", "a form", _mistaken, "2 fields marked"),
        ("a form comes twice", "a form", _sent_twice, "1 time"),
        ("the crash was forgotten", "a press", _forgotten, "History does not know this crash any more"),
        ("a button of an older version", "two presses", _old_button, VERDICT),
        ("a command comes twice", "a command with a link", _command_twice, "below 1 message"),
    ):
        yield Case(GROUP, name, sent, play, sees)
    yield Case(GROUP, "the verdict is deleted after a press", "a press; the link again", _message_gone, VERDICT, 0)
