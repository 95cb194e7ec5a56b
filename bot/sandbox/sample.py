"""The sample that comes with the package: a dump, its kernel's symbol table, and the store of a symbol server."""

import lzma
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("sample")
PACKED = "*.dmp.xz"
STORE = "store.tar.xz"


class NoSample(Exception):
    """This installation holds no sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample: the unpacked dump, the directory of the kernel's symbol table, and that of the unpacked symbol store,
    with the PDBs of kernel and drivers."""

    dump: Path
    symbols: Path
    store: Path


def unpack(directory: Path, folder: Path = FOLDER) -> Sample:
    """Unpack the sample's dump and store into a directory; the table is read where it lies.

    Raises:
        NoSample: the package data is missing.
    """
    packed = sorted(folder.glob(PACKED))
    if not packed:
        raise NoSample(f"{folder} holds no sample dump")
    dump = directory / packed[0].name.removesuffix(".xz")
    with lzma.open(packed[0]) as source, dump.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    store = directory / "store"
    store.mkdir()
    if (folder / STORE).is_file():
        with tarfile.open(folder / STORE) as archive:  # our own, with files alone
            for member in archive:
                content = archive.extractfile(member)
                path = store / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read() if content else b"")
    return Sample(dump, folder / "symbols", store)
