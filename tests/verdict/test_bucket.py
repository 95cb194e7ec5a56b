"""Hashes against public pairs; buckets against observed texts; signatures that do not move."""

import json
from pathlib import Path

import pytest

import analysis
from analysis.address import VirtAddr
from analysis.kernel.facts import Frame
from analysis.trust import Trust
from analysis.verdict.bucket import Failure, failure_bucket, failure_id_hash, signature

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "bugchecks" / "failure_id_hash_vectors.json"


def frame(symbol: str, module: str | None = None, address: int = 0xFFFF_F800_0000_1000) -> Frame:
    name = symbol.partition("!")[0].partition("+")[0].lower()
    image = module or ("ntoskrnl.exe" if name == "nt" else f"{name}.sys")
    return Frame(VirtAddr(address), symbol, image, Trust.UNWIND)


@pytest.mark.shared
@pytest.mark.skipif(not VECTORS.exists(), reason="no ../shared/data")
def test_every_public_pair_is_reproduced() -> None:
    pairs = json.loads(VECTORS.read_text("utf-8"))
    assert len(pairs) >= 30
    for pair in pairs:
        assert failure_id_hash(pair["bucket"], pair["mode"]) == pair["hash"], pair["bucket"]


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("0x9F_4_OpenZFS!zfs_unload_stage_1", "fc14382a-d6c3-0a9c-a179-67f499258f81"),
        ("0x9f_4_openzfs!zfs_unload_stage_1", "fc14382a-d6c3-0a9c-a179-67f499258f81"),
        ("0x9F_4_rassstp!unknown_function", "543694de-a010-6574-7223-2cd67b08a87a"),
        ("0x9F_4_IMAGE_rassstp.sys", "99ad9a94-82f3-fc60-a7a4-ec9c64dc60a9"),
    ],
)
def test_the_hash_reads_the_digest_in_little_endian_field_order(bucket: str, expected: str) -> None:
    assert analysis.failure_id_hash(bucket) == expected


def test_user_mode_is_another_hash() -> None:
    assert analysis.failure_id_hash("AV_x!y", mode="um") != analysis.failure_id_hash("AV_x!y")


HOLDER = (frame("nt!KeWaitForSingleObject+0x20b"), frame("ndis!NdisWaitEvent+0x10"), frame("acmevpn+0x1234"))


@pytest.mark.parametrize(
    ("failure", "bucket"),
    [
        (Failure(0x9F, (4, 300, 0, 0), 4, "acmevpn.sys", "acmevpn+0x1234", HOLDER), "0x9F_4_acmevpn!unknown_function"),
        (Failure(0x9F, (4, 300, 0, 0), 4, "acmevpn.sys", None, (), on_stack=False), "0x9F_4_IMAGE_acmevpn.sys"),
        (
            Failure(0x9F, (3, 1, 2, 3), 3, "rtsper.sys", None, (), on_stack=False, bus="pci.sys"),
            "0x9F_3_rtsper_IMAGE_pci.sys",
        ),
        (Failure(0xD1, (8, 2, 0, 0), None, "netio.sys", "netio!Stream+0x5c"), "AV_netio!Stream"),
        (Failure(0x7E, (0xFFFFFFFFC0000005, 0, 0, 0), None, "a.sys", "a+0x1"), "AV_a!unknown_function"),
        (
            Failure(0x3B, (0xC0000006, 0, 0, 0), None, "ntoskrnl.exe", "nt!HvpGetCell+0x2"),
            "0x3B_c0000006_nt!HvpGetCell",
        ),
        (Failure(0x50, (1, 2, 0, 0), None, "drv.sys", "drv+0x1"), "AV_W_(null)_drv!unknown_function"),
        (
            Failure(0x139, (0x1D, 0, 0, 0), None, "drv.sys", "drv+0x1"),
            "0x139_1d_INVALID_BALANCED_TREE_drv!unknown_function",
        ),
        (Failure(0x117, (0, 0, 0, 0), None, "igd.sys", None, (), on_stack=False), "LKD_0x117_IMAGE_igd.sys"),
        (Failure(0x133, (0, 0, 0, 0), None, "gwdrv.sys", "gwdrv+0x1"), "0x133_DPC_gwdrv!unknown_function"),
        (Failure(0x19, (0x22, 0, 0, 0), 0x22, "drv.sys", "drv+0x1"), "0x19_22_drv!unknown_function"),
        (Failure(0x109, (1, 2, 3, 0x19), None, None, None), "0x109_19_ANALYSIS_INCONCLUSIVE!unknown_function"),
        (Failure(0xE2, (0, 0, 0, 0), None, None, None), "0xE2_ANALYSIS_INCONCLUSIVE!unknown_function"),
        (Failure(0x1A, (0x41792, 1, 1 << 45, 0), 0x41792, None, None, kind="memory"), "MEMORY_CORRUPTION_ONE_BIT"),
    ],
)
def test_buckets_follow_the_observed_grammar(failure: Failure, bucket: str) -> None:
    assert failure_bucket(failure) == bucket


def test_the_signature_holds_no_address_and_no_kernel_frame() -> None:
    failure = Failure(
        0x9F,
        (4, 300, 0xFFFF_8000_1234_5000, 0),
        4,
        "acmevpn.sys",
        "acmevpn+0x1234",
        HOLDER,
        lock="nt!Lock",
        service="Acme",
    )
    assert str(signature(failure)) == "0x9f:4 acmevpn.sys acmevpn lock=nt!Lock service=acme"


def test_other_addresses_give_the_same_signature() -> None:
    moved = tuple(Frame(VirtAddr(one.address + 0x5000), one.symbol, one.module, one.trust) for one in HOLDER)
    one = Failure(0x9F, (4, 300, 1, 2), 4, "acmevpn.sys", None, HOLDER)
    two = Failure(0x9F, (4, 300, 3, 4), 4, "acmevpn.sys", None, moved)
    assert signature(one) == signature(two)


def test_what_symbols_add_keeps_the_older_signature_as_an_alias() -> None:
    named = (frame("acmevpn!Halt+0x34"),)
    with_symbols = Failure(0x9F, (4, 0, 0, 0), 4, "acmevpn.sys", "acmevpn!Halt+0x34", named, lock="nt!Lock")
    without = Failure(0x9F, (4, 0, 0, 0), 4, "acmevpn.sys", "acmevpn+0x1234", HOLDER)
    assert str(signature(with_symbols)) == "0x9f:4 acmevpn.sys acmevpn!Halt lock=nt!Lock"
    assert str(signature(without)) in signature(with_symbols).less_known()


def test_nothing_grows_past_its_limit() -> None:
    long = Failure(0x9F, (4, 0, 0, 0), 4, "a" * 300 + ".sys", None, HOLDER)
    assert len(failure_bucket(long)) <= 255
    assert len(str(signature(long))) <= 255
