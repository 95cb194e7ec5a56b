"""One archive to the dumps in it: its kind by its first bytes, its members, and the archives among them once more."""

from contextlib import closing
from pathlib import Path
from typing import IO

from bot.archives.collector import Collector, Taken, shown_name
from bot.archives.kinds import ArchiveKind, kind_of_file
from bot.archives.limits import ArchiveFailed, ArchiveLimits
from bot.archives.sevenzip import feed_7z, feed_libarchive
from bot.archives.streams import feed_stream, feed_tar
from bot.archives.zips import feed_zip


def unpack(
    path: Path,
    name: str,
    directory: Path,
    limits: ArchiveLimits,
    passwords: tuple[str, ...],
    *,
    left_there: frozenset[int] = frozenset(),
) -> Collector:
    """Write the dumps of the archive at ``path`` into ``directory``, named 1, 2, 3 …; what came out.

    ``name`` is what people call the archive. Nothing outside ``directory`` is written. ``left_there`` are those of a
    zip's members whose bytes are not here, being no dumps.

    Raises:
        ArchiveFailed: no dump came out, or a limit stopped it.
        OSError: the file cannot be read.
    """
    collector = Collector(directory, path.stat().st_size, limits)
    with closing(collector):
        _feed(path, name, collector, passwords, deep=limits.depth == 0, left_there=left_there)
        while collector.nested:
            _feed_nested(collector.nested.pop(0), collector, passwords)
    if not collector.dumps:
        raise collector.no_dump()
    return collector


def _feed_nested(inner: Taken, collector: Collector, passwords: tuple[str, ...]) -> None:
    try:
        _feed(inner.path, inner.name, collector, passwords, deep=True)
    except ArchiveFailed as failed:
        if failed.kind == "limit":
            raise
        collector.damaged.append(inner.name)
    finally:
        inner.path.unlink()


def _feed(
    path: Path,
    name: str,
    collector: Collector,
    passwords: tuple[str, ...],
    *,
    deep: bool,
    left_there: frozenset[int] = frozenset(),
) -> None:
    with path.open("rb") as file:
        if (kind := kind_of_file(path)) == "zip":
            feed_zip(file, collector, passwords, deep=deep, left_there=left_there)
        else:
            _feed_open(file, kind, shown_name(name), collector, passwords, deep=deep)


def _feed_open(
    file: IO[bytes],
    kind: ArchiveKind | None,
    name: str,
    collector: Collector,
    passwords: tuple[str, ...],
    *,
    deep: bool,
) -> None:
    match kind:
        case "7z":
            feed_7z(file, collector, passwords, deep=deep)
        case "cab" | "rar":
            feed_libarchive(file, collector, deep=deep)
        case "tar":
            feed_tar(file, collector, deep=deep)
        case "gz" | "bz2" | "xz" | "zst" as packer:
            feed_stream(packer, file, name, collector, deep=deep)
        case _:
            raise ArchiveFailed("damaged", "its first bytes are no archive's")
