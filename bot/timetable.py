"""Quiet hours and the times of digests, in words."""

from storage.hours import WEEKDAYS, Plan, Quiet, clock


def days_of(quiet: Quiet) -> str:
    """The days of quiet hours, empty for every day: "Mon Tue"."""
    return "" if len(quiet.days) == len(WEEKDAYS) else " ".join(WEEKDAYS[day][:3] for day in sorted(quiet.days))


def hours_of(quiet: Quiet) -> str:
    """Quiet hours in words: "22:00 to 07:00 (Europe/Berlin), on Mon Tue"."""
    days = days_of(quiet)
    return f"{clock(quiet.start)} to {clock(quiet.end)} ({quiet.zone})" + (f", on {days}" if days else "")


def plan_of(plan: Plan) -> str:
    """When a digest comes, in words: "every Monday at 09:00 (Europe/Berlin)"."""
    when = "day" if plan.every == "day" else WEEKDAYS[plan.weekday]
    return f"every {when} at {clock(plan.minute)} ({plan.zone})"
