"""The chat page: channels, threads and a box to write in, live over server-sent events. For a person on loopback.

No script or style is inline, so the page can forbid them (Content-Security-Policy). Posting is taken only from the
page itself and only under a loopback name, so that no web site can post here through a visitor's browser.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import jinja2
from aiohttp import web

from bot.sandbox import render
from bot.sandbox.workspace import Channel, Message, Workspace

if TYPE_CHECKING:
    from bot.sandbox.server import StandIn

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "web"
STATIC = {"chat.js": "text/javascript", "chat.css": "text/css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KEEP_ALIVE_SECONDS = 15.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_pages(stand_in: "StandIn", app: web.Application) -> None:
    """Put the chat page on the stand-in's server."""
    pages = _Pages(stand_in)
    app.middlewares.append(_guard)
    app.router.add_get("/", pages.start)
    app.router.add_get("/chat/events", pages.events)
    app.router.add_get("/chat/static/{name}", _static)
    app.router.add_get("/chat/file/{file}", pages.file)
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

    async def channel(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        thread = request.query.get("thread")
        parent = channel.messages.get(thread or "")
        template = "chat_messages.html.j2" if "fragment" in request.query else "chat.html.j2"
        html = (
            _environment()
            .get_template(template)
            .render(
                workspace=self._workspace,
                channels=[c for c in self._workspace.channels.values() if not c.is_archived],
                people=self._workspace.people,
                channel=channel,
                messages=list(channel.top()),
                thread=channel.thread(parent.ts) if parent else [],
                parent=parent,
                replies={m.ts: len(channel.thread(m.ts)) - 1 for m in channel.top()},
                mrkdwn=functools.partial(render.mrkdwn, workspace=self._workspace),
                blocks=functools.partial(render.blocks, workspace=self._workspace),
                moment=render.moment,
                emoji=render.emoji,
            )
        )
        return web.Response(text=html, content_type="text/html", headers=HEADERS)

    async def post(self, request: web.Request) -> web.StreamResponse:
        channel = self._channel(request)
        form = await request.post()
        text, user, thread = (str(form.get(name, "")) for name in ("text", "user", "thread"))
        if user not in {person.id for person in self._workspace.people}:
            raise web.HTTPBadRequest(text="unknown user")
        if thread and thread not in channel.messages:
            raise web.HTTPBadRequest(text="unknown thread")
        if text.strip():
            self._workspace.say(channel.id, user, render.typed(text.strip(), self._workspace), thread or None)
        raise web.HTTPSeeOther(f"/chat/{channel.id}" + (f"?thread={quote(thread)}" if thread else ""))

    async def press(self, request: web.Request) -> web.StreamResponse:
        channel, ts = self._channel(request), request.match_info["message"]
        action = str((await request.post()).get("action", ""))
        try:
            self._stand_in.press(channel.id, ts, action, self._workspace.people[0].id)
        except KeyError:
            raise web.HTTPBadRequest(text="no such button") from None
        thread = channel.messages[ts].thread_ts
        raise web.HTTPSeeOther(f"/chat/{channel.id}" + (f"?thread={quote(thread)}" if thread else ""))

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

        def changed(_what: str, _channel: Channel, _message: Message) -> None:
            news.set()

        self._workspace.listeners.append(changed)
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
        return response

    def _channel(self, request: web.Request) -> Channel:
        channel = self._workspace.channels.get(request.match_info["channel"])
        if channel is None:
            raise web.HTTPNotFound(text="no such channel")
        return channel


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
