"""Makes the built-in layout tables from ISF files: ``python -m tests.tools.make_tables ../shared/data/symbols``.

Reads every kernel table below the given directory, groups them by major build (BUILDS.tsv beside them names it) and
writes one file per major build into ``analysis/symbols/tables``, from the newest update of each.
"""

import sys
from dataclasses import replace
from pathlib import Path

from analysis.symbols.builtin import TABLES, format_table
from analysis.symbols.isf import IsfTable, open_isf
from analysis.symbols.layout import Field
from tests.tools.structures import BY_HAND, STRUCTURES

# How the makers of ISF files number types without a name; the numbers differ between updates.
NAMELESS = ("__anonymous", "__unnamed", "<")

Structures = dict[str, tuple[int, dict[str, Field]]]


def kernels(directory: Path) -> dict[int, list[tuple[int, Path]]]:
    """Major build → (update, file) of each table that BUILDS.tsv lists, oldest first."""
    found: dict[int, list[tuple[int, Path]]] = {}
    for line in (directory / "BUILDS.tsv").read_text().splitlines()[1:]:
        build, _, name = line.split("\t")
        _, _, major, update = (int(part) for part in build.split("."))
        path = next(directory.rglob(name))
        found.setdefault(major, []).append((update, path))
    return {major: sorted(paths) for major, paths in sorted(found.items())}


def extract(table: IsfTable) -> Structures:
    """The wanted structures of one kernel, in the order of ``STRUCTURES``."""
    structures: Structures = {}
    for name, wanted in STRUCTURES.items():
        layout = table.layout(name)
        if layout is None:
            continue
        members: dict[str, Field] = {}
        for member in wanted or tuple(layout.fields):
            if member in layout.fields:
                members.update(flatten(table, member, layout.fields[member]))
        structures[name] = (layout.size, dict(sorted(members.items(), key=lambda item: (item[1].offset, item[0]))))
    for name, described in BY_HAND.items():
        structures.setdefault(name, described)
    return structures


def flatten(table: IsfTable, name: str, field: Field) -> dict[str, Field]:
    """A member, and the members of its type where that has no name of its own, by dotted name."""
    if not field.type_name.lstrip("*").startswith(NAMELESS):
        return {name: field}
    if field.type_name.startswith("*"):
        return {name: replace(field, type_name="*")}
    flat = {name: Field(field.offset, field.size)}
    inner = table.layout(field.type_name)
    for member, inside in (inner.fields if inner else {}).items():
        moved = Field(field.offset + inside.offset, inside.size, inside.bit, inside.bits, inside.type_name)
        flat.update(flatten(table, f"{name}.{member}", moved))
    return flat


def main(directory: Path) -> None:
    """Writes all tables anew."""
    for major, updates in kernels(directory).items():
        update, path = updates[-1]
        structures = extract(open_isf(path))
        (TABLES / f"{major}.tsv").write_text(format_table(structures), "ascii")
        print(f"{major}.{update}: {len(structures)} structures")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
