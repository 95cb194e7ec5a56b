"""``pileup analyze``: one dump, from a path or a link, to a report on standard output.

Built for the clock: the child starts before anything heavy is imported, and history is opened while it works.
"""

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.child import AnalysisFailed, Child, ChildLimits, Order
from bot.console import print_lines, printable, progress_on, report_lines
from bot.fetch.problems import FetchFailed

if TYPE_CHECKING:
    from bot.fetch.download import Fetched
    from bot.settings import Settings
    from bot.symbols.fetching import SymbolServers
    from storage import Seen

OK, FAULT, USAGE = 0, 1, 2


class Stop(Exception):
    """The command ends here: one line for standard error, and the exit status."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.line = line
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for."""

    what: str
    symbols: tuple[str, ...] = ()
    as_json: bool = False
    history: bool = True
    rules: str | None = None
    source: str | None = None
    html: Path | None = None


class _Many(Exception):
    # The file is an archive with several dumps: each is analysed like a file of its own.
    def __init__(self, dumps: "tuple[tuple[str, Fetched], ...]") -> None:
        super().__init__()
        self.dumps = dumps


def analyze(request: Request) -> int:
    """Run the command; its exit status. One line on standard error says why it is not 0."""
    with ExitStack() as stack:
        try:
            made = [("", *_analyze(request, stack))]
        except Stop as stop:
            return _said(stop)
        except _Many as many:
            return _analyze_each(request, many, stack)
        return _print(request, made)


def _analyze_each(request: Request, many: _Many, stack: ExitStack) -> int:
    made, status = [], OK
    for number, (name, fetched) in enumerate(many.dumps, 1):
        page = request.html and request.html.with_stem(f"{request.html.stem}-{number}")
        asked = replace(request, what=str(fetched.path), source=fetched.source, html=page)
        try:
            made.append((name, *_analyze(asked, stack)))
        except Stop as stop:
            status = _said(Stop(f"{name}: {stop.line}", stop.status))
    return _print(request, made) or status


def _said(stop: Stop) -> int:
    print(f"pileup: {printable(stop.line)}", file=sys.stderr)
    return stop.status


def _print(request: Request, made: "list[tuple[str, dict[str, Any], Seen | None]]") -> int:
    if request.as_json:
        documents = [document for _, document, _ in made]
        print(json.dumps(documents[0] if not made[0][0] else documents, indent=2) if made else "[]")
        return OK
    from analysis.verdict.report import Report

    for name, document, seen in made:
        if name:
            print(f"== {printable(name)}")
        print_lines(report_lines(Report.from_json(document), seen), sys.stdout)
    return OK


def settings_or_stop() -> "Settings":
    """The settings in force. Raises: Stop, with each wrong one in the line."""
    from bot.settings import BadSettings, read_settings

    try:
        return read_settings()
    except BadSettings as error:
        raise Stop(f"these settings cannot be used: {'; '.join(error.problems)}", USAGE) from error


def _analyze(request: Request, outer: ExitStack) -> "tuple[dict[str, Any], Seen | None]":
    if "://" not in request.what:
        _check_file(Path(request.what))
    if request.html is not None:
        _check_page(request.html, Path(request.what))
    _check_symbols(request.symbols)
    with ExitStack() as stack:
        child = _prepare()
        stack.callback(child.stop)
        settings = settings_or_stop()
        rules = Path(request.rules) if request.rules else settings.rules
        check_rules(rules)
        symbols, cache = settings.symbol_paths(request.symbols), settings.home / "cache"
        for gap in settings.symbol_gaps(request.symbols):
            print(f"pileup: {printable(gap)}", file=sys.stderr)
        servers = settings.symbol_servers(request.symbols)
        limits = settings.analysis_limits

        redaction = settings.redaction
        redact = None if redaction is None else redaction.document

        def order(whole: str | None = None) -> Order:
            if "://" not in request.what:
                path, source = _unpacked(Path(request.what), request.source, settings, outer)
                return Order(path, source, symbols, cache, servers=servers, rules=rules, redact=redact)
            got = _fetch(request.what, settings, outer, whole)
            if got.pages is None:
                path, source = _unpacked(got.path, got.source, settings, outer)
                got = got if path == got.path else replace(got, path=path, source=source or "", sha256=None)
            facts = (got.sha256, got.seconds, servers, rules, got.pages, got.note)
            return Order(got.path, got.source, symbols, cache, *facts, redact=redact)

        if servers is not None:
            stack.callback(servers.close)
        made = order()
        child.begin(made, limits)
        if request.history:
            _import_history()
        try:
            document = _outcome(child, made)
        except FetchFailed as failed:
            if failed.kind != "changed":
                raise Stop(f"could not read {made.source}: {failed.line}", failed.exit_code) from failed
            made = order(failed.line)  # what was read of it so far may be of two different files
            again = _prepare()
            stack.callback(again.stop)
            document = _outcome(again.begin(made, limits), made)
        if servers is not None and servers.late():
            document = _with_late_symbols(document, servers, made, limits)
    seen = _remember(document, settings) if request.history else None
    if request.html is not None:
        _write_page(request.html, document)
    return document, seen


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise Stop(f"{path} is a directory", USAGE)
    if not path.exists():
        raise Stop(f"there is no file {path}", USAGE)
    if not path.is_file():
        raise Stop(f"{path} is not a file", USAGE)
    if not os.access(path, os.R_OK):
        raise Stop(f"{path} may not be read", USAGE)


