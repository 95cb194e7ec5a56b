"""A borrowed layout must be proven by the dump; a wrong one is always noticed."""

import pytest

from analysis.symbols.builtin import MAJOR_BUILDS
from analysis.symbols.kdbg import parse_kdbg
from analysis.symbols.validate import Fit, check_layouts
from tests.symbols.mini import MARKS, NT, POOL, PROCESSORS, MiniKernel, kdbg_block, table

PUBLISHED = {name: NT + rva for name, rva in MARKS.items()} | {"KiProcessorBlock": NT + PROCESSORS}


def check(kernel: MiniKernel, build: int, kdbg_offsets: dict[int, int] | None = None) -> Fit:
    kdbg = parse_kdbg(NT + MARKS["KdDebuggerDataBlock"], bytes(kdbg_block(offsets=kdbg_offsets)))
    return check_layouts(kernel.memory, table(build), kdbg, PUBLISHED)


@pytest.mark.parametrize("build", MAJOR_BUILDS)
def test_the_right_table_is_proven(build: int) -> None:
    fit = check(MiniKernel(table(build)).populate(), build)
    assert fit.problems == []
    assert (fit.is_proven, fit.is_refuted) == (True, False)
    assert (fit.good_processes, fit.good_threads, fit.counts_agree) == (5, 20, 5)


@pytest.mark.parametrize("build", MAJOR_BUILDS)
@pytest.mark.parametrize("shift", [-0x10, 4, 8, 0x18, 0x40])
def test_no_table_is_proven_on_a_kernel_with_shifted_layouts(build: int, shift: int) -> None:
    kernel = MiniKernel(table(build, shift)).populate()
    assert [other for other in MAJOR_BUILDS if check(kernel, other).is_proven] == []


ALONE = [
    *((name, start) for name in ("_KTHREAD", "_ETHREAD", "_EPROCESS", "_KPROCESS") for start in (0x10, 0x18, 0x28)),
    *((name, start) for name in ("_KWAIT_BLOCK", "_ERESOURCE", "_KPRCB") for start in (0x10, 0x18)),
]


@pytest.mark.parametrize(("only", "start"), ALONE)
def test_one_structure_that_is_shifted_alone_is_noticed(only: str, start: int) -> None:
    kernel = MiniKernel(table(22000, 8, (only,), start)).populate()
    assert not check(kernel, 22000).is_proven


@pytest.mark.parametrize("build", MAJOR_BUILDS)
def test_a_table_is_proven_only_where_threads_and_processes_are_laid_out_alike(build: int) -> None:
    kernel = MiniKernel(table(build)).populate()
    alike = {other for other in MAJOR_BUILDS if check(kernel, other).is_proven}
    # 20348 and 22000 differ in the place of nothing that these checks or a thread walk read.
    assert alike == ({20348, 22000} if build in (20348, 22000) else {build})


def test_kdbgs_offsets_refute_a_table() -> None:
    kernel = MiniKernel(table(19041)).populate()
    right = {0x29C: 0x58, 0x2A2: 0x184, 0x34C: 0x4B0}
    assert check(kernel, 19041, right).is_proven
    one_off = check(kernel, 19041, right | {0x2A2: 0x17C})
    assert (one_off.is_proven, one_off.is_refuted) == (False, False)
    two_off = check(kernel, 19041, right | {0x2A2: 0x17C, 0x29C: 0x60})
    assert two_off.is_refuted
    assert "_KTHREAD.KernelStack at 0x60" in two_off.problems[0]


def test_damage_to_one_structure_ends_a_loan_but_refutes_nothing() -> None:
    for damage in ("type", "pid", "back pointer", "wait block", "irps"):
        kernel = MiniKernel(table(22000)).populate()
        thread = kernel.threads[-1]
        match damage:
            case "type":
                kernel.memory.write(thread, b"\x03")
            case "pid":
                kernel.put("_ETHREAD", thread, "Cid.UniqueProcess", 0x1234)
            case "back pointer":
                kernel.put("_KTHREAD", thread, "Process", kernel.processes[0])
            case "wait block":
                kernel.put("_KWAIT_BLOCK", thread + kernel.at("_KTHREAD", "WaitBlock"), "Thread", thread + 8)
            case "irps":
                kernel.put("_ETHREAD", thread, "IrpList", kernel.processes[0])
        fit = check(kernel, 22000)
        assert (fit.is_proven, fit.is_refuted) == (False, False), damage


def test_one_stale_thread_among_many_is_forgiven() -> None:
    kernel = MiniKernel(table(22000)).populate(processes=6, threads=8)
    kernel.put("_KWAIT_BLOCK", kernel.threads[-1] + kernel.at("_KTHREAD", "WaitBlock"), "Thread", POOL)
    fit = check(kernel, 22000)
    assert (fit.bad_threads, fit.is_proven) == (1, True)


def test_a_thread_that_ended_may_stay_listed() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.put("_EPROCESS", kernel.processes[-1], "ActiveThreads", 3, 4)
    assert check(kernel, 22000).is_proven


def test_too_little_proves_nothing() -> None:
    assert not check(MiniKernel(table(22000)).populate(processes=2), 22000).is_proven
    assert not check(MiniKernel(table(22000)).populate(threads=1), 22000).is_proven
    assert not check(MiniKernel(table(22000)), 22000).is_proven


def test_a_torn_process_list_proves_and_refutes_nothing() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.put("_EPROCESS", kernel.processes[2], "ActiveProcessLinks", 0)
    fit = check(kernel, 22000)
    assert (fit.is_proven, fit.is_refuted) == (False, False)
    assert fit.problems == ["the list of processes does not close"]


def test_without_a_process_list_nothing_is_proven() -> None:
    kernel = MiniKernel(table(22000)).populate()
    assert not check_layouts(kernel.memory, table(22000), None, {}).is_proven
    assert not check_layouts(kernel.memory, table(22000), None, {"PsActiveProcessHead": NT}).is_proven


@pytest.mark.parametrize("build", MAJOR_BUILDS)
def test_busy_resources_must_make_sense(build: int) -> None:
    fit = check(MiniKernel(table(build)).populate(), build)
    assert (fit.good_resources, fit.bad_resources) == (2, 0)
    fit = check(MiniKernel(table(build)).populate(resource_shift=8), build)
    assert fit.bad_resources == 2
    assert (fit.is_proven, fit.is_refuted) == (False, True)


def test_the_first_processor_must_run_a_thread() -> None:
    kernel = MiniKernel(table(22000)).populate()
    kernel.put("_KPRCB", kernel.prcb, "IdleThread", kernel.processes[0])
    fit = check(kernel, 22000)
    assert (fit.is_proven, fit.bad_processors) == (False, 1)
