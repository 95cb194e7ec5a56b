"""Which files a bulk reading is about: those of a directory, of a bucket, or of a list."""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.analyzing import USAGE, Stop
from bot.fetch.buckets import STORES, is_bucket_link
from bot.fetch.links import looks_like_a_dump, shown

MAX_LIST_BYTES = 256 << 20
# What a store calls a version of an object, by whichever of these it says.
_VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "last_modified", "LastModified", "updated", "mtime", "created")


@dataclass(frozen=True, slots=True)
class Item:
    """One file: a path or a link, what it is called aloud, and which version of it this is ("" where none is told)."""

    place: str
    name: str
    version: str = ""

    @property
    def is_link(self) -> bool:
        """Whether it has to be fetched."""
        return "://" in self.place


def items_of(what: str, *, every: bool = False) -> list[Item]:
    """The files of a directory or a bucket that end like a dump or an archive, or ``every`` one; those that a list
    names, whatever they end in. Each once, in the order of their names.

    Raises:
        Stop: there is no such thing, or it cannot be read.
    """
    if is_bucket_link(what):
        found = _of_bucket(what, every=every)
    elif "://" in what:
        found = iter([Item(what, shown(what))])
    elif Path(what).is_dir():
        found = _of_directory(Path(what), every=every)
    elif Path(what).is_file():
        path = Path(what)
        found = iter([_of_file(path)]) if looks_like_a_dump(f"file:///{path.name}") else _of_list(path)
    else:
        raise Stop(f"there is no file or directory {what}", USAGE)
    try:
        return list({item.place: item for item in found}.values())
    except OSError as error:
        raise Stop(f"{what} cannot be read: {error.strerror}", USAGE) from error


def bucket_of(what: str) -> str | None:
    """The bucket of an object's address, as settings name it; None for anything else."""
    parts = urlsplit(what)
    return f"{parts.scheme.lower()}://{parts.netloc}" if is_bucket_link(what) else None


def _of_directory(directory: Path, *, every: bool) -> Iterator[Item]:
    # Links to directories are not followed: they may lead in circles.
    for path in sorted(directory.rglob("*")):
        if path.is_file() and (every or looks_like_a_dump(f"file:///{path.name}")):
            yield _of_file(path, str(path.relative_to(directory)))


def _of_file(path: Path, name: str | None = None) -> Item:
    about = path.stat()
    return Item(str(path.absolute()), name or path.name, f"{about.st_size}:{about.st_mtime_ns}")


def _of_list(path: Path) -> Iterator[Item]:
    if path.stat().st_size > MAX_LIST_BYTES:
        raise Stop(f"{path} is too large for a list of files", USAGE)
    content = path.read_bytes()
    if b"\0" in content:
        raise Stop(f"{path} is neither a dump by its name nor a list of files", USAGE)
    for number, line in enumerate(content.decode("utf-8", "surrogateescape").splitlines(), 1):
        place = line.strip()
        if not place or place.startswith("#"):
            continue
        if "://" in place:
            yield Item(place, shown(place))
            continue
        file = path.parent / Path(place).expanduser()
        if not file.is_file():
            raise Stop(f"{path}, line {number}: there is no file {place}", USAGE)
        yield _of_file(file)


def _of_bucket(what: str, *, every: bool) -> Iterator[Item]:
    parts = urlsplit(what)
    scheme = parts.scheme.lower()
    module, extra = STORES[scheme]
    if importlib.util.find_spec("fsspec") is None or importlib.util.find_spec(module) is None:
        raise Stop(f"{scheme}:// needs an extra: pip install 'pileup[{extra}]'", USAGE)
    import fsspec

    try:
        found = fsspec.filesystem(scheme).find(f"{parts.netloc}{parts.path}", detail=True)
    except Exception as error:  # each store has exceptions of its own
        raise Stop(f"{what} cannot be listed ({type(error).__name__})", USAGE) from error
    for path, about in sorted(found.items()):
        place = f"{scheme}://{str(path).lstrip('/')}"
        if about.get("type", "file") == "file" and (every or looks_like_a_dump(place)):
            yield Item(place, place, _version(about))


def _version(about: Mapping[str, Any]) -> str:
    told = next((about[name] for name in _VERSIONS if about.get(name)), "")
    return f"{about.get('size', '')}:{told}"
