"""Kernels of whole forged dumps: their own table, the major build's, a neighbour's, or none."""

from pathlib import Path

import pytest

from analysis.formats import open_dump
from analysis.memory import open_memory
from analysis.symbols.builtin import MAJOR_BUILDS
from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from tests.forge import forge

SEED = "seed"


def open_forged(tmp_path: Path, build: int, layouts: str = "own", with_table: bool = False) -> KernelSymbols:
    forged = forge(SEED, build=build, kind="bitmap", layouts=layouts)
    dump = forged.write(tmp_path / "kernel.dmp")
    tables = tmp_path / "tables"
    tables.mkdir()
    if with_table:
        forged.write_isf(tables)
    with open_dump(dump) as image:
        return open_kernel_symbols(image, open_memory(image), SymbolSources((tables,)))


@pytest.fixture(params=MAJOR_BUILDS)
def build(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_its_own_table_is_found(tmp_path: Path, build: int) -> None:
    symbols = open_forged(tmp_path, build, with_table=True)
    assert (symbols.exact, symbols.layout_source, symbols.notes) == (True, "own", ())
    assert symbols.build is not None
    assert symbols.build.split(".")[2] == str(build)
    lock = symbols.address("PiEngineLock")
    assert lock is not None
    assert symbols.name_at(lock) == "PiEngineLock"


def test_without_it_the_major_builds_layouts_stand_in(tmp_path: Path, build: int) -> None:
    symbols = open_forged(tmp_path, build)
    assert (symbols.exact, symbols.layout_source, symbols.build) == (False, "major", None)
    assert symbols.pdb is not None  # the image in the dump names it
    assert symbols.address("PiEngineLock") is None
    assert symbols.address("KeBugCheckEx") is not None  # exported
    assert not symbols.has_functions


@pytest.mark.parametrize("unknown", [10240, 15063, 22621, 26100])
def test_a_build_without_a_table_borrows_what_fits(tmp_path: Path, unknown: int) -> None:
    symbols = open_forged(tmp_path, unknown)
    assert symbols.layout_source == "neighbour"
    assert [note for note in symbols.notes if "passed the checks" in note]


@pytest.mark.parametrize("unknown", [10240, 19041, 22000, 22621, 26100])
def test_shifted_layouts_fit_no_table(tmp_path: Path, unknown: int) -> None:
    symbols = open_forged(tmp_path, unknown, layouts="shifted")
    assert symbols.layout_source == "none"
    assert symbols.layout("_KTHREAD") is None
    assert symbols.base


def test_shifted_layouts_are_read_by_their_own_table(tmp_path: Path) -> None:
    symbols = open_forged(tmp_path, 22000, layouts="shifted", with_table=True)
    layout = symbols.layout("_KTHREAD")
    assert symbols.layout_source == "own"
    assert layout is not None
    assert layout.offset("State") == 0x184 + 0x10
