"""The offsets in TEB and PEB, held against every public symbol table of a kernel that is at hand."""

import json
import lzma
from pathlib import Path

import pytest

from analysis.usermode import blocks

TABLES = sorted(Path(__file__).parents[3].glob("shared/data/symbols/ntkrnlmp.pdb/*.json.xz"))


@pytest.mark.slow
@pytest.mark.skipif(not TABLES, reason="no ../shared/data/symbols")
def test_the_offsets_are_those_of_every_public_symbol_table() -> None:
    for path in TABLES:
        with lzma.open(path) as file:
            types = json.load(file)["user_types"]
        for size, teb, peb in ((8, "_TEB", "_PEB"), (4, "_TEB32", "_PEB32")):
            assert types[teb]["fields"]["ProcessEnvironmentBlock"]["offset"] == blocks.PEB_OF_TEB[size], path.name
            assert types[peb]["fields"]["LoaderLock"]["offset"] == blocks.LOADER_LOCK[size], path.name
        assert types["_TEB"]["fields"]["TlsSlots"]["offset"] + 8 == blocks.CPU_AREA, path.name
