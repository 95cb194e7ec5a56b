"""The sample that comes with the package: a compressed dump, and the symbol table of its invented kernel."""

import lzma
import shutil
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("sample")
PACKED = "*.dmp.xz"


class NoSample(Exception):
    """This installation holds no sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample: the unpacked dump, and the directory of the kernel's symbol table."""

    dump: Path
    symbols: Path


def unpack(directory: Path, folder: Path = FOLDER) -> Sample:
    """Unpack the sample's dump into a directory; the table is read where it lies.

    Raises:
        NoSample: the package data is missing.
    """
    packed = sorted(folder.glob(PACKED))
    if not packed:
        raise NoSample(f"{folder} holds no sample dump")
    dump = directory / packed[0].name.removesuffix(".xz")
    with lzma.open(packed[0]) as source, dump.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return Sample(dump, folder / "symbols")
