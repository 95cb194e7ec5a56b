"""A whole ARM64 machine in a full dump: compiled code stopped in the middle, and what is said of it.

No other reader of ARM64 kernel dumps was at hand to compare with.
"""

from pathlib import Path

import pytest

from analysis.pipeline import Options, analyze
from analysis.verdict.report import Report
from tests.forge.arm64 import MachineArm64, context_arm64
from tests.symbols import llvm
from tests.unwinding import emulation
from tests.unwinding.emulation import ARM64_NAMES, Moment
from tests.unwinding.programs import BASE, Program, compiled

REASON = llvm.missing() or emulation.missing()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def deepest(program: Program) -> tuple[Moment, bytes]:
    """The moment with the most callers, and its stack."""
    found: list[tuple[Moment, bytes]] = []

    def look(moment: Moment) -> None:
        if not found or len(moment.callers) > len(found[-1][0].callers):
            low = moment.sp & ~0xFFF
            found.append((moment, moment.read(low, emulation.STACK + emulation.STACK_BYTES - low)))

    emulation.run(program, look, visits=8)
    return found[-1]


def dump(program: Program, moment: Moment, stack: bytes, *, lost: tuple[int, ...] = ()) -> bytes:
    """A full dump of that moment; ``lost`` are pages of the image that it lacks."""
    registers = {number: moment.registers[name] for number, name in enumerate(ARM64_NAMES) if name.startswith("x")}
    machine = MachineArm64(context=context_arm64(moment.address, moment.sp, registers))
    for page in range(0, len(program.data), 0x1000):
        if page // 0x1000 not in lost:
            machine.put_range(BASE + page, program.data[page : page + 0x1000])
    machine.put_range(moment.sp & ~0xFFF, stack)
    machine.load([("ntoskrnl.exe", 0xFFFF_F800_0100_0000, 0x80_0000), ("program.sys", BASE, len(program.data))])
    return machine.full()


def told(tmp_path: Path, data: bytes) -> Report:
    path = tmp_path / "arm64.dmp"
    path.write_bytes(data)
    return analyze(path, Options())


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled("arm64", "2")


@pytest.fixture(scope="module")
def stopped(program: Program) -> tuple[Moment, bytes]:
    return deepest(program)


def test_its_stack_is_unwound_through_its_own_page_tables(
    tmp_path: Path, program: Program, stopped: tuple[Moment, bytes]
) -> None:
    moment, stack = stopped
    report = told(tmp_path, dump(program, moment, stack))
    assert report.system.architecture == "arm64"
    assert [module.name for module in report.modules] == ["ntoskrnl.exe", "program.sys"]
    frames = report.threads[0].stack
    true = [moment.address, *(called.address for called in moment.callers)]
    assert [int(frame.address, 16) for frame in frames] == true
    assert [frame.trust for frame in frames] == ["context", *["unwind"] * (len(true) - 1)]
    assert {frame.module for frame in frames} == {"program.sys"}
    assert len(true) > 5


def test_without_its_unwind_data_no_frame_is_called_unwound(
    tmp_path: Path, program: Program, stopped: tuple[Moment, bytes]
) -> None:
    moment, stack = stopped
    code = range(1, 1 + program.code_size // 0x1000 + 1)
    lost = tuple(page for page in range(1, len(program.data) // 0x1000 + 1) if page not in code)
    report = told(tmp_path, dump(program, moment, stack, lost=lost))
    assert not {frame.trust for frame in report.threads[0].stack[1:]} & {"context", "unwind"}
