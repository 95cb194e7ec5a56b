"""The sample that comes with the package: a compressed dump and the symbol table of its invented kernel."""

import lzma
import shutil
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("sample")
DUMP_SUFFIX, TABLE_SUFFIX = ".dmp.xz", ".json.xz"


class NoSample(Exception):
    """This installation holds no sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The unpacked sample: the dump's file, and the directory of its symbol table."""

    dump: Path
    symbols: Path


def unpack(directory: Path, folder: Path = FOLDER) -> Sample:
    """Unpack the sample into an empty directory.

    Raises:
        NoSample: the package data is missing.
    """
    packed = sorted(folder.glob(f"*{DUMP_SUFFIX}"))
    if not packed:
        raise NoSample(f"{folder} holds no sample dump")
    dump = directory / packed[0].name.removesuffix(".xz")
    with lzma.open(packed[0]) as source, dump.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    symbols = directory / "symbols"
    symbols.mkdir()
    for table in folder.glob(f"*{TABLE_SUFFIX}"):
        shutil.copy(table, symbols)
    return Sample(dump, symbols)
