"""Windows and home tabs on the chat page: their buttons, their forms, and the cross that closes a window."""

from typing import TYPE_CHECKING

from aiohttp import web

from bot.sandbox.controls import field_name
from bot.sandbox.payloads import elements_of
from bot.sandbox.workspace import View, Workspace

if TYPE_CHECKING:
    from multidict import MultiDictProxy

    from bot.sandbox.server import StandIn

CLOSE, SEND = "close", "send"


def add_windows(stand_in: "StandIn", app: web.Application) -> None:
    """Take what a person does in a window or on a home tab, at ``/chat/view/{id}``."""
    app.router.add_post("/chat/view/{view}", _Windows(stand_in).use)


class _Windows:
    def __init__(self, stand_in: "StandIn") -> None:
        self._stand_in = stand_in
        self._workspace: Workspace = stand_in.workspace

    async def use(self, request: web.Request) -> web.StreamResponse:
        view = self._view(request.match_info["view"])
        form = await request.post()
        given = _given(view, form)
        action = str(form.get("action", ""))
        if "how" in form and form["how"] == CLOSE:
            self._workspace.close_view(view)
        elif "how" in form:
            try:
                await self._stand_in.submit(view.id, given)
            except TimeoutError:
                self._workspace.refuse_form(view, {"": "We had some trouble connecting. Try again?"})
        else:
            chosen = {item.get("action_id"): field_name(block, item) for block, item in _elements(view)}
            try:
                self._stand_in.press_view(view, action, given.get(chosen[action]), given)
            except KeyError:
                raise web.HTTPBadRequest(text="no such button") from None
        return web.Response(status=204)

    def _view(self, view_id: str) -> View:
        homes = {view.id: view for view in self._workspace.homes.values()}
        view = self._workspace.views.get(view_id) or homes.get(view_id)
        if view is None:
            raise web.HTTPNotFound(text="no such window")
        return view


def _given(view: View, form: "MultiDictProxy[str | bytes | bytearray | web.FileField]") -> dict[str, list[str]]:
    names = [field_name(block, item) for block, item in _elements(view) if item["type"] != "button"]
    return {name: [str(value) for value in form.getall(name, []) if value] for name in names}


def _elements(view: View) -> list[tuple[str, dict[str, object]]]:
    return list(elements_of(view.content["blocks"]))
