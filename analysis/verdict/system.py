"""The machine, as header and symbols tell it."""

from datetime import UTC, datetime

from analysis.formats.image import DumpHeader
from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.windows import version_of
from analysis.verdict.report import System


def describe_system(header: DumpHeader, symbols: KernelSymbols | None, computer_name: str | None = None) -> System:
    """The report's ``system``. ``build`` is the full version, or the major build where no more is known."""
    build = symbols.build if symbols and symbols.build else version_of(header.build)
    return System(
        os=symbols.os if symbols else None,
        build=build,
        architecture=header.architecture,
        processors=header.processors,
        crash_time=timestamp(header.crash_time) if header.crash_time else None,
        uptime_seconds=int(header.uptime_seconds) if header.uptime_seconds is not None else None,
        memory_bytes=header.memory_bytes,
        computer_name=computer_name,
    )


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC, whole seconds, with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
