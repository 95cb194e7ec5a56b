"""Image files, laid out as the loader does it, and held against the identity that a dump names."""

from pathlib import Path

import pytest

from analysis.errors import Absence, BadSymbols, Unreadable
from analysis.symbols.image_file import ImageFile, open_image
from analysis.symbols.names import ImageIdentity
from tests.forge import forge
from tests.symbols.images import BASE, SIZE, build_image

PROGRAM = Path("../shared/data/pe_pdb/rizin_seh_x64_xcpt4.exe")
STAMP = 0x5F3E1234
DELTA = 0x1000 - 0x400  # of the section below, between its place in memory and in the file


def write(tmp_path: Path) -> Path:
    """Headers, and one section of 0x800 bytes that the file has 0x200 of, from 0x400 on."""
    image = build_image()[:0x600]
    at = 0xE8 + 24 + 0xF0
    image[at + 16 : at + 24] = (0x200).to_bytes(4, "little") + (0x400).to_bytes(4, "little")
    image[at + 40 + 12 : at + 44 + 12] = (0x7000).to_bytes(4, "little")
    image[0x400:0x600] = bytes(range(256)) * 2
    path = tmp_path / "sample.sys"
    path.write_bytes(image)
    return path


def test_sections_lie_where_the_loader_puts_them(tmp_path: Path) -> None:
    image = open_image(write(tmp_path), ImageIdentity("sample.sys", STAMP, SIZE), BASE)
    assert image.read(BASE, 2) == b"MZ"
    assert image.read(BASE + 0x1001, 3) == bytes((1, 2, 3))
    assert image.read(BASE + 0x11FE, 4) == b"\xfe\xff\0\0"  # what the file does not hold of a section is zero
    with pytest.raises(Unreadable) as gap:
        image.read(BASE + 0x17FF, 2)
    assert (gap.value.address, gap.value.absence) == (BASE + 0x1800, Absence.NOT_MAPPED)
    with pytest.raises(Unreadable):
        image.read(BASE - 1, 1)


def test_another_images_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    for wanted in (ImageIdentity("sample.sys", STAMP + 1, SIZE), ImageIdentity("sample.sys", STAMP, SIZE + 0x1000)):
        with pytest.raises(BadSymbols) as refused:
            open_image(path, wanted, BASE)
        assert refused.value.reason.startswith(f"it is {STAMP:08x}-{SIZE:x}, but ")


def test_a_file_cut_anywhere_is_refused_or_has_zeros_at_its_end(tmp_path: Path) -> None:
    whole = write(tmp_path).read_bytes()
    path, opened = tmp_path / "cut.sys", 0
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        try:
            image = ImageFile(path, BASE)
        except BadSymbols:
            continue
        opened += 1
        if image.headers.sections:
            with pytest.raises(BadSymbols, match="cut short"):
                open_image(path, ImageIdentity("cut.sys", STAMP, SIZE), BASE)
            assert len(image.read(BASE + 0x1000, 0x800)) == 0x800
        image.headers.functions(), image.headers.exports(), image.headers.version()
        assert image.headers.pdb is None
        image.close()
    assert 0 < opened < len(whole) // 7


@pytest.mark.shared
@pytest.mark.skipif(not PROGRAM.exists(), reason="needs ../shared/data")
def test_a_real_program_reads_as_an_independent_reader_lays_it_out() -> None:
    pefile = pytest.importorskip("pefile")
    mapped = pefile.PE(str(PROGRAM)).get_memory_mapped_image()
    image = ImageFile(PROGRAM, 0)
    for section in image.headers.sections:
        theirs = mapped[section.rva : section.rva + section.size]
        assert image.read(section.rva, len(theirs)) == theirs
    assert len(image.headers.functions()) == 241
    assert image.headers.pdb is not None


def test_a_forged_machines_files_hold_what_its_memory_holds(tmp_path: Path) -> None:
    forged = forge("seed", kind="triage", driver_pdbs=True)
    forged.write_images(tmp_path)
    fact = next(one for one in forged.facts.modules if one.name == "rassstp.sys")
    identity = ImageIdentity(fact.name, fact.timestamp, fact.size)
    image = open_image(tmp_path / fact.name / identity.key / fact.name, identity, fact.base)
    assert image.headers.pdb is not None
    assert image.read(fact.base, 0x400) == forged.machine.read(fact.base, 0x400)
    assert len(image.headers.functions())
