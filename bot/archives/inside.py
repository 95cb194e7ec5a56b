"""The child process that unpacks: an order on standard input, JSON lines out, within caps and without network.

The order: ``path``, ``name``, ``directory``, ``passwords``, ``limits`` (as ArchiveLimits), ``left_there`` (positions of
those of a zip's members that are not here). The last line is
``{"dumps": [[name, file name], …], "left_out": …, "damaged": […]}`` or ``{"error": {"kind", "message"}}``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from analysis.confinement import cap_file_size, cap_memory, cap_time, confine_files, cut_off_network, end_with_parent
from analysis.errors import LimitReached
from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.unpack import unpack


def main() -> int:
    """Unpacks one archive; the exit status."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    limits = ArchiveLimits(**order["limits"])
    directory = Path(order["directory"])
    for note in (
        cap_memory(limits.memory_bytes),
        cap_time(max(1, int(limits.seconds))),
        cap_file_size(limits.max_bytes),
        end_with_parent(),
        cut_off_network(),
        confine_files([directory], [Path(order["path"])]),
    ):
        if note is not None:
            print(f"note: {note}", file=sys.stderr)
    try:
        left_there = frozenset(order["left_there"])
        found = unpack(
            Path(order["path"]), order["name"], directory, limits, tuple(order["passwords"]), left_there=left_there
        )
    except Exception as error:  # noqa: BLE001  # the parent must get one line, whatever happened
        kind, message = _judge(error)
        _write({"error": {"kind": kind, "message": message}})
        return 1
    dumps = [[taken.name, taken.path.name] for taken in found.dumps]
    _write({"dumps": dumps, "left_out": found.left_out, "damaged": found.damaged[:20]})
    return 0


def _judge(error: Exception) -> tuple[str, str]:
    if isinstance(error, ArchiveFailed):
        return error.kind, error.line
    if isinstance(error, LimitReached):
        return "limit", f"it took more than {error.value} s of a processor"
    if isinstance(error, MemoryError):
        return "limit", "it needs more memory than unpacking may use"
    return "fault", f"a fault of ours: {type(error).__name__}"


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=True) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
