"""The store of the demo's symbol server: the PDBs of the sample's kernel and drivers, as package data.

``python -m tests.symbols.sample_store`` (``make sample``) writes it again, byte for byte.
"""

import io
import tarfile
import tempfile
from pathlib import Path

from analysis.symbols.names import PdbIdentity
from tests.forge.sample import SAMPLE, forged_sample, packed
from tests.symbols.forged_pdbs import kernel_pdb, store, write_driver_pdbs

STORE = "store.tar.xz"


def store_bytes() -> bytes:
    """The store as an archive."""
    forged = forged_sample()
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(fileobj=archive, mode="w") as tar:
        store(Path(scratch), PdbIdentity("ntkrnlmp.pdb", forged.facts.kernel_guid, 1), kernel_pdb(forged))
        write_driver_pdbs(Path(scratch), forged)
        for path in sorted(path for path in Path(scratch).rglob("*") if path.is_file()):
            about = tarfile.TarInfo(path.relative_to(scratch).as_posix())
            about.size = path.stat().st_size
            tar.addfile(about, io.BytesIO(path.read_bytes()))
    return packed(archive.getvalue())


if __name__ == "__main__":
    (SAMPLE / STORE).write_bytes(store_bytes())
    print(f"{SAMPLE / STORE}: {(SAMPLE / STORE).stat().st_size:,} bytes")
