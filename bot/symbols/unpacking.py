"""Compressed symbol files (name.pd_, name.sy_): a cabinet with one file in it, unpacked in a process of its own.

The library that reads cabinets is C code and the file is a stranger's, so that process is capped in memory, time and
output, and has no network. ``python -m bot.symbols.unpacking`` is that process: the cabinet's path and the most bytes
as arguments, the content on standard output. Source: Microsoft Learn, "Microsoft Cabinet Format".
"""

import os
import subprocess
import sys
from pathlib import Path

SIGNATURE = b"MSCF"
MEMORY = 256 << 20
SECONDS = 60
BLOCK = 1 << 20
MAX_BYTES = 1 << 30  # of any symbol file

NOT_ONE_FILE, BROKEN, TOO_LARGE = 3, 4, 5
REASONS = {
    NOT_ONE_FILE: "it does not hold exactly one file",
    BROKEN: "it is damaged",
    TOO_LARGE: "its content is too large",
}


class NotUnpacked(Exception):
    """A compressed file cannot be used; the argument completes "it …" or "its …"."""


def unpack(path: Path, into: Path, most: int) -> None:
    """Writes the one file of a cabinet, at most so many bytes.

    Raises:
        NotUnpacked: it is no cabinet, is damaged, holds something else, or needs more than it may.
        OSError: a file cannot be read or written.
    """
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise NotUnpacked("it is not a cabinet")
    code = "import sys; from bot.symbols.unpacking import main; sys.exit(main(sys.argv[1:]))"
    root = str(Path(__file__).resolve().parents[2])
    places = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
    with into.open("wb") as out:
        try:
            done = subprocess.run(  # noqa: S603  # our own interpreter and code
                [sys.executable, "-P", "-c", code, str(path.absolute()), str(most)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                env={**environment, "PYTHONPATH": places},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise NotUnpacked(f"it was not unpacked in {SECONDS} s") from late
    if done.returncode:
        raise NotUnpacked(REASONS.get(done.returncode, "it ended the process that unpacks"))


def main(arguments: list[str]) -> int:
    """Unpacks to standard output; the exit status says what was wrong."""
    import archi

    from analysis.confinement import cap_memory, cap_time, cut_off_network, end_with_parent

    for cap in (cap_memory(MEMORY), cap_time(SECONDS), end_with_parent(), cut_off_network()):
        if cap is not None:
            print(f"note: {cap}", file=sys.stderr)
    path, most = arguments[0], int(arguments[1])
    written, files = 0, 0
    try:
        for entry in archi.Archive(path):
            files += 1
            while files == 1 and (block := entry.read(BLOCK)):
                written += len(block)
                if written > most:
                    return TOO_LARGE
                sys.stdout.buffer.write(block)
    except (archi.Error, OSError, ValueError):
        return BROKEN
    sys.stdout.buffer.flush()
    return 0 if files == 1 else NOT_ONE_FILE
