"""32-bit stacks at every instruction of compiled code: what is trusted as unwound is never wrong."""

import re
from pathlib import Path

import pytest

from analysis.symbols.pdb import PdbTable
from analysis.trust import Trust
from tests.symbols import llvm
from tests.unwinding import emulation, x86

pytestmark = pytest.mark.skipif(bool(llvm.missing() or emulation.missing()), reason=str(llvm.missing()))


def test_with_frame_pointers_every_frame_is_found_and_unwound_ones_are_right() -> None:
    found = x86.judge(("-O1", "-fno-omit-frame-pointer"))
    assert found.complaints == []
    assert found.total == sum(found.right.values()) > 1000
    assert sum(found.wrong.values()) == 0
    assert found.right[Trust.UNWIND] > 0.9 * found.total


def test_without_frame_pointers_frame_data_lead_on_and_what_is_guessed_is_marked() -> None:
    for optimization, least in (("-O1", 0.95), ("-O0", 0.7)):
        found = x86.judge((optimization, "-fomit-frame-pointer"))
        assert found.complaints == []
        assert found.right[Trust.UNWIND] > 100
        assert sum(found.right.values()) > least * found.total
        assert found.wrong[Trust.FRAME_POINTER] == 0


def test_an_image_file_serves_as_well_as_the_image_in_memory() -> None:
    options = ("-O1", "-fomit-frame-pointer")
    with_memory, with_file = x86.judge(options), x86.judge(options, from_file=True)
    assert (with_file.right, with_file.wrong) == (with_memory.right, with_memory.wrong)


def test_without_symbols_less_is_found_and_nothing_is_claimed() -> None:
    found = x86.judge(("-Os", "-fomit-frame-pointer"), symbols=False)
    assert found.complaints == []
    assert found.wrong[Trust.SCAN] > 0  # the program is one that scanning gets wrong


@pytest.mark.slow
@pytest.mark.parametrize("symbols", [True, False])
@pytest.mark.parametrize("options", x86.SETS)
def test_no_unwound_frame_is_wrong_with_any_options(options: tuple[str, ...], symbols: bool) -> None:
    found = x86.judge(options, symbols=symbols)
    assert found.complaints == []
    assert found.moments > 900


@pytest.mark.parametrize("pointer", ["-fomit-frame-pointer", "-fno-omit-frame-pointer"])
def test_frame_data_are_read_as_llvm_reads_them(tmp_path: Path, pointer: str) -> None:
    pdb = x86.compiled(tmp_path, "-O2", pointer)
    printed = llvm.run("llvm-pdbutil", "dump", "-fpo", pdb)
    row = re.compile(
        r"^([0-9A-F]{8}) \| +(\d+) \| +(\d+) \| +(\d+) \| +\d+ \| +(\d+) \| +(\d+) \| +\w+ \| +\w+ \| +(\w+) \| "
        r"(.*?) *$"
    )
    rows = [match for line in printed.splitlines() if (match := row.match(line))]
    table = PdbTable(pdb)
    assert table.frames is not None
    assert len(rows) == len(table.frames) > 50
    for start, size, local, params, prolog, saved, first, program in (match.groups() for match in rows):
        found = table.frame_at(int(start, 16))
        assert found is not None
        sizes = (found.size, found.locals, found.params, found.prolog, found.saved)
        assert (found.start, *sizes) == (int(start, 16), *map(int, (size, local, params, prolog, saved)))
        assert found.program.strip() == program.strip()
        assert (found.function == found.start) == (first == "true")
    table.close()
