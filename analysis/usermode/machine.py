"""The machine of a process, as its minidump tells it."""

from analysis.formats.minidump import Platform, UserDump
from analysis.symbols.windows import os_name
from analysis.verdict.report import System
from analysis.verdict.system import timestamp

_OLD = {1381: "Windows NT 4.0", 2195: "Windows 2000", 2600: "Windows XP", 3790: "Windows Server 2003"}


def describe_machine(dump: UserDump) -> System:
    """The report's ``system``. Uptime and memory are not in a minidump."""
    os, build = _windows(dump) if dump.system.platform is Platform.WINDOWS else _other(dump)
    return System(
        os=os,
        build=build,
        architecture=dump.system.architecture,
        processors=dump.system.processors,
        crash_time=timestamp(dump.crash_time) if dump.crash_time else None,
    )


def _windows(dump: UserDump) -> tuple[str | None, str | None]:
    system = dump.system
    name = _OLD.get(system.build) or os_name(system.build, system.product_type)
    # ntdll is updated with the kernel, so its file version is that of the system, update included.
    whole = next((one.version for one in dump.modules if one.name == "ntdll.dll"), None)
    if whole is not None and system.version is not None and whole.startswith(system.version + "."):
        return name, whole
    return name, system.version


def _other(dump: UserDump) -> tuple[str | None, str | None]:
    system = dump.system
    if system.platform is Platform.OTHER:
        return None, system.version
    version = system.version
    if system.platform in (Platform.MACOS, Platform.IOS):
        name = f"{system.platform.value} {version}" if version else system.platform.value
        return name, system.service_pack or version
    # Breakpad writes what uname says there: "Linux 4.9.60 #1 SMP … x86_64".
    words = (system.service_pack or "").split()
    release = words[1] if len(words) > 1 and words[0] == "Linux" else None
    return system.name or system.platform.value, release or version
