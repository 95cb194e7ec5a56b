"""``pileup serve``: Socket Mode and workers in one loop, until asked to stop."""

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from analysis.confinement import hide_from_children
from bot import logs
from bot.app import Listeners, create_app
from bot.clients import goes_direct
from bot.confined import confinement_notes
from bot.ending import Ending, on_signals
from bot.fleet.crews import crew_of
from bot.fleet.presence import be_there
from bot.greeting import Greeter
from bot.housekeeping import keep_house, keep_sight
from bot.install.leaving import leave
from bot.listeners import buttons
from bot.listeners.intake import Rules
from bot.rounds import make_rounds
from bot.sending import PACE_SECONDS
from bot.settings import Settings
from bot.slack_calls import is_passing, word
from bot.starting import SPARE_THREADS, CannotServe, open_workspaces, opened_store, tools_of
from bot.tools import Analyse, Tools
from bot.webhooks.delivering import Deliverer
from bot.workspaces import Workspaces
from storage.errors import StorageError
from storage.jobs import Job
from storage.store import Store

log = logging.getLogger(__name__)

HEALTH_SECONDS = 60.0
PING_SECONDS = 5.0
STOP_SECONDS = 10.0
CONNECT_WAITS = (1.0, 2.0, 4.0)  # before a connection is asked for again at the start


def run(settings: Settings, *, analyse: Analyse | None = None) -> int:
    """Serve until a signal; the exit status. ``analyse`` replaces the analysis in a child process."""
    logs.configure(settings.log_level, settings.log_format)
    for note in (*confinement_notes(), *settings.symbol_gaps()):
        log.warning("%s", note)
    try:
        asyncio.run(serve(settings, analyse=analyse))
    except CannotServe as problem:
        print(f"pileup: {problem}", file=sys.stderr)
        return 2
    return 0


async def serve(
    settings: Settings,
    *,
    analyse: Analyse | None = None,
    stop: asyncio.Event | None = None,
    pace_seconds: float = PACE_SECONDS,
) -> None:
    """Connect, work, and leave everything in order when ``stop`` is set or a signal asks for it.

    Raises:
        CannotServe: a token is missing or refused, or history cannot be opened.
    """
    stop = stop or asyncio.Event()
    if (note := hide_from_children()) is not None:
        log.warning("%s", note)
    secret = _secret(settings)
    async with AsyncExitStack() as stack:
        # A running analysis holds a thread, and no number of them may keep an event waiting for its transaction.
        threads = ThreadPoolExecutor(settings.workers * 2 + SPARE_THREADS, thread_name_prefix="pileup")
        asyncio.get_running_loop().set_default_executor(threads)
        store = await opened_store(settings, stack)
        on_signals(stop.set, stack)
        workspaces = await open_workspaces(settings, store, pace_seconds)
        tools = tools_of(settings, workspaces, analyse)
        crew = crew_of(settings, tools, Ending(stop, stop))
        greeter = Greeter(store, workspaces)
        stack.push_async_callback(greeter.close)

        def announce(jobs: list[Job]) -> None:
            crew.announce()
            greeter.greet(jobs)

        user = workspaces.nobody.identity.user
        rules = Rules(
            *(user, settings.channels, settings.users, settings.link_hosts, settings.permissions), settings.web_url
        )
        desk = buttons.Desk(
            *(store, tools.stops, workspaces.nobody.sender, workspaces.nobody.membership, announce),
            defaults=settings.defaults,
            page=settings.access.report_link,
        )
        is_http = settings.transport == "http"
        losing = functools.partial(leave, store, tools.stops, settings.home) if settings.installs else None
        listeners = Listeners(workspaces, desk, rules, losing, settings.access)
        app = create_app(listeners, settings.slack_api_url, secret if is_http else None)
        listening = []
        if is_http or settings.installs:
            listening.append(_events(settings, app if is_http else None, store, stop))
        if not is_http:
            listening.append(asyncio.create_task(_health(await _connected(app, secret, stack), store, stop)))
        who = user or "what each workspace installed"
        log.info("%s as %s; %d workers", "listening" if is_http else "connected", who, settings.workers)
        tasks = [*crew.start(), *listening]
        if settings.workers:
            tasks.append(asyncio.create_task(be_there(store, settings.workers, stop, may_be_outgrown=True)))
        tasks.append(asyncio.create_task(keep_house(store, settings, stop)))
        tasks.append(asyncio.create_task(make_rounds(tools, workspaces, announce, stop)))
        tasks.append(asyncio.create_task(keep_sight(workspaces, stop)))
        deliverer = Deliverer(store, settings.access.page_link, settings.webhook_private_addresses)
        tasks.append(asyncio.create_task(deliverer.run(stop)))
        if settings.web_port is not None:
            tasks.append(_pages(settings, workspaces, tools, crew.announce, stop))
        await _until(stop, tasks)


