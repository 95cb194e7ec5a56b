"""The demo's sample: a kernel dump of the seed story and the symbol table of its invented kernel, as package data.

``python -m tests.forge.sample`` writes both again, byte for byte; the store of the demo's symbol server is made from
the same machine by ``tests.symbols.sample_store``. ``make sample`` runs both.
"""

import lzma
import shutil
import tempfile
from pathlib import Path

from tests.forge import Forged, forge

SAMPLE = Path(__file__).parents[2] / "bot" / "sandbox" / "sample"
DUMP = "seed.dmp.xz"
BUILD = 19041


def forged_sample() -> Forged:
    """The machine of the sample: build 19041, a kernel bitmap dump."""
    return forge("seed", build=BUILD, kind="bitmap", driver_pdbs=True)


def write_sample(directory: Path) -> list[Path]:
    """Write the compressed dump and ``symbols/`` under a directory. Returns the files, sorted."""
    directory.mkdir(parents=True, exist_ok=True)
    forged = forged_sample()
    with tempfile.TemporaryDirectory() as scratch:
        plain = forged.write(Path(scratch) / "seed.dmp").read_bytes()
    (directory / DUMP).write_bytes(packed(plain))
    shutil.rmtree(directory / "symbols", ignore_errors=True)
    forged.write_isf(directory / "symbols")
    return sorted(path for path in directory.rglob("*") if path.is_file())


def packed(plain: bytes) -> bytes:
    """The same bytes compressed, and the same each time: presets may differ between versions of the library."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 23, "mode": lzma.MODE_NORMAL, "nice_len": 64}]
    return lzma.compress(plain, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, filters=filters)


def main() -> None:
    """Rebuild the package's sample."""
    total = sum(path.stat().st_size for path in write_sample(SAMPLE))
    print(f"{SAMPLE}: {total:,} bytes")


if __name__ == "__main__":
    main()
