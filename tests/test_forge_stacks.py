"""Forged stacks hold together: an unwinder that knows only the documented unwind codes walks each to its end."""

import struct
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from tests.forge import SCENARIOS, Forged, all_builds, forge
from tests.forge.facts import ThreadFact


@dataclass
class Walk:
    """A stack walk in a forged machine, by its own unwind data alone."""

    forged: Forged
    rip: int
    sp: int
    registers: dict[int, int] = field(default_factory=dict)

    def u64(self, address: int) -> int:
        return self.forged.machine.read_u64(address)

    def step(self) -> bool:
        module = next((m for m in self.forged.facts.modules if m.base <= self.rip < m.base + m.size), None)
        if module is None:
            return False
        row = self.row(module.base, self.rip - module.base)
        if row is None:
            return False
        begin, _, info = row
        while True:
            head = self.forged.machine.read(module.base + info, 4)
            version, flags = head[0] & 7, head[0] >> 3
            assert version == 1
            codes = self.forged.machine.read(module.base + info + 4, 2 * head[2])
            if self.undo(codes, head[3], self.rip - module.base - begin):
                return True
            if flags != 4:
                break
            at = module.base + info + 4 + 2 * (head[2] + 1 & ~1)
            begin, _, info = struct.unpack("<III", self.forged.machine.read(at, 12))
        self.rip = self.u64(self.sp)
        self.sp += 8
        return self.rip != 0

    def row(self, base: int, rva: int) -> tuple[int, int, int] | None:
        (at,) = struct.unpack("<I", self.forged.machine.read(base + 0x80 + 0x88 + 24, 4))
        (size,) = struct.unpack("<I", self.forged.machine.read(base + 0x80 + 0x88 + 28, 4))
        rows = list(struct.iter_unpack("<III", self.forged.machine.read(base + at, size)))
        assert rows == sorted(rows)
        assert all(end <= begin for (_, end, _), (begin, _, _) in pairwise(rows))
        return next((row for row in rows if row[0] <= rva < row[1]), None)

    def undo(self, codes: bytes, frame: int, offset: int) -> bool:
        """Take back the prologue; True where a machine frame ended it."""
        index = 0
        if frame & 15 and any(codes[i + 1] & 15 == 3 for i in range(0, len(codes), 2)):
            self.sp = self.registers[frame & 15] - 16 * (frame >> 4)
        base = self.sp  # saves are relative to where RSP stood in the body
        while index < len(codes):
            at, operation, info = codes[index], codes[index + 1] & 15, codes[index + 1] >> 4
            index += 2
            if at > offset:  # not yet run: the first frame may stand at a function's entry
                index += {1: 2, 4: 2, 8: 2}.get(operation, 0)
            elif operation == 0:
                self.registers[info] = self.u64(self.sp)
                self.sp += 8
            elif operation == 1:
                self.sp += 8 * struct.unpack_from("<H", codes, index)[0]
                index += 2
            elif operation == 2:
                self.sp += 8 * info + 8
            elif operation == 4:
                self.registers[info] = self.u64(base + 8 * struct.unpack_from("<H", codes, index)[0])
                index += 2
            elif operation == 8:
                index += 2
            elif operation == 10:
                self.rip, self.sp = self.u64(self.sp), self.u64(self.sp + 24)
                return True
            else:
                assert operation == 3, operation
        return False


def walk(forged: Forged, thread: ThreadFact) -> list[tuple[int, int]]:
    first = thread.frames[0]
    walk = Walk(forged, first.address, first.sp)
    found = [(walk.rip, walk.sp)]
    while walk.step() and walk.rip >= 0xFFFF << 48:
        found.append((walk.rip, walk.sp))
    return found


@pytest.mark.parametrize("build", all_builds())
def test_every_waiting_stack_unwinds_to_what_was_written(build: int) -> None:
    forged = forge("seed", build=build, seed=build)
    for thread in forged.facts.threads:
        if thread.stack_resident:
            assert walk(forged, thread) == [(frame.address, frame.sp) for frame in thread.frames]


@pytest.mark.parametrize("scenario", ["nolock", "nolock-7e"])
def test_the_crashing_stack_unwinds_through_the_trap(scenario: str) -> None:
    forged = forge(scenario, seed=3)
    thread = next(thread for thread in forged.facts.threads if thread.state == 2)
    assert walk(forged, thread) == [(frame.address, frame.sp) for frame in thread.frames]
    assert forged.facts.expected.culprit_address in [address for address, _ in walk(forged, thread)]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_call_stands_before_every_return_address(scenario: str) -> None:
    forged = forge(scenario, build=22000, seed=11)
    for thread in forged.facts.threads:
        for frame in thread.frames if thread.stack_resident and thread.state != 2 else ():
            code = forged.machine.read(frame.address - 6, 6)
            assert code[1] == 0xE8 or code[-2:] == b"\xff\xd0" or code[:2] == b"\xff\x15"
