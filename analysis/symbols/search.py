"""Symbol files on disk: tables that may belong to a kernel, PDBs and images, below the given directories.

Nothing is opened here but BUILDS.tsv; names and places decide. Directories are only read.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analysis.limits import MAX_SYMBOL_DEPTH, MAX_SYMBOL_ENTRIES
from analysis.symbols.names import ImageIdentity, Wanted

SUFFIXES = (".json", ".json.xz", ".json.gz", ".json.bz2")
KERNEL_PDBS = frozenset({"ntkrnlmp.pdb", "ntoskrnl.pdb", "ntkrnlpa.pdb", "ntkrpamp.pdb"})
STORED_SUFFIXES = (".pdb", ".exe", ".sys", ".dll")
PACKED_SUFFIXES = tuple(f"{suffix[:-1]}_" for suffix in STORED_SUFFIXES)
BUILDS_FILE = "BUILDS.tsv"
MAX_BUILDS_FILE = 4 << 20

GUID_AGE = re.compile(r"([0-9A-Fa-f]{32})[-_]?([0-9A-Fa-f]{1,8})?(?![0-9A-Za-z])")
FULL_BUILD = re.compile(r"\b(\d{1,2}\.\d{1,2}\.(\d{4,6})(?:\.\d{1,6})?)\b")


IMAGE_KEY = re.compile(r"[0-9A-Fa-f]{9,16}")

Ask = Callable[[Wanted], Path | str]
"""Fetches a PDB or an image: where it now lies, or in a sentence why it cannot be had."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be a kernel's table. ``guid`` and ``age`` are None where its name does not state them, ``build``
    ("10.0.19041.804") where neither BUILDS.tsv nor the committed list knows it."""

    path: Path
    guid: str | None
    age: int | None
    build: str | None

    @property
    def major(self) -> int | None:
        """The major build, or None."""
        return major_of(self.build)


def major_of(build: str | None) -> int | None:
    """The third number of a build: "10.0.19041.804" → 19041."""
    match = FULL_BUILD.search(build or "")
    return int(match[2]) if match else None


@dataclass(frozen=True, slots=True)
class SymbolFiles:
    """What lies below the symbol directories. ``tables`` are ISF files that may be a kernel's, ``stored`` PDBs and
    images by lower-case name, in order; ``notes`` are sentences about what could not be searched. ``ask`` fetches what
    is not here: it returns a path, or why there is none (nothing to say where no server was asked). ``cache``
    is a directory that keeps what was found out about large files."""

    directories: tuple[Path, ...] = ()
    tables: tuple[Candidate, ...] = ()
    stored: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ask: Ask | None = None
    cache: Path | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no place at all where a file could come from."""
        return not self.directories and self.ask is None

    def places_of(self, wanted: Wanted) -> tuple[Path, ...]:
        """Files that may be the wanted one: those at its place in a symbol store first, then plain files.

        What lies at the place of another version is that version's, and is not among them.
        """
        listed = self.stored.get(wanted.name.lower(), ())
        kept = [path for path in listed if path.parent.name.upper() == wanted.key.upper()]
        shape = IMAGE_KEY if isinstance(wanted, ImageIdentity) else GUID_AGE
        plain = [path for path in listed if not shape.fullmatch(path.parent.name)]
        # The directories of a large store are not all looked at, but the place of one file in it is known.
        placed = [path for directory in self.directories for path in store_places(directory, wanted)]
        return tuple(dict.fromkeys((*placed, *kept, *plain)))

    def packed_of(self, wanted: Wanted) -> tuple[Path, ...]:
        """Compressed files (name.pd_, name.sy_) at the wanted one's place in a symbol store."""
        listed = self.stored.get(packed_name(wanted.name).lower(), ())
        return tuple(path for path in listed if path.parent.name.upper() == wanted.key.upper())


def packed_name(name: str) -> str:
    """What a file is called once it is compressed: "disk.pd_"."""
    return f"{name[:-1]}_"


