"""``pileup token``: the commands for who comes over the web, without what they need to run."""

from enum import StrEnum
from typing import Annotated

import typer

token = typer.Typer(help="Tokens for machines that use the API.", no_args_is_help=True)


class Scope(StrEnum):
    """What a token may do."""

    read = "read"
    analyze = "analyze"


Channels = Annotated[
    str | None, typer.Option("--channels", metavar="IDS", help="Channels whose history it sees. Default: all of it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]


@token.command("add")
def token_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it: the machine or the program.")],
    *,
    scope: Annotated[
        list[Scope] | None,
        typer.Option("--scope", help="read: history. analyze: posting dumps and their results. Repeatable."),
    ] = None,
    channels: Channels = None,
    days: Annotated[int | None, typer.Option("--days", min=1, max=3660, help="Days after which it ends.")] = None,
) -> None:
    """Make a token and print it, this once."""
    from bot import tokens

    raise typer.Exit(tokens.add(name, tuple(one.value for one in scope or (Scope.read,)), channels, days))


@token.command("list")
def token_list(*, as_json: AsJson = False) -> None:
    """Every token: what it may do, what it sees, when it was used last."""
    from bot import tokens

    raise typer.Exit(tokens.listing(as_json=as_json))


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """End a token at once."""
    from bot import tokens

    raise typer.Exit(tokens.revoke(name))
