"""Commands of whoever runs the bot, without what they need to run: the app's manifest."""

from typing import Annotated

import typer


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
