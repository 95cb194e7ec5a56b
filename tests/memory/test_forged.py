"""Whole forged machines: every kind of dump shows the memory that the builder wrote."""

from pathlib import Path

import pytest

from analysis.errors import Unreadable
from analysis.formats import open_dump
from analysis.memory import AddressSpace, open_memory
from tests.forge import Forged, forge


@pytest.fixture(scope="module")
def machine() -> Forged:
    return forge("seed", build=19041)


def addresses(forged: Forged) -> list[int]:
    facts = forged.facts
    return [
        *(module.base for module in facts.modules),
        *(process.address for process in facts.processes),
        *(thread.address for thread in facts.threads),
        *(resource.address for resource in facts.resources),
    ]


@pytest.mark.parametrize(
    ("kind", "type_code", "word"),
    [
        ("full", 1, "kernel-full"),
        ("bitmap", 5, "kernel-bitmap"),
        ("bitmap", 6, "kernel-bitmap"),
        ("bitmap-full", 5, "kernel-bitmap-full"),
        ("bitmap-full", 6, "kernel-bitmap-full"),
    ],
)
def test_the_memory_is_what_the_builder_wrote(tmp_path: Path, kind: str, type_code: int, word: str) -> None:
    forged = forge("seed", build=22000, kind=kind, type_code=type_code)
    with open_dump(forged.write(tmp_path / "forged.dmp")) as image:
        assert (image.header.kind, image.header.type_code, image.notes) == (word, type_code, ())
        memory = open_memory(image)
        assert isinstance(memory, AddressSpace)
        assert len(addresses(forged)) > 300
        for address in addresses(forged):
            assert memory.u64(address) == forged.machine.read_u64(address)
        for process in forged.facts.processes:
            assert memory.process(process.directory_table).u64(process.address) == memory.u64(process.address)


def test_a_forged_dump_cut_anywhere_reads_as_far_as_it_goes(machine: Forged, tmp_path: Path) -> None:
    whole = machine.write(tmp_path / "whole.dmp").read_bytes()
    path = tmp_path / "cut.dmp"
    for length in range(0x2000, len(whole), len(whole) // 40):
        path.write_bytes(whole[:length])
        with open_dump(path) as image:
            assert image.truncated
            assert image.header.code == machine.facts.code
            memory = open_memory(image)
            for address in addresses(machine)[::20]:
                try:
                    assert memory.u64(address) == machine.machine.read_u64(address)
                except Unreadable as gap:
                    assert str(gap)  # noqa: PT017 - a missing page is as good an answer as the right bytes


def test_a_big_machine_opens_like_a_small_one(machine: Forged, tmp_path: Path) -> None:
    with open_dump(machine.write(tmp_path / "big.dmp", memory_bytes=8 << 30)) as image:
        assert image.raw.size > 8 << 30
        assert image.pages is not None
        assert image.pages.page_count >= 8 << 18
        memory = open_memory(image)
        for address in addresses(machine):
            assert memory.u64(address) == machine.machine.read_u64(address)
        assert image.raw.bytes_read < 16 << 20