def _pages(
    settings: Settings, workspaces: Workspaces, tools: Tools, announce: Callable[[], None], stop: asyncio.Event
) -> asyncio.Task[None]:
    # Imported where there are pages: the server costs a third of a second.
    from bot.web.doors import doors_of
    from bot.web.pages import create_site
    from bot.web.running import open_socket, serve_pages

    try:
        place = open_socket(settings.web_address, settings.web_port or 0)
    except OSError as error:
        where = f"{settings.web_address}:{settings.web_port}"
        raise CannotServe(f"pages cannot be served at {where}: {error.strerror}") from error
    log.info("pages at %s:%d", settings.web_address, settings.web_port)
    site = create_site(tools.store, settings.access, doors=doors_of(settings, workspaces, tools, announce))
    return asyncio.create_task(serve_pages(site, place, stop, settings.web_proxies))


def _events(settings: Settings, app: AsyncApp | None, store: Store, stop: asyncio.Event) -> asyncio.Task[None]:
    from bot.http_events import PATH, events_site
    from bot.install.routes import install_routes
    from bot.web.running import open_socket, serve_pages

    try:
        place = open_socket(settings.http_address, settings.http_port)
    except OSError as error:
        where = f"{settings.http_address}:{settings.http_port}"
        raise CannotServe(f"events cannot be taken at {where}: {error.strerror}") from error
    log.info("Slack comes to %s:%d%s", settings.http_address, settings.http_port, PATH if app else "")
    routes = install_routes(settings, store) if settings.installs else []
    return asyncio.create_task(serve_pages(events_site(app, store, routes), place, stop))


def _secret(settings: Settings) -> str:
    # What proves that we are we (app token) or that Slack is Slack (signing secret).
    is_http = settings.transport == "http"
    secret = settings.slack_signing_secret if is_http else settings.slack_app_token
    name = "PILEUP_SLACK_SIGNING_SECRET" if is_http else "PILEUP_SLACK_APP_TOKEN"
    if secret is None or not (settings.slack_bot_token or settings.installs):
        raise CannotServe(f"serve needs PILEUP_SLACK_BOT_TOKEN and {name}")
    return secret.get_secret_value()


async def _connected(app: AsyncApp, app_token: str, stack: AsyncExitStack) -> AsyncSocketModeHandler:
    handler = AsyncSocketModeHandler(app, app_token, ping_interval=PING_SECONDS)
    await _connect(handler)
    stack.push_async_callback(handler.close_async)
    return handler


async def _connect(handler: AsyncSocketModeHandler) -> None:
    # The client itself would try for ever: a refused app token is said at once, a fault that passes is waited out.
    if goes_direct(handler.client.web_client.base_url):
        handler.client.proxy = None
    for wait in (*CONNECT_WAITS, None):
        try:
            handler.client.wss_uri = await handler.client.issue_new_wss_url()
            break
        except (SlackApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
            refused = isinstance(error, SlackApiError) and not is_passing(error)
            if refused or wait is None:
                await handler.close_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped
                why = word(error) if isinstance(error, SlackApiError) else type(error).__name__
                what = "Slack refuses the app token" if refused else "Slack cannot be reached"
                raise CannotServe(f"{what}: {why}") from error
            log.warning("Slack gives no connection: %s; trying again in %.0f s", error, wait)
            await asyncio.sleep(wait)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # as above


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    log.info("stopping")
    _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    for task in (*late, stopping):
        task.cancel()
    await asyncio.gather(*late, stopping, return_exceptions=True)
    for task in done - {stopping}:
        task.result()  # a worker that died by itself is a fault worth a traceback


async def _health(handler: AsyncSocketModeHandler, store: Store, stop: asyncio.Event) -> None:
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), HEALTH_SECONDS)
            return
        connected = await handler.client.is_connected()
        level = logging.INFO if connected else logging.WARNING
        try:
            counts = await asyncio.to_thread(store.jobs.counts)
            jobs = ", ".join(f"{count} {state}" for state, count in counts.items())
        except StorageError as error:  # it comes back, and whatever waits for it goes on
            level, jobs = logging.WARNING, f"not known: {type(error).__name__}"
        log.log(level, "health: socket %s, jobs %s", "connected" if connected else "down", jobs)
