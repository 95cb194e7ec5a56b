"""``pileup serve``: Socket Mode and workers in one loop, until asked to stop."""

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from analysis.confinement import hide_from_children
from analysis.verdict.report import Report
from analysis.verdict.rules import present_analyzer
from bot import answers, child, logs
from bot.app import Identity, create_app, goes_direct, reading_client, sending_client
from bot.confined import confinement_notes
from bot.ending import Ending, on_signals
from bot.fetch.download import Arrived, Fetched
from bot.fetch.links import Link
from bot.fetch.remote import reach
from bot.fleet.crews import crew_of
from bot.fleet.presence import be_there
from bot.greeting import Greeter
from bot.housekeeping import keep_house, keep_sight
from bot.listeners import buttons
from bot.listeners.intake import Rules
from bot.membership import Membership
from bot.orphans import bereave
from bot.rounds import make_rounds
from bot.sending import PACE_SECONDS, Sender
from bot.settings import Settings
from bot.symbols.fetching import SymbolServers
from bot.tools import Analyse, Tools
from storage.clock import utc_now
from storage.database import spoken
from storage.errors import StorageError
from storage.jobs import Job
from storage.store import Store

log = logging.getLogger(__name__)

HEALTH_SECONDS = 60.0
PING_SECONDS = 5.0
STOP_SECONDS = 10.0
SPARE_THREADS = 8


class CannotServe(Exception):
    """Something needed is missing or refused; the text says what, in a line for the operator."""


def run(settings: Settings, *, analyse: Analyse | None = None) -> int:
    """Serve until a signal; the exit status. ``analyse`` replaces the analysis in a child process."""
    logs.configure(settings.log_level)
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
    token, secret = _tokens(settings)
    client = reading_client(token, settings.slack_api_url)
    identity = await identify(client)
    async with AsyncExitStack() as stack:
        # A running analysis holds a thread, and no number of them may keep an event waiting for its transaction.
        threads = ThreadPoolExecutor(settings.workers * 2 + SPARE_THREADS, thread_name_prefix="pileup")
        asyncio.get_running_loop().set_default_executor(threads)
        store = await opened_store(settings, stack)
        on_signals(stop.set, stack)
        sender = Sender(sending_client(token, settings.slack_api_url), pace_seconds=pace_seconds)
        membership = Membership(client, store, identity.team or "")
        tools = tools_of(settings, store, sender, identity, membership=membership, analyse=analyse)
        crew = crew_of(settings, tools, Ending(stop, stop))
        greeter = Greeter(store, sender)
        stack.push_async_callback(greeter.close)

        def announce(jobs: list[Job]) -> None:
            crew.announce()
            greeter.greet(jobs)

        rules = Rules(identity.user, settings.channels, settings.users, settings.link_hosts, settings.managers)
        desk = buttons.Desk(store, tools.stops, sender, membership, announce)
        is_http = settings.transport == "http"
        app = create_app(identity, settings.slack_api_url, rules, desk, secret if is_http else None)
        if is_http:
            listening = _events(settings, app, store, stop)
        else:
            listening = asyncio.create_task(_health(await _connected(app, secret, stack), store, stop))
        log.info("%s as %s; %d workers", "listening" if is_http else "connected", identity.user, settings.workers)
        tasks = [*crew.start(), listening]
        if settings.workers:
            tasks.append(asyncio.create_task(be_there(store, settings.workers, stop)))
        tasks.append(asyncio.create_task(keep_house(store, settings, stop)))
        tasks.append(asyncio.create_task(make_rounds(tools, announce, stop)))
        tasks.append(asyncio.create_task(keep_sight(membership, stop)))
        if settings.web_port is not None:
            tasks.append(_pages(settings, settings.web_port, tools, identity, stop))
        await _until(stop, tasks)


def _pages(settings: Settings, port: int, tools: Tools, identity: Identity, stop: asyncio.Event) -> asyncio.Task[None]:
    # Imported where there are pages: the server costs a third of a second.
    from bot.web.doors import doors_of
    from bot.web.pages import create_site
    from bot.web.running import open_socket, serve_pages

    try:
        place = open_socket(settings.web_address, port)
    except OSError as error:
        raise CannotServe(f"pages cannot be served at {settings.web_address}:{port}: {error.strerror}") from error
    log.info("pages at %s:%d", settings.web_address, port)
    site = create_site(tools.store, settings.access, doors=doors_of(settings, identity.team, tools.membership))
    return asyncio.create_task(serve_pages(site, place, stop))


def _events(settings: Settings, app: AsyncApp, store: Store, stop: asyncio.Event) -> asyncio.Task[None]:
    from bot.http_events import PATH, events_site
    from bot.web.running import open_socket, serve_pages

    try:
        place = open_socket(settings.http_address, settings.http_port)
    except OSError as error:
        where = f"{settings.http_address}:{settings.http_port}"
        raise CannotServe(f"events cannot be taken at {where}: {error.strerror}") from error
    log.info("events at %s:%d%s", settings.http_address, settings.http_port, PATH)
    return asyncio.create_task(serve_pages(events_site(app, store), place, stop))


