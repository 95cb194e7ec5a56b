"""What the READMEs say is so: commands are taken, links lead somewhere, the map has every package."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bot.cli import app

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "deploy/README.md")


def commands(page: str) -> list[str]:
    """The lines of its shell blocks, chained commands one by one."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    return [part.strip() for block in blocks for line in block.splitlines() for part in line.split("&&")]


def parse(command: Any, name: str, given: list[str], parent: Any = None) -> None:
    """Take the words as the command line does, down to the last subcommand, and do nothing.

    Raises:
        Exception: typer's own, for a word that nothing takes.
    """
    context = command.make_context(name, list(given), parent=parent)
    if hasattr(command, "commands"):
        sub_name, sub, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        parse(sub, sub_name, rest, context)


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_taken(page: str) -> None:
    lines = [words for line in commands(page) if (words := shlex.split(line, comments=True))]
    ours = [words for words in lines if Path(words[0]).name == "pileup"]
    assert len(ours) >= 3
    for words in ours:
        parse(typer.main.get_command(app), "pileup", words[1:])


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    heads = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) > 10
    for link in links:
        if link.startswith("#"):
            assert link[1:] in heads
        elif "://" not in link:
            assert (ROOT / link).exists(), link


def test_the_map_for_contributors_has_every_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for top in ("analysis", "bot"):
        part = text.partition(f"\n{top}/ ")[2]
        mapped = set(
            re.findall(r"^  (\w+)/ ", re.split(r"^\w+/ ", part, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE)
        )
        assert mapped == {path.parent.name for path in (ROOT / top).glob("*/__init__.py")}
