"""The commands of ``pileup db``, without what they need to run."""

from pathlib import Path
from typing import Annotated

import typer

db = typer.Typer(help="The database of history: its schema, and moving to another one.", no_args_is_help=True)

Source = Annotated[
    str, typer.Argument(metavar="FROM", help="A SQLite file, a URL, or “here”: where the settings say that history is.")
]
Target = Annotated[str, typer.Argument(metavar="TO", help="The same. A SQLite file is created, a database is not.")]


@db.command("migrate")
def _migrate() -> None:
    """Bring the database to the schema of this version, as every start does; says what was done."""
    from bot import databases

    raise typer.Exit(databases.migrated())


@db.command("copy")
def _copy(
    source: Source,
    target: Target,
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Delete first what the target holds.")] = False,
) -> None:
    """Copy everything that is kept, with its numbers: all of it or, when anything fails, nothing."""
    from bot import databases

    raise typer.Exit(databases.copied(source, target, replace=replace))


@db.command("export")
def _export(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the owner alone; “-” is the output.")],
    *,
    source: Annotated[str, typer.Option("--from", metavar="FROM", help="Which database; see copy.")] = "here",
) -> None:
    """Write out everything that is kept as lines of JSON, the same bytes from either database, and their SHA-256."""
    from bot import databases

    raise typer.Exit(databases.exported(path, source))
