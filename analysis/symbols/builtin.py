"""Layout tables that ship with Pileup: facts of public kernel symbols, one file per major build.

Every offset in them is the same in all updates of that major build; only the sizes of a few structures grow (KERNEL.md
§0). They are made by ``python -m tests.tools.make_tables`` from ISF files and hold no addresses: those differ in each
update. A file has one line per structure (name, size) and one indented line per member (name, offset, size, first bit,
number of bits, type), numbers in hex, columns separated by tabs.
"""

from pathlib import Path

from analysis.symbols.fields import NestedFields
from analysis.symbols.layout import Field, Layout

TABLES = Path(__file__).parent / "tables"

MAJOR_BUILDS = (7601, 9600, 14393, 17763, 18362, 19041, 20348, 22000)

# Updates that only switch features on run the very kernel of the build they sit on, under another build number.
SAME_KERNEL = {18363: 18362, 19042: 19041, 19043: 19041, 19044: 19041, 19045: 19041}

# Alike in all eight builds and needed before anything is known about a kernel.
ALWAYS_ALIKE = ("_LIST_ENTRY", "_UNICODE_STRING", "_KLDR_DATA_TABLE_ENTRY")

# The same on every x64 Windows: the processor and the compiler define them, not the kernel's data.
ALIKE_ON_X64 = ("_CONTEXT", "_EXCEPTION_RECORD", "_KTRAP_FRAME", "_KEXCEPTION_FRAME")


class BuiltinTable:
    """Layouts of one major build as a symbol table without names."""

    has_functions = False

    def __init__(self, origin: str, structures: dict[str, tuple[int, dict[str, Field]]]) -> None:
        self.origin = origin
        self._structures = structures

    def rva(self, name: str) -> int | None:  # noqa: ARG002 -- the protocol's signature; these tables hold no addresses
        """Always None."""
        return None

    def nearest(self, rva: int) -> tuple[str, int] | None:  # noqa: ARG002 -- as above
        """Always None."""
        return None

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure, or None."""
        found = self._structures.get(name)
        return None if found is None else Layout(name, found[0], NestedFields(found[1], self.layout))

    def structures(self) -> tuple[str, ...]:
        """The names of all structures in the table."""
        return tuple(self._structures)


def builtin_table(major: int) -> BuiltinTable | None:
    """The table of a major build (or of the build whose kernel it shares), or None: there is no table for it."""
    known = SAME_KERNEL.get(major, major)
    if known not in MAJOR_BUILDS:
        return None
    text = (TABLES / f"{known}.tsv").read_text("ascii")
    return BuiltinTable(f"built-in {known}", parse_table(text))


def always_alike(architecture: str) -> BuiltinTable:
    """Those few layouts that hold for every 64-bit Windows, for ``architecture`` "x64" or another."""
    table = builtin_table(19041)
    names = ALWAYS_ALIKE + (ALIKE_ON_X64 if architecture == "x64" else ())
    kept = {} if table is None else {name: table._structures[name] for name in names}
    return BuiltinTable("built-in, all builds", kept)


def parse_table(text: str) -> dict[str, tuple[int, dict[str, Field]]]:
    """Structures of a table file: name → (size, members). Raises: ValueError."""
    structures: dict[str, tuple[int, dict[str, Field]]] = {}
    members: dict[str, Field] = {}
    for line in text.splitlines():
        head, *rest = line.split("\t")
        if head:
            members = {}
            structures[head] = (int(rest[0], 16), members)
        else:
            name, offset, size, bit, bits, type_name = [*rest, "", "", ""][:6]
            members[name] = Field(int(offset, 16), int(size, 16), int(bit or "0", 16), int(bits or "0", 16), type_name)
    return structures


def format_table(structures: dict[str, tuple[int, dict[str, Field]]]) -> str:
    """The text of a table file; ``parse_table`` reads it back."""
    lines = []
    for name, (size, members) in structures.items():
        lines.append(f"{name}\t{size:x}")
        for member, field in members.items():
            bits = (f"{field.bit:x}", f"{field.bits:x}") if field.bits else ("", "")
            columns = ("", member, f"{field.offset:x}", f"{field.size:x}", *bits, field.type_name)
            lines.append("\t".join(columns).rstrip("\t"))
    return "\n".join(lines) + "\n"