def _check_page(page: Path, dump: Path) -> None:
    # Before the analysis, which may take minutes; and a page is never written over the dump.
    if page.is_dir() or not page.absolute().parent.is_dir():
        raise Stop(f"{page} cannot be written: no such directory, or a directory itself", USAGE)
    if page.exists() and dump.exists() and page.samefile(dump):
        raise Stop(f"{page} is the dump itself", USAGE)


def _write_page(page: Path, document: dict[str, Any]) -> None:
    from analysis.verdict.report import Report
    from bot.web.crash import crash_file

    try:
        page.write_text(crash_file(Report.from_json(document)), "utf-8")
    except OSError as error:
        raise Stop(f"{page} cannot be written: {error.strerror}", FAULT) from error


def check_rules(path: Path | None) -> None:
    """Raises: Stop, with each mistake in the user's own rules, where a file of them is set."""
    if path is None:
        return
    from analysis.errors import BadRules
    from analysis.verdict.user_rules import read_rules

    try:
        read_rules(path)
    except BadRules as error:
        raise Stop(str(error), USAGE) from None


def _check_symbols(symbols: tuple[str, ...]) -> None:
    from bot.home import symbol_directories

    for asked in symbols:
        missing = [str(path) for path in symbol_directories(asked) if not path.is_dir()]
        if missing and "*" not in asked:
            raise Stop(f"there is no directory {missing[0]}", USAGE)


def _fetch(url: str, settings: "Settings", stack: ExitStack, whole: str | None) -> "Fetched":
    import asyncio
    import uuid

    import stamina.instrumentation

    from bot.fetch.blocks import tidy_blocks
    from bot.fetch.links import link
    from bot.fetch.remote import reach
    from bot.fetch.workspace import workspace

    stamina.instrumentation.set_on_retry_hooks([])  # else each retry is logged to standard output
    asked = link(url)
    directory = stack.enter_context(workspace(settings.home, f"cli-{uuid.uuid4().hex}", keep=settings.keep_dumps))
    with progress_on() as show:
        show(f"fetching {asked.name}", None)
        try:
            fetched = asyncio.run(
                reach(
                    asked,
                    directory / "dump",
                    settings.terms,
                    progress=lambda arrived: show(f"fetching {asked.name}", arrived.fraction, str(arrived)),
                    whole=whole,
                )
            )
        except FetchFailed as failed:
            raise Stop(f"could not fetch {asked.shown}: {failed.line}", failed.exit_code) from failed
    if fetched.pages is not None:
        stack.callback(tidy_blocks, settings.home, int(settings.page_cache_size))
        stack.callback(fetched.pages.close)
    return fetched


def _unpacked(path: Path, source: str | None, settings: "Settings", stack: ExitStack) -> tuple[Path, str | None]:
    # The one dump of an archive, and what to call it; a file that is none as it is. Raises: Stop, _Many.
    from bot.archives.kinds import kind_of_file

    if kind_of_file(path) is None:
        return path, source
    import asyncio
    import uuid

    from bot.archives.limits import ArchiveFailed
    from bot.archives.opening import open_archive
    from bot.fetch.download import Fetched
    from bot.fetch.workspace import workspace

    directory = stack.enter_context(workspace(settings.home, f"cli-{uuid.uuid4().hex}"))
    outer = Fetched(path, path.stat().st_size, None, "", source or path.name, 0.0)
    with progress_on() as show:
        show(f"unpacking {path.name}", None)
        try:
            opened = asyncio.run(open_archive(outer, path.name, settings.archive_limits, into=directory))
        except ArchiveFailed as failed:
            raise Stop(f"could not open this archive: {failed.line}", failed.exit_code) from failed
    for name in opened.damaged:
        print(f"pileup: {printable(name)} is damaged and was not read", file=sys.stderr)
    if len(opened.dumps) > 1:
        raise _Many(opened.dumps)
    ((_, dump),) = opened.dumps
    return dump.path, dump.source


def _prepare() -> Child:
    # A third of a second of imports on its side, while the settings cost as much on ours.
    try:
        return Child()
    except OSError as error:
        raise Stop(f"the analysis cannot be started: {error.strerror}", FAULT) from error


def _import_history() -> None:
    # A sixth of a second of imports, while the child works on the other core.
    import storage  # noqa: F401  # for its effect


def _outcome(child: Child, order: Order) -> dict[str, Any]:
    pages = order.pages
    with progress_on() as show:
        try:
            return child.document(lambda stage, fraction: show(stage, fraction, "" if pages is None else pages.said))
        except AnalysisFailed as failed:
            raise Stop(failed.line, failed.exit_code) from failed


# One answer is printed: where symbols come late, it is the one with them. (In Slack the first one is edited.)
def _with_late_symbols(
    document: dict[str, Any], servers: "SymbolServers", order: Order, limits: ChildLimits
) -> dict[str, Any]:
    with progress_on() as show:
        show("waiting for symbol servers", None)
        if not servers.await_late():
            return document
    child = _prepare()
    try:
        return _outcome(child.begin(order, limits), order)
    except FetchFailed:  # the dump lies elsewhere, and cannot be read any more
        return document
    finally:
        child.stop()


def _remember(document: dict[str, Any], settings: "Settings") -> "Seen | None":
    # A history that cannot be written costs a warning, never the verdict.
    from analysis.verdict.report import Report
    from storage import StorageError, Store

    report = Report.from_json(document)
    try:
        with Store.open(settings.database) as store:
            seen = store.seen(report)
            store.remember(report, by_operator=True)
            return seen
    except (OSError, StorageError) as error:
        print(f"pileup: not kept in history: {error}", file=sys.stderr)
        return None
