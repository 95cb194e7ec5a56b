"""Commands of whoever runs the bot, without what they need to run: the app's manifest, who did what, digests."""

from typing import Annotated

import typer

from bot.cli_words import AsJson


def manifest(
    *,
    features: Annotated[
        str | None,
        typer.Option(
            "--features", metavar="NAMES", help="Such as links,questions,buttons. Default: what --list marks."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Where Slack reaches the bot. Default: PILEUP_HTTP_URL.")
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Say what features there are.")] = False,
) -> None:
    """Print the app's manifest for Slack, with no more scopes than the chosen features take."""
    from bot.install.manifest import run

    raise typer.Exit(run(features, url, list_them=list_them))


def digest(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel's id, C…")],
    *,
    only_print: Annotated[bool, typer.Option("--print", help="Print it; nothing is sent.")] = False,
    daily: Annotated[bool, typer.Option("--daily", help="Of the last day, not the last week.")] = False,
) -> None:
    """Let the running bot send a channel the digest of its last whole week once more, or print that."""
    from bot.digest_preview import run

    raise typer.Exit(run(channel, "day" if daily else "week", only_print=only_print))


def audit(
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="A date, or words such as “last week”; in UTC.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="What one person did.")] = None,
    team: Annotated[str | None, typer.Option("--team", metavar="ID", help="What was done in one workspace.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Who asked and did what, where and when, and what was refused; the latest first."""
    from bot.audit_list import run

    raise typer.Exit(run(since, user, team, limit, as_json=as_json))
