"""Kernels whose memory lies at random: notes may come of it, never an exception and never endless work."""

import random
import time
from pathlib import Path

import pytest

from analysis.formats import open_dump
from analysis.kernel.scene import read_scene
from analysis.memory import Memory, open_memory
from analysis.symbols.opening import SymbolSources, open_kernel_symbols
from analysis.waits import find_waits
from tests.forge import forge


class Lying(Memory):
    """Memory in front of another that now and then answers with nonsense, often with a plausible pointer."""

    def __init__(self, behind: Memory, seed: int, pointers: list[int]) -> None:
        self._behind = behind
        self._random = random.Random(seed)
        self._rate = self._random.choice([0.001, 0.01, 0.1])
        self._pointers = pointers

    def read(self, address: int, size: int) -> bytes:
        data = self._behind.read(address, size)
        if not data or self._random.random() >= self._rate:
            return data
        lie = bytearray(data)
        at = self._random.randrange(len(lie))
        match self._random.randrange(4):
            case 0:
                lie[at] = self._random.randrange(256)
            case 1:
                lie = bytearray(len(lie))
            case 2:
                lie = bytearray(b"\xff" * len(lie))
            case _:
                start = at & ~7
                pointer = self._random.choice(self._pointers).to_bytes(8, "little")
                lie[start : start + 8] = pointer[: len(lie) - start]
        return bytes(lie)


@pytest.mark.parametrize(
    ("scenario", "build"), [("seed", 7601), ("any-of", 14393), ("chain", 19041), ("deadlock", 22000)]
)
def test_memory_that_lies_costs_notes_and_no_more(scenario: str, build: int, tmp_path: Path) -> None:
    forged = forge(scenario, build=build, kind="bitmap")
    facts = forged.facts
    pointers = [t.address for t in facts.threads] + [r.address for r in facts.resources] + [0, 1, (1 << 64) - 1]
    with open_dump(forged.write(tmp_path / "memory.dmp")) as image:
        memory = open_memory(image)
        symbols = open_kernel_symbols(image, memory, SymbolSources())
        for seed in range(15):
            started = time.process_time()
            scene = read_scene(image, Lying(memory, seed, pointers), symbols)
            waits = find_waits(scene)
            assert time.process_time() - started < 20
            for chain in waits.chains:
                assert chain.lock.owners
                assert chain.lock.waiters
            assert {blocked.waits_for for blocked in waits.blocked} <= {chain.lock.address for chain in waits.chains}
