"""The commands of ``pileup history`` that change it. Each imports what it needs when it runs."""

from typing import Annotated

import typer

from bot.cli_words import AsJson


def add_to(history: typer.Typer) -> None:
    """Put them among the others."""
    history.command("forget")(_forget)
    history.command("merge")(_merge)
    history.command("split")(_split)
    history.command("undo")(_undo)
    history.command("decisions")(_decisions)
    history.command("doubts")(_doubts)
    history.command("redact")(_redact)
    history.command("pseudonym")(_pseudonym)


Crash = Annotated[int, typer.Argument(metavar="CRASH", help="The number of a crash, as list and search print it.")]


def _merge(
    one: Crash,
    other: Annotated[int, typer.Argument(metavar="INTO", help="A crash of the failure that it counts as.")],
) -> None:
    """Let the failure of one crash count as that of another: they are one problem."""
    from bot import regrouping

    raise typer.Exit(regrouping.merge(one, other))


def _split(one: Crash) -> None:
    """Take one crash out of its failure: it does not belong."""
    from bot import regrouping

    raise typer.Exit(regrouping.split(one))


def _undo(decision: Annotated[int, typer.Argument(metavar="DECISION", help="As decisions prints it.")]) -> None:
    """Take a merge or a split back."""
    from bot import regrouping

    raise typer.Exit(regrouping.undo(decision))


def _decisions(as_json: AsJson = False) -> None:
    """What was merged and split by hand, with who and when; also what was taken back."""
    from bot import regrouping

    raise typer.Exit(regrouping.decisions(as_json=as_json))


def _doubts(as_json: AsJson = False) -> None:
    """How often people called a verdict wrong, by rule: stop code and culprit, the most doubted first."""
    from bot import doubts

    raise typer.Exit(doubts.listing(as_json=as_json))


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


def _redact() -> None:
    """Take names out of reports that are in history already, as PILEUP_REDACT says."""
    from bot import redacting

    raise typer.Exit(redacting.redact())


def _pseudonym(name: str) -> None:
    """What stands for the name of a machine or a person where PILEUP_REDACT took it out."""
    from bot import redacting

    raise typer.Exit(redacting.pseudonym(name))


def ingest(
    what: Annotated[
        list[str],
        typer.Argument(metavar="WHAT", help="A directory, a bucket (s3://name/prefix), or a file that lists files."),
    ],
    *,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=256, help="Dumps read at the same time. Default: the cores.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what a former run has read.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Files of any name, not only dumps and archives.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read many old dumps into history, without a word in Slack. Cut short, it goes on where it stood.

    Exit status: 0 all read, 1 a fault of ours, 2 wrong usage or nothing there, 3 some files gave no report,
    130 interrupted.
    """
    from bot.ingest import running

    running.lower_priority()
    raise typer.Exit(running.ingest(running.Asked(tuple(what), workers, again, every, as_json)))
