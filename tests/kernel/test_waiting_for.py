"""Stacks to plain words."""

import pytest

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame, Stack, Thread
from analysis.kernel.waiting_for import PURPOSES, doing
from analysis.trust import Trust

WAITING = ("nt!KiSwapContext+0x76", "nt!KiSwapThread+0x500", "nt!KiCommitThreadWait+0x14f", "nt!KeWaitForSingleObject")


def stack(*symbols: str) -> Stack:
    modules = {"nt": "ntoskrnl.exe"}
    frames = []
    for symbol in symbols:
        stem = symbol.split("!", maxsplit=1)[0].split("+")[0]
        frames.append(Frame(VirtAddr(1), symbol, modules.get(stem, f"{stem}.sys"), Trust.UNWIND))
    return Stack(tuple(frames))


def thread(reason: str = "WrResource") -> Thread:
    return Thread(VirtAddr(8), VirtAddr(16), "wininit.exe", 612, 616, "Waiting", wait_reason=reason)


@pytest.mark.parametrize(
    ("symbols", "words"),
    [
        (("nt!ExpWaitForResource+0x1", "nt!PpDevNodeLockTree+0x2", "nt!PopTransitionSystemPowerStateEx+0x3",
          "nt!NtSetSystemPowerState+0x4", "nt!NtShutdownSystem+0x40"), "system shutdown"),
        (("nt!PopTransitionSystemPowerStateEx+0x3", "nt!PopPolicyWorkerAction+0x1"), "system sleep or shutdown"),
        (("probe+0x10", "nt!IofCallDriver+0x55", "nt!PnpSurpriseRemoveLockedDeviceNode+0x1",
          "nt!PnpDeleteLockedDeviceNode+0x1"), "surprise removal of a device"),
        (("probe+0x10", "nt!PnpDeleteLockedDeviceNode+0x1"), "device removal"),
        (("probe+0x10", "ndis+0x99", "nt!PnpDeleteLockedDeviceNode+0x1"), "network unbind (device removal)"),
        (("probe+0x10", "nt!IopLoadDriver+0x1", "nt!NtLoadDriver"), "driver load"),
        (("probe+0x10", "nt!IopUnloadDriver+0x1"), "driver unload"),
        (("nt!NtWriteFile+0x9", "nt!CmpFlushHive+0x1"), "registry flush"),
        (("ntfs+0x1", "fltmgr+0x1", "nt!NtCreateFile+0x77"), "file-system operation"),
        (("ntfs+0x1", "nt!FsRtlCheckOplockEx+0x1", "fltmgr+0x1", "nt!NtCreateFile+0x77"),
         "file-system operation (oplock break)"),
        (("ntfs+0x1", "nt!CcFlushCachePriv+0x1", "ntfs+0x2", "nt!NtFlushBuffersFileEx+0x77"),
         "file-system operation (cache write-back)"),
        (("nt!MiWaitForInPageComplete+0x1", "nt!MmAccessFault+0x1", "nt!CcMapData+0x1", "ntfs+0x2"),
         "file-system operation (cache read)"),
        (("ntfs+0x1", "nt!IoPageReadEx+0x1", "nt!MiIssueHardFault+0x1", "nt!MmAccessFault+0x77"), "paging"),
        (("ntfs+0x1", "nt!MiCreateImageFileMap+0x1", "nt!NtCreateSection+0x1"), "section or image load"),
        (("nt!MiCreateImageFileMap+0x1", "nt!MmLoadSystemImageEx+0x1", "nt!IopLoadDriver"), "driver load"),
        (("nt!PoRequestPowerIrp+0x7",), "power IRP"),
        (("probe+0x1",), None),
        (("nt+0x1234",), None),
        (("ntfs+0x1", "fltmgr+0x2", "nt+0x77"), "file-system operation"),
        (("ntfs+0x1", "probe+0x2"), None),
    ],
)  # fmt: skip
def test_what_matters_to_a_person_comes_first(symbols: tuple[str, ...], words: str | None) -> None:
    assert doing(thread(), stack(*WAITING, *symbols)) == words


def test_an_idle_worker_waits_for_work_but_a_busy_one_does_not() -> None:
    assert doing(thread("WrQueue"), stack(*WAITING, "nt!KeRemovePriQueue+0x1", "nt!ExpWorkerThread")) == (
        "waiting for work"
    )
    assert doing(thread(), stack(*WAITING, "probe+0x1", "nt!IopLoadDriver+1", "nt!ExpWorkerThread+0x1")) == (
        "driver load"
    )


def test_without_names_the_devices_state_and_the_wait_reason_speak() -> None:
    nameless = stack("nt+0x1", "probe+0x2", "nt+0x3")
    assert doing(thread(), nameless, device_being_removed=True) == "device removal"
    assert doing(thread(), nameless, device_starting=True) == "device start"
    assert doing(thread("WrQueue"), nameless) == "waiting for work"
    assert doing(thread(), nameless) is None


def test_a_name_counts_only_whole_and_only_in_the_kernel() -> None:
    assert doing(thread(), stack("nt!NtShutdownSystemX+0x1")) is None
    assert doing(thread(), stack("probe!NtShutdownSystem+0x1")) is None


def test_the_table_is_made_of_rows_of_names() -> None:
    for words, names in PURPOSES:
        assert words
        assert isinstance(names, tuple)
        assert all(len(name) > 4 for name in names)
    assert len({words for words, _ in PURPOSES}) == len(PURPOSES)
