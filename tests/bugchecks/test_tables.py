"""The committed tables against the published data, and the spelling of codes."""

import json
from pathlib import Path

import pytest

from analysis.bugchecks import tables

DATA = Path(__file__).parents[3] / "shared" / "data" / "bugchecks"


def test_every_documented_code_has_its_name() -> None:
    assert len(tables.all_codes()) == 424
    assert tables.name_of(0x9F) == "DRIVER_POWER_STATE_FAILURE"
    assert tables.name_of(0xC000021A) == "WINLOGON_FATAL_ERROR"
    assert tables.name_of(0x12345678) == "unknown bugcheck 0x12345678"


@pytest.mark.shared
@pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data")
def test_names_agree_with_the_published_list() -> None:
    published = json.loads((DATA / "bugcheck_names.json").read_text("utf-8"))
    assert set(tables.all_codes()) == {int(code, 16) for code in published}
    for code, entry in published.items():
        assert tables.name_of(int(code, 16)) == entry["name"]
        # The list's own mark is missing where the name says it: BUGCODE_NDIS_DRIVER_LIVE_DUMP.
        live = entry["live_dump_only"] or entry["name"].endswith("_LIVE_DUMP")
        assert tables.is_live_only(int(code, 16)) == live


@pytest.mark.shared
@pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data")
def test_meanings_agree_with_the_collected_list() -> None:
    collected = json.loads((DATA / "bugchecks.json").read_text("utf-8"))["bugchecks"]
    assert set(tables.described_codes()) >= {int(entry["code"], 16) for entry in collected}
    for entry in collected:
        known = tables.find_code(int(entry["code"], 16))
        assert known is not None
        assert [(one.index, one.text) for one in known.meanings] == [
            (one["index"], one["meaning"]) for one in entry["params"]
        ]


@pytest.mark.parametrize(
    ("raw", "code"),
    [(0x1000007E, 0x7E), (0x1000007F, 0x7F), (0x1000008E, 0x8E), (0x100000EA, 0xEA)],
)
def test_small_dumps_spell_four_codes_with_a_high_bit(raw: int, code: int) -> None:
    assert tables.normalise(raw) == code


@pytest.mark.parametrize("raw", [0x7E, 0x1000000A, 0x100000D1, 0xA0000001, 0xC000021A, 0x20001, 0x4000008A])
def test_no_other_code_is_respelled(raw: int) -> None:
    assert tables.normalise(raw) == raw


def test_the_meaning_depends_on_the_subcase() -> None:
    holder = tables.meanings(0x9F, (4, 300, 0xFFFF_8000_0000_1000, 0))
    request = tables.meanings(0x9F, (3, 0, 0, 0))
    assert holder[2] is not None
    assert holder[2].kind == "thread"
    assert request[3] is not None
    assert request[3].kind == "irp"
    assert tables.subcase(0x9F, (4, 300, 0, 0)) == (
        4,
        "power transition timed out waiting for the PnP subsystem (PnP lock)",
    )


def test_conditions_on_other_parameters_hold() -> None:
    assert (found := tables.meanings(0x7A, (3, 0, 0, 0))[2]) is not None
    assert found.kind == "zero"
    assert (found := tables.meanings(0x7A, (3, 0, 5, 0))[2]) is not None
    assert found.text == "InPageSupport structure"
    assert (found := tables.meanings(0xC9, (0x230, 1, 0, 0))[1]) is not None
    assert found.kind == "code_address"
    assert (found := tables.meanings(0xC1, (1, 2, 3, 0x23))[1]) is not None
    assert found.text == "where damage was seen"


def test_the_subcase_may_sit_in_another_parameter() -> None:
    assert tables.subcase(0xC1, (1, 2, 3, 0x32)) == (0x32, "single bit damage")


def test_an_unknown_code_or_subcase_means_nothing() -> None:
    assert tables.meanings(0x12345, (1, 2, 3, 4)) == (None, None, None, None)
    assert tables.subcase(0x9F, (0x77, 0, 0, 0)) is None


def test_letters_where_the_code_belongs_are_a_capture() -> None:
    assert tables.capture_letters(0x4D415454) == "MATT"
    assert tables.capture_letters(int.from_bytes(b"MATT", "little")) == "MATT"
    assert tables.capture_letters(0x9F) is None
    assert tables.capture_letters(0xC000021A) is None
    assert tables.capture_letters(0xDEADDEAD) is None
