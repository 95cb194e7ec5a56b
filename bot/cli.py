"""The ``pileup`` command. Each command imports what it needs when it runs, so that ``--version`` stays instant."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bot import database_commands, history_commands, operator_commands, web_commands
from bot.cli_words import AsJson

app = typer.Typer(
    name="pileup",
    help="Reads Windows crash dumps: which driver did it, which lock it held, who was stuck behind it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
symbols = typer.Typer(help="Symbol files for machines that reach no symbol server.", no_args_is_help=True)
app.add_typer(symbols, name="symbols")
history = typer.Typer(help="What was seen before.", no_args_is_help=True)
app.add_typer(history, name="history")
app.add_typer(web_commands.token, name="token")
app.add_typer(web_commands.webhook, name="webhook")
app.add_typer(database_commands.db, name="db")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")]


def main() -> NoReturn:
    """Run the command line and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another alphabet gets "?", never a traceback
            stream.reconfigure(errors="replace")
    status = 0
    try:
        app()
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # "pileup … | head": the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"pileup {version('pileup')}")
        raise typer.Exit


@app.callback()
def _pileup(
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def analyze(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="A dump or saved WinDbg output: a path or an http(s) link.")
    ],
    *,
    as_json: AsJson = False,
    symbols: Annotated[
        list[str] | None,
        typer.Option(
            "--symbols",
            metavar="PATH",
            help="A directory with symbol files, or srv*cache*https://…; repeatable.",
        ),
    ] = None,
    rules: Annotated[
        str | None, typer.Option("--rules", metavar="FILE", help="Your own rules, in the place of PILEUP_RULES.")
    ] = None,
    no_history: Annotated[bool, typer.Option("--no-history", help="Keep it out of the database.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write the report as a page, too; one file, no script."),
    ] = None,
) -> None:
    """Say what a crash dump tells.

    Exit status: 0 analysed, 1 a fault of ours, 2 wrong usage or no such file, 3 not a dump, 4 could not be fetched,
    5 stopped by a limit.
    """
    from bot import analyzing

    request = analyzing.Request(what, tuple(symbols or ()), as_json, not no_history, rules, html=html)
    raise typer.Exit(analyzing.analyze(request))


@app.command()
def serve() -> None:
    """Run the Slack bot until it is stopped."""
    raise typer.Exit(_long_running("bot.serve"))


def _long_running(module: str) -> int:
    from importlib import import_module

    from bot import analyzing

    try:
        settings = analyzing.settings_or_stop()
        analyzing.check_rules(settings.rules)
    except analyzing.Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        return stop.status
    return int(import_module(module).run(settings))


@app.command()
def worker() -> None:
    """Take jobs of the bot's database and do them, beside the bot or on another machine, until it is stopped."""
    raise typer.Exit(_long_running("bot.fleet.command"))


@app.command()
def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep it up, and print the address of the chat page.")] = False,
) -> None:
    """Show the whole path from a link to a verdict, on this machine alone, without Slack."""
    from bot.demo import run

    raise typer.Exit(run(stay=stay))


@app.command()
def doctor(
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Look at this machine alone, and ask Slack nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say in plain words what is missing, and what to do about it."""
    from bot.doctor import run

    raise typer.Exit(run(offline=offline, as_json=as_json))


@history.command("list")
def history_list(limit: Limit = 20, as_json: AsJson = False) -> None:
    """The latest crashes."""
    from bot import past

    raise typer.Exit(past.listing(None, limit, as_json=as_json))


@history.command("search")
def history_search(words: list[str], limit: Limit = 20, as_json: AsJson = False) -> None:
    """The crashes that mention every word: a driver, a symbol, a lock, a host, a code."""
    from bot import past

    raise typer.Exit(past.listing(" ".join(words), limit, as_json=as_json))


@history.command("show")
def history_show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The number that list and search print.")],
    as_json: AsJson = False,
) -> None:
    """One report of the past, whole."""
    from bot import past

    raise typer.Exit(past.show(number, as_json=as_json))


@history.command("ask")
def history_ask(
    question: list[str],
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the crashes that the answer speaks of as CSV.")] = False,
) -> None:
    """Answer a question in plain words, such as "have we seen storport since May?"."""
    from bot import past

    raise typer.Exit(past.answer(" ".join(question), "csv" if as_csv else "json" if as_json else "text"))


@history.command("rebucket")
def history_rebucket() -> None:
    """Name old crashes by the present rules; their former signatures stay as aliases."""
    from bot import past

    raise typer.Exit(past.rebucket())


history_commands.add_to(history)
app.command()(history_commands.ingest)
app.command()(operator_commands.manifest)
app.command()(operator_commands.audit)
app.command()(operator_commands.digest)
Into = Annotated[Path | None, typer.Option("--store", metavar="DIR", help="The symbol store. Default: our own.")]


@symbols.command("fetch")
def symbols_fetch(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT",
            help="A dump, a file with a list, a build (10.0.19041.1288), name.pdb/GUIDAGE or name.sys/STAMPSIZE.",
        ),
    ],
    store: Into = None,
    paths: Annotated[
        list[str] | None, typer.Option("--symbols", metavar="PATH", help="srv*https://…, before the settings' own.")
    ] = None,
) -> None:
    """Fetch into a store what dumps, lists or builds name. Exit status 1: something is missing."""
    from bot import offline

    raise typer.Exit(offline.fetch(what, store, tuple(paths or ())))


@symbols.command("add")
def symbols_add(files: list[Path], store: Into = None) -> None:
    """Put PDBs and images into a store, each at its place."""
    from bot import offline

    raise typer.Exit(offline.add(files, store))


@symbols.command("list")
def symbols_list(store: Into = None, as_json: AsJson = False) -> None:
    """What was fetched into a store, the longest unused first."""
    from bot import offline

    raise typer.Exit(offline.listing(store, as_json=as_json))


@symbols.command("prune")
def symbols_prune(
    size: Annotated[str, typer.Option("--size", metavar="SIZE", help="Bytes that may stay, as in 5GB.")],
    store: Into = None,
) -> None:
    """Remove fetched files, the longest unused first; what was added by hand stays."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    from bot import offline

    try:
        most = TypeAdapter(ByteSize).validate_python(size)
    except ValidationError:
        raise typer.BadParameter(f"{size} is no size") from None
    raise typer.Exit(offline.prune(store, int(most)))


if __name__ == "__main__":
    main()
