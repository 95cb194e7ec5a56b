"""The commands of ``pileup history`` that change it. Each imports what it needs when it runs."""

from typing import Annotated

import typer

from bot.cli_words import AsJson


def add_to(history: typer.Typer) -> None:
    """Put them among the others."""
    history.command("forget")(_forget)


def _forget(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[CRASH]...", help="Numbers of crashes.")] = None,
    *,
    host: Annotated[str | None, typer.Option("--host", help="Crashes of this machine.")] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", help="The id of a channel: what was told there and nowhere else.")
    ] = None,
    team: Annotated[str | None, typer.Option("--team", help="The id of a workspace, likewise.")] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="DATE", help="Crashes before a day, as in 2026-05-01.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    sure: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete crashes for good, with their kept dumps, threads and whatever was said of them.

    Without any condition: what is due by the retention settings.
    """
    import sys

    from bot import forgetting
    from bot.analyzing import Stop
    from storage.forgetting import Which

    try:
        edge = None if before is None else forgetting.before(before)
    except Stop as stop:
        print(f"pileup: {stop.line}", file=sys.stderr)
        raise typer.Exit(stop.status) from None
    which = Which(tuple(numbers or ()), host, team, channel, edge)
    raise typer.Exit(forgetting.forget(which, dry_run=dry_run, as_json=as_json, sure=sure))
