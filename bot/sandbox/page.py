"""The chat page: channels, threads and a box to write in, live over server-sent events. For a person on loopback.

No script or style is inline, so the page can forbid them (Content-Security-Policy). Posting is taken only from the
page itself and only under a loopback name, so that no web site can post here through a visitor's browser.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import jinja2
from aiohttp import web

from bot.sandbox import render
from bot.sandbox.controls import Uses
from bot.sandbox.page_windows import add_windows
from bot.sandbox.workspace import Channel, User, Workspace

if TYPE_CHECKING:
    from bot.sandbox.server import StandIn

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "web"
STATIC = {"chat.js": "text/javascript", "chat.css": "text/css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without it a browser posts the forms of the page itself with the origin "null"
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEEP_ALIVE_SECONDS = 15.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
COMMAND, SHORTCUT = "/pileup", "analyze_message"
PERSON = "person"  # the cookie that says who sits at the page


def add_pages(stand_in: "StandIn", app: web.Application) -> None:
    """Put the chat page on the stand-in's server."""
    pages = _Pages(stand_in)
    app.middlewares.append(_guard)
    app.router.add_get("/", pages.start)
    app.router.add_get("/favicon.ico", _no_icon)
    app.router.add_get("/chat/events", pages.events)
    app.router.add_get("/chat/static/{name}", _static)
    app.router.add_get("/chat/file/{file}", pages.file)
    app.router.add_post("/chat/person", pages.sit)
    add_windows(stand_in, app)
    app.router.add_get("/chat/{channel}", pages.channel)
    app.router.add_post("/chat/{channel}", pages.post)
    app.router.add_post("/chat/{channel}/{message}", pages.press)
    app.router.add_get("/archives/{channel}/{message}", pages.permalink)


