"""``pileup token`` and ``pileup webhook``: the commands for who comes over the web, without what they need to run."""

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


webhook = typer.Typer(help="Addresses that are told of new verdicts.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The number that list prints.")]


@webhook.command("add")
def webhook_add(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where verdicts are posted to.")],
    *,
    channels: Annotated[
        str | None,
        typer.Option("--channels", metavar="IDS", help="Channels whose crashes it is told. Default: all crashes."),
    ] = None,
) -> None:
    """Tell an address of new verdicts; prints the secret that signs what it is told, this once."""
    from bot.webhooks import commands

    raise typer.Exit(commands.add(url, channels))


@webhook.command("list")
def webhook_list(*, as_json: AsJson = False) -> None:
    """Every address, what it is owed, and what went wrong last."""
    from bot.webhooks import commands

    raise typer.Exit(commands.listing(as_json=as_json))


@webhook.command("test")
def webhook_test(number: Number) -> None:
    """Post a signed test to an address, and say what it answered. Exit status 1: it did not take it."""
    from bot.webhooks import commands

    raise typer.Exit(commands.test(number))


@webhook.command("remove")
def webhook_remove(number: Number) -> None:
    """Tell an address nothing more."""
    from bot.webhooks import commands

    raise typer.Exit(commands.remove(number))
