"""What every process of the bot starts with, from the settings: history, workspaces, tools."""

import asyncio
import functools
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from analysis.verdict.report import Report
from analysis.verdict.rules import present_analyzer
from bot import answers, child
from bot.clients import FixedToken, Identity, reading_client
from bot.fetch.download import Arrived, Fetched
from bot.fetch.links import Link
from bot.fetch.remote import reach
from bot.ordering import order_of, redact_by
from bot.orphans import bereave
from bot.sending import PACE_SECONDS, Sender
from bot.settings import Settings
from bot.shelf import Shelf, ShelfFailed
from bot.slack_calls import is_passing, word
from bot.symbols.fetching import SymbolServers
from bot.tools import Analyse, Fetch, Tools
from bot.workspaces import ManyWorkspaces, OneWorkspace, Workspace, Workspaces, workspace_of
from storage.clock import utc_now
from storage.database import is_postgresql, spoken
from storage.errors import StorageError
from storage.lanes import Lanes
from storage.store import Store

log = logging.getLogger(__name__)

SPARE_THREADS = 8  # of a process, beside those of its workers


class CannotServe(Exception):
    """Something needed is missing or refused; the text says what, in a line for the operator."""


async def opened_store(settings: Settings, stack: AsyncExitStack) -> Store:
    """History, open as long as the stack is; on PostgreSQL jobs go to the workers' queue. The jobs of dead processes
    of this host are given back.

    Raises:
        CannotServe: it cannot be opened.
    """
    try:
        opening = functools.partial(Store.open, settings.database, ticket_link=settings.ticketing.address)
        store = await asyncio.to_thread(opening, hand_over=settings.limits)
    except (OSError, StorageError) as error:
        raise CannotServe(f"history in {spoken(settings.database)} cannot be opened: {error}") from error
    stack.callback(store.close)
    orphans = await asyncio.to_thread(bereave, store, many_hosts=is_postgresql(settings.database))
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
        if is_passing(error):
            raise CannotServe(f"Slack is out of order: {word(error)}") from error
        raise CannotServe(f"Slack refuses the bot token: {word(error)}") from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise CannotServe(f"Slack cannot be reached at {client.base_url}: {type(error).__name__}") from error
    url = str(answer.get("url") or "https://slack.com/")
    base = url if url.endswith("/") else f"{url}/"
    return Identity(str(answer["user_id"]), answer.get("bot_id"), answer.get("team_id"), base)


async def open_workspaces(settings: Settings, store: Store, pace_seconds: float = PACE_SECONDS) -> Workspaces:
    """The workspace of the settings' token; without one, those that install the bot.

    Raises:
        CannotServe: Slack refuses the token, or cannot be reached.
    """

    def sender(client: AsyncWebClient) -> Sender:
        turn = None if store.handover is None else functools.partial(_turn, store.lanes)
        return Sender(client, pace_seconds=pace_seconds, turn=turn)

    keys = settings.installs
    if keys is not None:
        return ManyWorkspaces(store, settings.slack_api_url, keys, settings.vault, sender)
    token = FixedToken(settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else "")
    identity = await identify(reading_client(token, settings.slack_api_url))
    one = workspace_of(identity, token, store, settings.slack_api_url, make_sender=sender)
    return OneWorkspace(one)


async def _turn(lanes: Lanes, channel: str, pace_seconds: float) -> None:
    try:
        wait = await asyncio.to_thread(lanes.reserve, channel, pace_seconds)
    except StorageError:  # then Slack says when it is too much
        return
    await asyncio.sleep(wait)


def tools_of(settings: Settings, workspaces: Workspaces, analyse: Analyse | None) -> Tools:
    """What the workers need, from the settings. Where there are several workspaces, each has tools of its own.

    Raises:
        CannotServe: what speaks to the object store of posted dumps is not installed.
    """
    nobody = workspaces.nobody
    tools = _tools(settings, nobody, analyse)
    if settings.installs is None:
        return tools
    made: dict[str, tuple[Workspace, Tools]] = {}

    async def elsewhere(team: str) -> Tools | None:
        workspace = await workspaces.of(team)
        if workspace is None:
            return None
        known = made.get(team)
        if known is None or known[0] is not workspace:
            known = made[team] = (workspace, _in(workspace, tools, settings))
        return known[1]

    return replace(tools, elsewhere=elsewhere)


def _shelf(settings: Settings) -> Shelf:
    try:
        return settings.shelf
    except ShelfFailed as error:
        raise CannotServe(str(error)) from error


def _in(workspace: Workspace, tools: Tools, settings: Settings) -> Tools:
    return replace(
        tools,
        store=workspace.store,
        sender=workspace.sender,
        membership=workspace.membership,
        permalink=workspace.identity.permalink,
        answer=functools.partial(answers.answer, workspace.store, utc_now, page=settings.access.report_link),
        fetch=_fetch(settings, workspace),
        flights=WeakValueDictionary(),  # what one workspace reads is no other's business
        locks=WeakValueDictionary(),
        elsewhere=None,
    )


def _fetch(settings: Settings, workspace: Workspace) -> Fetch:
    async def fetch(
        link: Link, path: Path, progress: Callable[[Arrived], None], tag: str | None, whole: str | None
    ) -> Fetched:
        terms = settings.upload_terms(await workspace.token.current()) if link.is_upload else settings.terms
        return await reach(link, path, terms, progress=progress, tag=tag, whole=whole)

    return fetch


def _tools(settings: Settings, workspace: Workspace, analyse: Analyse | None) -> Tools:
    redact = redact_by(settings)

    async def analyse_in_child(fetched: Fetched, progress: child.Progress, symbols: SymbolServers | None) -> Report:
        order = order_of(settings, fetched, symbols, redact)
        return await child.analyze(order, settings.analysis_limits, progress)

    return Tools(
        store=workspace.store,
        sender=workspace.sender,
        home=settings.home,
        fetch=_fetch(settings, workspace),
        analyse=analyse or analyse_in_child,
        analyzer=functools.partial(present_analyzer, settings.rules),
        answer=functools.partial(answers.answer, workspace.store, utc_now, page=settings.access.report_link),
        permalink=workspace.identity.permalink,
        membership=workspace.membership,
        symbols=settings.symbol_servers,
        lease_seconds=settings.lease_seconds,
        keep_dumps=settings.keep_dumps,
        defaults=settings.defaults,
        archive_limits=settings.archive_limits,
        limits=settings.limits,
        page=settings.access.report_link,
        access=settings.access,
        new_ticket=settings.ticketing.begin,
        uploads=settings.uploads_path,
        shelf=_shelf(settings),
    )
