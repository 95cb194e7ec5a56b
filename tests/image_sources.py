"""``python -m tests.image_sources``: stacks of small dumps without and with a source of image files.

The real dumps' images are nobody's to pass on, so theirs are stand-ins: the real TimeDateStamp and SizeOfImage, and for
the kernel the PDB record that its fingerprint picks; no code and no unwind data, since any would be invented. They show
that such an image is found, believed and read, and what it cannot give. What real images give is shown on a forged
small dump, whose image files are whole and whose true stack is known.
"""

import struct
import sys
import tempfile
import uuid
from pathlib import Path

from analysis.formats import open_dump
from analysis.kernel.scene import read_scene
from analysis.memory import open_memory
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from tests.forge import forge

DATA = Path(__file__).parents[2] / "shared" / "data"
SHOWN = 14


def main() -> int:
    """Prints the stacks; the exit status."""
    for dump in sorted((DATA / "dumps").glob("triage_*.dmp")):
        with tempfile.TemporaryDirectory() as scratch:
            store = Path(scratch)
            stand_ins(dump, store)
            print(f"== {dump.name}: real dump, stand-in images ==")
            show("without images", dump, DATA / "symbols")
            show("with images", dump, DATA / "symbols", store)
    with tempfile.TemporaryDirectory() as scratch:
        forged = forge("seed", kind="triage", driver_pdbs=True)
        dump = forged.write(Path(scratch) / "forged.dmp")
        tables = forged.write_isf(Path(scratch) / "tables").parent
        print("== forged small dump, its own images ==")
        show("without images", dump, tables)
        show("with images", dump, tables, forged.write_images(Path(scratch) / "images"))
    return 0


def show(what: str, dump: Path, *places: Path) -> None:
    """Prints how the kernel was recognised and the crashing stack, each frame with its trust."""
    with open_dump(dump) as image:
        memory = open_memory(image)
        symbols = open_kernel_symbols(image, memory, SymbolSources(tuple(place for place in places if place.exists())))
        scene = read_scene(image, memory, symbols)
        stack = scene.walker.context_stack(image.header.context)
        print(f"-- {what}: {symbols.how}")
        for frame in stack.frames[:SHOWN]:
            print(f"   {frame.trust.name.lower():14} {frame.symbol}")
        print(f"   {len(stack.frames)} frames; {stack.end}")


def stand_ins(dump: Path, store: Path) -> None:
    """Writes a stand-in for each image that a small dump lists."""
    with open_dump(dump) as image:
        symbols = open_kernel_symbols(image, open_memory(image), SymbolSources((DATA / "symbols",)))
        machine = image.header.machine
        for driver in image.triage.drivers if image.triage else ():
            if not driver.timestamp or not driver.name:
                continue
            guid = symbols.pdb.guid if symbols.pdb and driver.base == symbols.base else None
            name = "ntoskrnl.exe" if guid else driver.name
            place = store / name / f"{driver.timestamp:08X}{driver.size:x}"
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(_stand_in(machine, driver.timestamp, driver.size, guid))


def _stand_in(machine: int, timestamp: int, size: int, guid: str | None) -> bytes:
    image = bytearray(0x1000)
    image[:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, 0x80)
    struct.pack_into("<4sHHI", image, 0x80, b"PE\0\0", machine, 0, timestamp)
    struct.pack_into("<HxxH", image, 0x94, 0xF0, 0x20B)
    for at, value in ((0x38, size), (0x3C, 0x1000), (0x6C, 16)):
        struct.pack_into("<I", image, 0x98 + at, value)
    if guid is not None:
        record = b"RSDS" + uuid.UUID(guid).bytes_le + struct.pack("<I", 1) + b"ntkrnlmp.pdb\0"
        struct.pack_into("<II", image, 0x98 + 0x70 + 8 * 6, 0x400, 28)
        struct.pack_into("<12x4I", image, 0x400, 2, len(record), 0x420, 0x420)
        image[0x420 : 0x420 + len(record)] = record
    return bytes(image)


if __name__ == "__main__":
    sys.exit(main())