class _Pages:
    def __init__(self, stand_in: "StandIn") -> None:
        self._stand_in = stand_in
        self._workspace: Workspace = stand_in.workspace

    async def start(self, _request: web.Request) -> web.StreamResponse:
        first = next(iter(self._workspace.channels))
        raise web.HTTPFound(f"/chat/{first}")

    async def sit(self, request: web.Request) -> web.StreamResponse:
        user = str((await request.post()).get("user", ""))
        if user not in {person.id for person in self._workspace.people}:
            raise web.HTTPBadRequest(text="unknown user")
        there = web.HTTPSeeOther("/")
        there.set_cookie(PERSON, user, httponly=True, samesite="Strict")
        raise there

    async def channel(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        is_fragment = "fragment" in request.query
        shown = self._shown(request, channel)
        if shown["tab"] == "home" and not is_fragment and channel.is_im:
            self._stand_in.open_home(shown["person"].id)
        template = "chat_messages.html.j2" if is_fragment else "chat.html.j2"
        html = _environment().get_template(template).render(shown)
        return web.Response(text=html, content_type="text/html", headers=HEADERS)

    def _shown(self, request: web.Request, channel: Channel) -> dict[str, Any]:
        workspace, person = self._workspace, self._person(request)
        parent = channel.messages.get(request.query.get("thread") or "")
        windows = [view for view in workspace.views.values() if view.user == person.id]
        heard = [w for w in workspace.whispers if (w.channel, w.user) == (channel.id, person.id)]
        return {
            "workspace": workspace,
            "person": person,
            "people": workspace.people,
            "channels": [c for c in workspace.channels.values() if not c.is_archived and person.id in c.members],
            "channel": channel,
            "tab": "home" if channel.is_im and request.query.get("tab") == "home" else "messages",
            "home": workspace.homes.get(person.id),
            "window": windows[-1] if windows else None,
            "messages": list(channel.top()),
            "thread": channel.thread(parent.ts) if parent else [],
            "parent": parent,
            "whispers": [w for w in heard if w.thread_ts is None],
            "thread_whispers": [w for w in heard if parent and w.thread_ts == parent.ts],
            "replies": {m.ts: len(channel.thread(m.ts)) - 1 for m in channel.top()},
            "mrkdwn": functools.partial(render.mrkdwn, workspace=workspace),
            "blocks": functools.partial(render.blocks, workspace=workspace),
            "uses": Uses,
            "moment": render.moment,
            "emoji": render.emoji,
        }

    async def post(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        form = await request.post()
        text, thread = (str(form.get(name, "")).strip() for name in ("text", "thread"))
        user = str(form.get("user", self._person(request).id))
        if user not in {person.id for person in self._workspace.people}:
            raise web.HTTPBadRequest(text="unknown user")
        if thread and thread not in channel.messages:
            raise web.HTTPBadRequest(text="unknown thread")
        if text == COMMAND or text.startswith(f"{COMMAND} "):
            said = render.typed(text.removeprefix(COMMAND).strip(), self._workspace)
            self._stand_in.command(channel.id, user, said)
        elif text:
            self._workspace.say(channel.id, user, render.typed(text, self._workspace), thread or None)
        raise web.HTTPSeeOther(_there(channel, thread))

    async def press(self, request: web.Request) -> web.StreamResponse:
        channel, ts = self._channel(request), request.match_info["message"]
        form, person = await request.post(), self._person(request)
        action = str(form.get("action", ""))
        try:
            if action == SHORTCUT:
                self._stand_in.shortcut(channel.id, ts, SHORTCUT, person.id)
            else:
                chosen = [str(value) for value in form.getall("chosen", []) if value]
                self._stand_in.press(channel.id, ts, action, person.id, chosen)
        except KeyError:
            raise web.HTTPBadRequest(text="no such button") from None
        raise web.HTTPSeeOther(_there(channel, channel.messages[ts].thread_ts))

    async def file(self, request: web.Request) -> web.StreamResponse:
        file = self._workspace.files.get(request.match_info["file"])
        if file is None or not file.completed:
            raise web.HTTPNotFound
        is_picture = file.content.startswith(b"\x89PNG")
        kind = "image/png" if is_picture else "application/octet-stream"
        how = "inline" if is_picture else "attachment"
        headers = HEADERS | {"Content-Disposition": f"{how}; filename*=UTF-8''{quote(file.name)}"}
        return web.Response(body=file.content, content_type=kind, headers=headers)

    async def permalink(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        digits = request.match_info["message"].removeprefix("p")
        message = channel.messages.get(f"{digits[:-6]}.{digits[-6:]}")
        if message is None:
            raise web.HTTPNotFound(text="no such message")
        raise web.HTTPFound(f"/chat/{channel.id}?thread={message.thread_ts or message.ts}#m{message.ts}")

    async def events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        news = asyncio.Event()

        def changed(*_what: object) -> None:
            news.set()

        self._workspace.listeners.append(changed)
        self._workspace.view_listeners.append(changed)
        try:
            while True:
                await response.write(b"data: changed\n\n")
                news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), KEEP_ALIVE_SECONDS)
        except ConnectionError:
            pass
        finally:
            self._workspace.listeners.remove(changed)
            self._workspace.view_listeners.remove(changed)
        return response

    def _person(self, request: web.Request) -> User:
        people = {person.id: person for person in self._workspace.people}
        return people.get(request.cookies.get(PERSON, ""), self._workspace.people[0])

    def _channel(self, request: web.Request) -> Channel:
        channel = self._workspace.channels.get(request.match_info["channel"])
        if channel is None:
            raise web.HTTPNotFound(text="no such channel")
        return channel


def _there(channel: Channel, thread: str | None) -> str:
    return f"/chat/{channel.id}" + (f"?thread={quote(thread)}" if thread else "")


async def _no_icon(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _static(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound
    text = await asyncio.to_thread((TEMPLATES / name).read_text, "utf-8")
    return web.Response(text=text, content_type=STATIC[name], headers=HEADERS)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    page = not request.path.startswith(("/api/", "/link/", "/upload/", "/files-pri/", "/respond/"))
    if page and urlsplit(f"//{request.host}").hostname not in LOOPBACK:
        raise web.HTTPForbidden(text="this page answers on loopback only")
    origin = request.headers.get("Origin")
    if page and request.method == "POST" and origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="only this page may post here")
    return await handler(request)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