def store_places(directory: Path, wanted: Wanted) -> Iterator[Path]:
    """The files that lie at the wanted one's place below a symbol store's directory.

    Two-tier stores keep name.pdb/KEY/name.pdb, three-tier ones a folder of the name's first two letters above that.
    """
    name = wanted.name
    if not name or name != Path(name).name or name in (".", ".."):
        return
    for below in (directory, directory / name[:2]):
        for key in dict.fromkeys((wanted.key, wanted.key.lower(), wanted.key.upper())):
            path = below / name / key / name
            if path.is_file():
                yield path


def find_files(
    directories: tuple[Path, ...], known: Mapping[str, str], ask: Ask | None = None, cache: Path | None = None
) -> SymbolFiles:
    """What lies below the directories, in their order.

    ``known`` is ``known_builds()``, asked where no BUILDS.tsv below the same directory names a file's build.
    """
    tables: list[Candidate] = []
    stored: dict[str, tuple[Path, ...]] = {}
    notes: list[str] = []
    for directory in directories:
        files = list(_walk(directory, notes))
        builds = dict(known)
        for path in (*_beside(directory), *files):
            name = path.name.lower()
            if name == BUILDS_FILE.lower():
                builds.update(read_builds(path))
            elif name.endswith((*STORED_SUFFIXES, *PACKED_SUFFIXES)):
                stored[name] = (*stored.get(name, ()), path)
        tables += [_candidate(path, builds) for path in files if _may_be_kernel(path)]
    return SymbolFiles(directories, tuple(tables), stored, tuple(notes), ask, cache)


def read_builds(path: Path) -> dict[str, str]:
    """GUID and file name, both upper-case, → build, from a BUILDS.tsv. Lines that hold no build are passed over.

    Columns may stand in any order: a build is recognised by its shape, and so is a GUID.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BUILDS_FILE).decode("utf-8", "replace")
    except OSError:
        return {}
    builds: dict[str, str] = {}
    for line in text.splitlines():
        columns = line.split("\t")
        build = next((match[1] for column in columns if (match := FULL_BUILD.fullmatch(column.strip()))), None)
        for column in columns if build else ():
            guid = GUID_AGE.search(column)
            builds |= {guid[1].upper(): str(build)} if guid else {}
            builds |= {column.strip().upper(): str(build)} if column.strip().lower().endswith(SUFFIXES) else {}
    return builds


# Given "…/ntkrnlmp.pdb" or a single table, the list lies one level up.
def _beside(directory: Path) -> tuple[Path, ...]:
    above = directory.parent / BUILDS_FILE
    return (above,) if (directory.is_file() or directory.name.lower() in KERNEL_PDBS) and above.is_file() else ()


def _candidate(path: Path, builds: dict[str, str]) -> Candidate:
    match = GUID_AGE.match(path.name)
    guid = match[1].upper() if match else None
    age = int(match[2], 16) if match and match[2] else None
    build = builds.get(path.name.upper()) or builds.get(guid or "")
    return Candidate(path, guid, age, build)


def _may_be_kernel(path: Path) -> bool:
    folder = path.parent.name.lower()
    in_other_pdb = folder.endswith(".pdb") and folder not in KERNEL_PDBS
    return path.name.lower().endswith(SUFFIXES) and not in_other_pdb


# Files below a directory, nearest first; symbolic links to directories are not followed, so there are no loops.
def _walk(directory: Path, notes: list[str]) -> Iterator[Path]:
    if directory.is_file():
        yield directory
        return
    if not directory.is_dir():
        notes.append(f"the symbols directory {directory.name} does not exist")
        return
    level, entries = [directory], 0
    for _ in range(MAX_SYMBOL_DEPTH):
        below: list[Path] = []
        for folder in level:
            for entry in _entries(folder):
                entries += 1
                if entries > MAX_SYMBOL_ENTRIES:
                    notes.append(f"only the first {MAX_SYMBOL_ENTRIES} entries below {directory.name} were searched")
                    return
                if entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path)
        level = below


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []
