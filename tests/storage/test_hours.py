"""Quiet hours and due times by the clock on the wall, on days of 23 and 25 hours too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from storage.hours import BadChoice, Plan, Quiet

BERLIN = "Europe/Berlin"


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-05-04T21:59", None),
        ("2026-05-04T22:00", "2026-05-05T07:00"),
        ("2026-05-05T06:59", "2026-05-05T07:00"),
        ("2026-05-05T07:00", None),
    ],
)
def test_quiet_hours_reach_past_midnight(now: str, ends: str | None) -> None:
    hours = Quiet.read({"from": "22:00", "to": "07:00", "zone": BERLIN})
    assert hours.until(berlin(now)) == (None if ends is None else berlin(ends))


def test_they_begin_on_the_days_that_were_chosen() -> None:
    hours = Quiet.read({"from": "22:00", "to": "07:00", "zone": BERLIN, "days": "Fri Sat"})
    assert hours.until(berlin("2026-05-09T06:00")) == berlin("2026-05-09T07:00")  # Saturday, begun on Friday
    assert hours.until(berlin("2026-05-11T06:00")) is None  # Monday, and Sunday is none of them
    assert Quiet.read({"from": "0:00", "to": "24:00", "zone": "UTC", "days": [5, 6]}).until(
        datetime(2026, 5, 9, 12, tzinfo=UTC)
    ) == datetime(2026, 5, 10, tzinfo=UTC)


def test_a_night_in_which_clocks_change_is_an_hour_longer_or_shorter() -> None:
    hours = Quiet.read({"from": "22:00", "to": "07:00", "zone": BERLIN})
    begins, ends = berlin("2026-03-28T22:00"), hours.until(berlin("2026-03-28T23:00"))
    assert ends is not None
    assert ends - begins == timedelta(hours=8)
    begins, ends = berlin("2026-10-24T22:00"), hours.until(berlin("2026-10-24T23:00"))
    assert ends is not None
    assert ends - begins == timedelta(hours=10)


def dues(plan: Plan, start: datetime, hours: int) -> list[tuple[str, datetime]]:
    """What falls due while somebody looks every ten minutes."""
    found: list[tuple[str, datetime]] = []
    for step in range(hours * 6):
        due = plan.latest(start + timedelta(minutes=10 * step))
        if not found or found[-1] != (due.period, due.at):
            found.append((due.period, due.at))
    return found[1:]


@pytest.mark.parametrize(
    ("at", "start", "times"),
    [
        # Clocks go from 02:00 to 03:00: half past two is not there, and falls due once all the same.
        ("02:30", "2026-03-27T12:00", ["2026-03-28T02:30", "2026-03-29T03:30", "2026-03-30T02:30"]),
        # Clocks go from 03:00 to 02:00: half past two is there twice, and falls due the first time.
        ("02:30", "2026-10-23T12:00", ["2026-10-24T02:30", "2026-10-25T02:30", "2026-10-26T02:30"]),
        ("09:00", "2026-10-23T12:00", ["2026-10-24T09:00", "2026-10-25T09:00", "2026-10-26T09:00"]),
    ],
)
def test_a_daily_digest_falls_due_once_a_day_whatever_clocks_do(at: str, start: str, times: list[str]) -> None:
    plan = Plan.read({"every": "day", "at": at, "zone": BERLIN})
    found = dues(plan, berlin(start), 72)
    assert [due for _, due in found] == [berlin(time) for time in times]
    assert [period for period, _ in found] == [time[:10] for time in times]
    assert plan.before(plan.latest(found[2][1])).at == found[1][1]


def test_a_weekly_digest_keeps_its_week_when_its_hour_is_changed() -> None:
    nine = Plan.read({"every": "week", "at": "09:00", "zone": BERLIN, "weekday": "Monday"})
    ten = Plan.read({"every": "week", "at": "10:00", "zone": BERLIN, "weekday": "mon"})
    noon = berlin("2026-11-23T12:00")
    assert nine.latest(noon).period == ten.latest(noon).period == "2026-W48"
    assert nine.latest(noon).at < ten.latest(noon).at
    assert nine.latest(berlin("2026-11-23T08:59")).period == "2026-W47"
    assert Plan.read(nine.to_json()) == nine


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"from": "25:00", "to": "7", "zone": "Mars/Base"}, {"from", "to", "zone"}),
        ({"from": "22:00", "to": "07:00", "zone": "../../etc/passwd"}, {"zone"}),
        ({"from": "22:00", "to": "07:00", "zone": "UTC", "days": "Someday"}, {"days"}),
        ({"from": "22:00", "to": "07:00", "zone": "UTC", "days": [7]}, {"days"}),
        ({}, {"from", "to", "zone"}),
    ],
)
def test_what_is_no_time_or_zone_is_refused_by_field(given: dict[str, object], fields: set[str]) -> None:
    with pytest.raises(BadChoice) as refused:
        Quiet.read(given)
    assert set(refused.value.problems) == fields


def test_a_plan_needs_a_day_an_hour_and_a_zone() -> None:
    with pytest.raises(BadChoice) as refused:
        Plan.read({"every": "year", "weekday": "T"})
    assert set(refused.value.problems) == {"every", "at", "zone", "weekday"}
