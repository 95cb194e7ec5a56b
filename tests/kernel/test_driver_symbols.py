"""Which drivers get a symbol table, and what is said about those that do not."""

from dataclasses import replace
from pathlib import Path

from analysis.address import VirtAddr
from analysis.kernel.driver_symbols import DriverSymbols
from analysis.kernel.facts import Module
from analysis.symbols.names import PdbIdentity
from analysis.symbols.search import find_files
from tests.symbols.pdbs import GUID, Pdb

BASE = VirtAddr(0xFFFF_F800_2000_0000)
MODULE = Module("probe.sys", BASE, 0x8000, pdb=PdbIdentity("probe.pdb", GUID, 1))


def test_a_pdb_is_opened_only_when_asked_for(tmp_path: Path) -> None:
    path = Pdb().write(tmp_path / "probe.pdb")
    symbols = DriverSymbols(find_files((tmp_path,), {}), [MODULE])
    path.unlink()
    assert not symbols.notes
    assert symbols.get(BASE) is None
    assert symbols.notes == ("probe.sys: symbol file probe.pdb: cannot be read (FileNotFoundError)",)
    assert symbols.get(BASE) is None  # asked once, said once
    assert len(symbols.notes) == 1


def test_an_image_that_names_no_pdb_gets_none_by_name_alone(tmp_path: Path) -> None:
    Pdb().write(tmp_path / "probe.pdb")
    symbols = DriverSymbols(find_files((tmp_path,), {}), [replace(MODULE, pdb=None)])
    assert symbols.get(BASE) is None
    (note,) = symbols.notes
    assert note == "probe.sys: a PDB of its name is at hand, but the dump does not tell whether it is this image's"


def test_a_compressed_pdb_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    place = tmp_path / "probe.pdb" / f"{GUID}1"
    place.mkdir(parents=True)
    (place / "probe.pd_").write_bytes(b"MSCF")
    symbols = DriverSymbols(find_files((tmp_path,), {}), [MODULE])
    assert symbols.get(BASE) is None
    assert symbols.notes == ("probe.sys: symbol file probe.pd_: it is compressed; unpack it first",)


def test_the_kernel_and_strangers_are_not_drivers(tmp_path: Path) -> None:
    kernel = replace(MODULE, name="ntoskrnl.exe", base=VirtAddr(BASE + 0x10_0000))
    symbols = DriverSymbols(find_files((tmp_path,), {}), [kernel])
    assert symbols.get(kernel.base) is None
    assert symbols.get(0x1234) is None
    assert (len(symbols), symbols.notes) == (0, ())
