"""A machine that crashes in many unrelated ways has suspect memory; one that crashes often for one reason has not."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from analysis.verdict.report import Report
from storage.sight import Sight
from storage.store import Store
from storage.suspicion import MEMORY_CODES, Suspicion, Suspicions
from storage.threads import Told
from tests.storage.samples import NOON, report

UNRELATED = (("0xa", "a.sys"), ("0x1a", None), ("0x50", "b.sys"), ("0x3b", "c.sys"), ("0xa", "a.sys"))


def crash(
    number: int, code: str, module: str | None, host: str | None = "PC-1", at: datetime = NOON, *, live: bool = False
) -> Report:
    return report(
        f"{host} {number}", code=code, module=module, host=host, live=live, lock=None,
        signature=f"{code} {module}", crashed=at + timedelta(days=number),
    )  # fmt: skip


def judged(store: Store, kinds: tuple[tuple[str, str | None], ...], days: float = 1) -> Suspicion | None:
    """The judgement of the last of these crashes, which lie so many days apart."""
    made = [
        replace(crash(0, code, module, at=NOON - timedelta(days=days * n)), dump=report(f"{n}").dump)
        for n, (code, module) in enumerate(kinds)
    ]
    for one in made:
        store.remember(one)
    return store.suspicion_of(made[0])


def test_unrelated_crashes_of_one_machine_are_suspect_with_the_evidence(store: Store) -> None:
    found = judged(store, UNRELATED)
    assert found is not None
    assert (found.host, len(found.crashes), found.days) == ("PC-1", 5, 5)
    assert found.codes == (("0xa", 2), ("0x3b", 1), ("0x50", 1), ("0x1a", 1))
    assert dict(found.culprits) == {"a.sys": 2, "b.sys": 1, "c.sys": 1}
    (listed,) = store.suspicion.hosts(NOON - timedelta(days=30), NOON + timedelta(days=1))
    assert [one.id for one in listed.crashes] == [5, 4, 3, 2, 1]
    assert store.suspicion.of_host("PC-1", NOON) == listed
    assert store.suspicion.of_host("PC-1", NOON + timedelta(days=40)) is None
    assert store.suspicion.of_host("PC-2", NOON) is None


@pytest.mark.parametrize(
    ("why", "kinds"),
    [
        ("one driver, one code", (("0xd1", "a.sys"),) * 9),
        ("one driver, many codes", tuple((code, "a.sys") for code in ("0xd1", "0x50", "0x3b", "0x7e", "0xa"))),
        ("one driver most of the time", (*((code, "a.sys") for code in ("0xd1", "0x50", "0x3b")), ("0xa", "b.sys"))),
        ("too few", UNRELATED[:3]),
        ("two codes", (("0x50", "a.sys"), ("0x50", "b.sys"), ("0xa", "c.sys"), ("0xa", "d.sys"))),
        (
            "hangs and power",
            (("0x9f", "a.sys"), ("0x133", "b.sys"), ("0x116", "c.sys"), ("0xef", None), ("0xa", "d.sys")),
        ),
        ("one driver, and Windows once", (("0xd1", "a.sys"), ("0x50", "A.SYS"), ("0x3b", "a.sys"), ("0xa", None))),
    ],
)
def test_what_has_another_reason_is_not(store: Store, why: str, kinds: tuple[tuple[str, str | None], ...]) -> None:
    assert judged(store, kinds) is None, why
    assert store.suspicion.hosts(NOON - timedelta(days=60), NOON + timedelta(days=1)) == ()


def test_crashes_far_apart_are_not(store: Store) -> None:
    assert judged(store, UNRELATED, days=15) is None


def test_captures_of_a_running_machine_do_not_count(store: Store) -> None:
    for number, (code, module) in enumerate(UNRELATED):
        store.remember(crash(-number, code, module, live=number > 1))
    assert store.suspicion_of(crash(0, "0xa", "a.sys")) is None


def test_a_crash_is_judged_by_its_own_time_and_code(store: Store) -> None:
    for number, (code, module) in enumerate(UNRELATED):
        store.remember(crash(-number, code, module))
    assert store.suspicion_of(crash(1, "0x50", "new.sys")) is not None
    assert store.suspicion_of(crash(-100, "0x50", "new.sys")) is None
    assert store.suspicion_of(crash(1, "0x9f", "new.sys")) is None
    assert store.suspicion_of(crash(1, "0x50", "new.sys", host="PC-2")) is None
    assert store.suspicion_of(crash(1, "0x50", "new.sys", host=None)) is None


def test_it_is_judged_by_what_may_be_seen(store: Store) -> None:
    for number, (code, module) in enumerate(UNRELATED):
        kept = store.remember(crash(-number, code, module))
        place = "C1" if number < 2 else "C2"
        store.threads.note(Told(report_id=kept.id, team="T", channel=place, ts=f"{number}", summary_ts=f"{number}"))
    for channels, expected in ((frozenset({"C1"}), 0), (frozenset({"C1", "C2"}), 1)):
        seen = Suspicions(store._database, Sight(channels))
        assert len(seen.hosts(NOON - timedelta(days=30), NOON + timedelta(days=1))) == expected


def test_the_codes_are_written_as_reports_write_them() -> None:
    assert all(code == f"{int(code, 16):#x}" for code in MEMORY_CODES)
    assert not MEMORY_CODES & {"0x9f", "0xe2", "0x133", "0x116", "0xef"}
