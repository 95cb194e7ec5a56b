"""Which files may be asked for, and whether a file is the one that was."""

import re
from pathlib import Path
from typing import Any

from analysis.errors import BadSymbols
from analysis.symbols.names import ImageIdentity, PdbIdentity, Wanted

NAME = re.compile(r"(?!\.)[\w.+\-$%@ ()\[\]]{1,200}\.[A-Za-z0-9]{2,4}", re.ASCII)
GUID = re.compile(r"[0-9A-F]{32}")


def wanted_from(question: Any) -> Wanted | None:
    """The file that an analysis asks for, from its JSON. It has read a hostile dump, so every part is looked at."""
    match question:
        case {"name": str(name), "guid": str(guid), "age": int(age)}:
            return PdbIdentity(name, guid, age)
        case {"name": str(name), "timestamp": int(timestamp), "size": int(size)}:
            return ImageIdentity(name, timestamp, size)
    return None


def is_sound(wanted: Wanted) -> bool:
    """Whether it is a name and a key that can stand in a path and in an address, and nothing else."""
    if not NAME.fullmatch(wanted.name):
        return False
    if isinstance(wanted, PdbIdentity):
        return bool(GUID.fullmatch(wanted.guid)) and 0 <= wanted.age < 1 << 32 and wanted.name.lower().endswith(".pdb")
    return 0 < wanted.timestamp < 1 << 32 and 0 < wanted.size < 1 << 32


def check(path: Path, wanted: Wanted) -> None:
    """Raises: BadSymbols, where a file is not the wanted one, or not whole."""
    # What reads such files is loaded with the first one: most questions of an analysis have no file to answer them.
    from analysis.symbols.image_file import open_image
    from analysis.symbols.pdb import open_pdb

    if isinstance(wanted, PdbIdentity):
        open_pdb(path, wanted).close()
    else:
        open_image(path, wanted, 0).close()


def why_refused(path: Path, wanted: Wanted) -> str | None:
    """In words, why a file is not the wanted one; None where it is."""
    try:
        check(path, wanted)
    except BadSymbols as refused:
        return refused.reason
    return None
