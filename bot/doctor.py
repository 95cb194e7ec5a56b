"""``pileup doctor``: what works, what is missing, and what to do about it, in plain words. What Slack is asked is in
``doctor_slack``.
"""

import asyncio
import dataclasses
import importlib.util
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bot.child import environment
from bot.confined import confinement_notes
from bot.console import Line, print_lines, printable
from bot.wording import count as counted

if TYPE_CHECKING:
    from bot.settings import Settings
    from storage.database import Place

Grade = Literal["ok", "note", "missing"]

LEAST_DISK = 5_000_000_000
CHILD_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. "missing" stops something from working, "note" only limits it."""

    grade: Grade
    text: str


def run(*, offline: bool = False, as_json: bool = False) -> int:
    """Print every finding; ``offline`` asks nobody. The exit status: 1 when something is missing."""
    from bot.settings import BadSettings, read_settings

    try:
        settings = read_settings()
        findings = list(examine(settings))
        if not offline:
            findings += asyncio.run(_asked(settings))
    except BadSettings as error:
        findings = [Finding("missing", f"a setting cannot be used: {problem}") for problem in error.problems]
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        print_lines(iter(_lines(findings)), sys.stdout)
    return 1 if any(finding.grade == "missing" for finding in findings) else 0


async def _asked(settings: "Settings") -> list[Finding]:
    from bot.doctor_slack import ask_slack

    return [finding async for finding in ask_slack(settings)]


def examine(settings: "Settings") -> Iterator[Finding]:
    """Everything worth looking at, in the order in which a new user meets it."""
    yield Finding("ok", f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    yield from _home(settings.home)
    yield from _database(settings.database)
    yield from _symbols(settings.symbol_paths())
    yield from (Finding("note", gap) for gap in settings.symbol_gaps())
    yield from _rules(settings.rules)
    yield _child()
    yield from (Finding("note", note) for note in confinement_notes())
    yield _pictures()
    yield from _slack(settings)
    yield from _links(settings)
    yield from _web(settings)
    yield from _sign_in(settings)
    yield from _several(settings)


def _home(home: Path) -> Iterator[Finding]:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f".doctor-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Finding(
            "missing", f"{home} cannot be written ({error.strerror}); set PILEUP_HOME to a directory that can"
        )
        return
    yield Finding("ok", f"files go to {home}")
    free = shutil.disk_usage(home).free
    if free < LEAST_DISK:
        yield Finding("note", f"only {free // 1_000_000} MB are free there: large dumps will not fit")


def _database(place: "Place") -> Iterator[Finding]:
    from storage import StorageError, Store
    from storage.database import spoken

    try:
        with Store.open(place) as store:
            yield Finding("ok", f"history opens: {store.reports.count()} reports in {spoken(place)}")
    except (OSError, StorageError) as error:
        yield Finding("missing", f"history does not open at {spoken(place)}: {error}")


def _symbols(directories: tuple[Path, ...]) -> Iterator[Finding]:
    if not directories:
        yield Finding(
            "note",
            "no symbol tables are set: the built-in layouts are used. PILEUP_SYMBOLS names directories and servers",
        )
    for directory in directories:
        if not directory.is_dir():
            yield Finding("missing", f"the symbol directory {directory} does not exist")
            continue
        tables = sum(1 for found in directory.rglob("*.json*") if found.name.endswith((".json", ".json.xz")))
        pdbs = sum(1 for found in directory.rglob("*.[Pp][Dd][Bb]") if found.is_file())
        counts = (
            f"{counted(tables, 'symbol table')} and {counted(pdbs, 'PDB')}" if pdbs else counted(tables, "symbol table")
        )
        yield Finding("ok" if tables or pdbs else "note", f"{counts} in {directory}")


def _rules(path: Path | None) -> Iterator[Finding]:
    if path is None:
        return
    from analysis.errors import BadRules
    from analysis.verdict.user_rules import read_rules

    try:
        rules = read_rules(path)
    except BadRules as error:
        yield Finding("missing", str(error))
        return
    counts = f"{len(rules.ours)} ours, {len(rules.ignored)} ignored, {len(rules.known_bad)} known bad"
    yield Finding("ok", f"your own rules can be used: {path} ({counts}, {len(rules.strengths)} strengths)")


def _child() -> Finding:
    # The analysis runs in a process with an environment of its own: it may not be found there.
    try:
        subprocess.run(
            [sys.executable, "-P", "-c", "import analysis.verdict.report, numpy"],
            env=environment(os.environ),
            check=True,
            capture_output=True,
            timeout=CHILD_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        last = said.decode(errors="replace").strip().split("\n")[-1]
        return Finding("missing", f"the analysis process does not start: {last}")
    return Finding("ok", "the analysis process starts")


def _pictures() -> Finding:
    from bot import picture

    if picture.draw("digraph { a -> b }"):
        return Finding("ok", "pictures can be drawn")
    return Finding("note", "pictures cannot be drawn here: threads come without them")


def _slack(settings: "Settings") -> Iterator[Finding]:
    if settings.installs is not None:
        yield from _installs(settings)
    elif settings.slack_bot_token is None:
        yield Finding(
            "missing", "no bot token: set PILEUP_SLACK_BOT_TOKEN (xoxb-…, from “Install App”); only serve needs it"
        )
    else:
        yield Finding("ok", "a bot token is set")
    if settings.transport == "socket":
        if settings.slack_app_token is None:
            yield Finding(
                "missing",
                "no app token: set PILEUP_SLACK_APP_TOKEN (xapp-…, from “App-Level Tokens”, with connections:write); "
                "only serve needs it",
            )
        else:
            yield Finding("ok", "an app token is set")
    elif settings.slack_signing_secret is None:
        yield Finding("missing", "no signing secret: set PILEUP_SLACK_SIGNING_SECRET, or PILEUP_TRANSPORT=socket")


def _installs(settings: "Settings") -> Iterator[Finding]:
    where = f"{settings.http_url or '…'}/slack/install"
    yield Finding("ok", f"there is no bot token, so workspaces install the bot themselves: {where}")
    if not str(settings.http_url).startswith("https:"):
        yield Finding("missing", "Slack sends admins back to https alone: set PILEUP_HTTP_URL to the public address")
    if settings.token_secret is None:
        yield Finding(
            "note",
            "their tokens are sealed with PILEUP_SLACK_CLIENT_SECRET: a new one needs every workspace to install again;"
            " PILEUP_TOKEN_SECRET is a secret of its own for it",
        )
    if not settings.teams:
        yield Finding("note", "any workspace may install the bot: PILEUP_TEAMS names those that may")


def _web(settings: "Settings") -> Iterator[Finding]:
    if settings.web_port is None:
        if settings.web_url is not None:
            yield Finding("note", "verdicts link to PILEUP_WEB_URL; without PILEUP_WEB_PORT there are no pages here")
        return
    if settings.web_secret is None:
        yield Finding("note", "whoever reaches the pages sees all of history: PILEUP_WEB_SECRET makes them need a link")
    elif settings.web_url is None:
        yield Finding("note", "nobody can be sent to the pages: set PILEUP_WEB_URL to their public address")
    elif not settings.web_url.startswith("https:"):
        yield Finding("note", "links to the pages can be read on their way: put TLS in front, https in PILEUP_WEB_URL")
    else:
        yield Finding("ok", f"verdicts link to pages at {settings.web_url}")


def _links(settings: "Settings") -> Iterator[Finding]:
    if settings.allow_private_addresses:
        yield Finding("note", "links may point to loopback and private addresses (PILEUP_ALLOW_PRIVATE_ADDRESSES)")
    if any(os.environ.get(name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")):
        yield Finding("note", "a proxy is set, and not used for links: their addresses could not be checked through it")


def _sign_in(settings: "Settings") -> Iterator[Finding]:
    if settings.web_port is None or not (settings.slack_client_id or settings.slack_client_secret):
        return
    wanted = ("slack_client_id", "slack_client_secret", "web_secret", "web_url")
    missing = [f"PILEUP_{name.upper()}" for name in wanted if not getattr(settings, name)]
    if missing:
        yield Finding("missing", f"nobody can sign in to the pages: {', '.join(missing)} is not set")
    elif not str(settings.web_url).startswith("https:"):
        yield Finding("note", "Slack sends people who sign in back to https addresses alone: PILEUP_WEB_URL is none")
    else:
        yield Finding(
            "ok", f"people sign in to the pages with Slack; its redirect URL is {settings.web_url}/signin/callback"
        )


def _several(settings: "Settings") -> Iterator[Finding]:
    # What processes on several machines must have in common, where a server for all of them is set.
    from storage.database import is_postgresql

    try:
        _ = settings.shelf
    except OSError as error:
        yield Finding("missing", str(error))
    if not is_postgresql(settings.database):
        return
    if importlib.util.find_spec("procrastinate") is None or importlib.util.find_spec("psycopg") is None:
        yield Finding("missing", "history and jobs on PostgreSQL need the extra: pip install 'pileup[cluster]'")
    if settings.redact and settings.redaction_key is None:
        yield Finding(
            "note",
            "each home directory has a key of pseudonyms of its own, so that workers elsewhere call the same machine "
            "otherwise: PILEUP_REDACTION_KEY is for all of them",
        )
    if settings.web_port is not None and settings.uploads is None:
        yield Finding(
            "note",
            f"dumps that are posted lie in {settings.uploads_path}: workers elsewhere do not see them there; "
            "PILEUP_UPLOADS names a place that all see",
        )


def _lines(findings: list[Finding]) -> Iterator[Line]:
    marks: dict[Grade, str] = {"ok": "ok", "note": "note", "missing": "MISSING"}
    for finding in findings:
        style: Literal["strong", "plain"] = "strong" if finding.grade == "missing" else "plain"
        yield style, f"{marks[finding.grade]:8} {printable(finding.text)}"
    missing = sum(finding.grade == "missing" for finding in findings)
    yield "plain", ""
    yield "strong", "All that is needed is here." if not missing else f"{missing} of these need your attention."