def _tokens(settings: Settings) -> tuple[str, str]:
    # The bot token, and what proves that we are we (app token) or that Slack is Slack (signing secret).
    is_http = settings.transport == "http"
    second = settings.slack_signing_secret if is_http else settings.slack_app_token
    if settings.slack_bot_token is None or second is None:
        name = "PILEUP_SLACK_SIGNING_SECRET" if is_http else "PILEUP_SLACK_APP_TOKEN"
        raise CannotServe(f"serve needs PILEUP_SLACK_BOT_TOKEN and {name}")
    return settings.slack_bot_token.get_secret_value(), second.get_secret_value()


async def opened_store(settings: Settings, stack: AsyncExitStack) -> Store:
    """History, open as long as the stack is; the jobs of dead processes of this host are given back.

    Raises:
        CannotServe: it cannot be opened.
    """
    try:
        store = await asyncio.to_thread(Store.open, settings.database)
    except (OSError, StorageError) as error:
        raise CannotServe(f"history in {spoken(settings.database)} cannot be opened: {error}") from error
    stack.callback(store.close)
    orphans = await asyncio.to_thread(bereave, store)
    if orphans:
        log.info("%d jobs of a process that died go on here", orphans)
    return store


async def identify(client: AsyncWebClient) -> Identity:
    """Who the token makes us.

    Raises:
        CannotServe: Slack refuses the token, or cannot be reached.
    """
    try:
        answer = await client.auth_test()
    except SlackApiError as error:
        raise CannotServe(f"Slack refuses the bot token: {error.response['error']}") from error
    except (OSError, TimeoutError) as error:  # aiohttp's connection errors are OSErrors
        raise CannotServe(f"Slack cannot be reached at {client.base_url}: {type(error).__name__}") from error
    url = str(answer.get("url") or "https://slack.com/")
    base = url if url.endswith("/") else f"{url}/"
    return Identity(str(answer["user_id"]), answer.get("bot_id"), answer.get("team_id"), base)


def tools_of(
    settings: Settings,
    store: Store,
    sender: Sender,
    identity: Identity,
    *,
    membership: Membership,
    analyse: Analyse | None,
) -> Tools:
    """What the workers need, from the settings."""

    async def fetch(
        link: Link, path: Path, progress: Callable[[Arrived], None], tag: str | None, whole: str | None
    ) -> Fetched:
        terms = settings.upload_terms if link.is_upload else settings.terms
        return await reach(link, path, terms, progress=progress, tag=tag, whole=whole)

    redact = None if settings.redaction is None else settings.redaction.document

    async def analyse_in_child(fetched: Fetched, progress: child.Progress, symbols: SymbolServers | None) -> Report:
        order = child.Order(
            fetched.path,
            fetched.source,
            settings.symbol_paths(),
            settings.home / "cache",
            fetched.sha256,
            round(fetched.seconds, 3),
            symbols,
            settings.rules,
            fetched.pages,
            fetched.note,
            redact=redact,
        )
        limits = child.ChildLimits(settings.analysis_seconds, int(settings.analysis_memory))
        return await child.analyze(order, limits, progress)

    return Tools(
        store=store,
        sender=sender,
        home=settings.home,
        fetch=fetch,
        analyse=analyse or analyse_in_child,
        analyzer=functools.partial(present_analyzer, settings.rules),
        answer=functools.partial(answers.answer, store, utc_now),
        permalink=identity.permalink,
        membership=membership,
        symbols=settings.symbol_servers,
        lease_seconds=settings.lease_seconds,
        keep_dumps=settings.keep_dumps,
        defaults=settings.defaults,
        archive_limits=settings.archive_limits,
        limits=settings.limits,
        page=settings.access.report_link,
    )


async def _connected(app: AsyncApp, app_token: str, stack: AsyncExitStack) -> AsyncSocketModeHandler:
    handler = AsyncSocketModeHandler(app, app_token, ping_interval=PING_SECONDS)
    await _connect(handler)
    stack.push_async_callback(handler.close_async)
    return handler


async def _connect(handler: AsyncSocketModeHandler) -> None:
    # The client itself would try for ever: a refused app token is said at once.
    try:
        if goes_direct(handler.client.web_client.base_url):
            handler.client.proxy = None
        handler.client.wss_uri = await handler.client.issue_new_wss_url()
    except (SlackApiError, OSError, TimeoutError) as error:
        await handler.close_async()  # type: ignore[no-untyped-call]  # slack_bolt leaves it untyped
        if isinstance(error, SlackApiError):
            raise CannotServe(f"Slack refuses the app token: {error.response['error']}") from error
        raise CannotServe(f"Slack cannot be reached: {type(error).__name__}") from error
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
        counts = await asyncio.to_thread(store.jobs.counts)
        log.log(
            logging.INFO if connected else logging.WARNING,
            "health: socket %s, jobs %s",
            "connected" if connected else "down",
            ", ".join(f"{count} {state}" for state, count in counts.items()),
        )
