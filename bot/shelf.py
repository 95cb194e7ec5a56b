"""Where dumps that were posted lie until a worker has read them: a directory, or an object store, that all machines of
the bot and its workers reach.

Each upload is an entry of its own, under its id. A dump comes in on a disk of the machine that receives it; one for an
object store goes there before there is a job that reads it.
"""

import importlib.util
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from bot.fetch.buckets import STORES, is_bucket_link

FILE = "dump"
_ID = re.compile(r"[A-Za-z0-9_-]{20,40}")


class ShelfFailed(OSError):
    """The object store did not do what was asked."""


class Shelf(Protocol):
    """What is asked of a shelf, from threads. An id that is none of ours raises ValueError."""

    def keep(self, upload: str) -> None:
        """A dump has come in whole, in the directory for what comes in: from now on every machine sees it.

        Raises:
            ShelfFailed.
        """

    def bring(self, upload: str, target: Path) -> None:
        """Put a copy of it there; it stays for whoever reads it next.

        Raises:
            FileNotFoundError: it is not here.
            OSError.
        """

    def remove(self, upload: str) -> None:
        """Delete it, if it is there. What fails is left to ``sweep``."""

    def sweep(self, needed: Callable[[], frozenset[str]]) -> int:
        """Delete what no upload needs; how many entries went. Which are needed is asked once all are listed: one that
        begins meanwhile is not among them.

        Raises:
            OSError.
        """


class Directory:
    """A directory; dumps come in where they stay."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, upload: str) -> None:
        """It lies where it is to lie."""

    def bring(self, upload: str, target: Path) -> None:
        """As a second name of the same file, where that can be had."""
        source = file_of(self.path, upload)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # another file system
            shutil.copyfile(source, target)

    def remove(self, upload: str) -> None:
        """As the protocol says."""
        shutil.rmtree(file_of(self.path, upload).parent, ignore_errors=True)

    def sweep(self, needed: Callable[[], frozenset[str]]) -> int:
        """As the protocol says."""
        listed = list(self.path.iterdir()) if self.path.is_dir() else []
        kept = needed()
        entries = [entry for entry in listed if entry.name not in kept]
        for entry in entries:
            shutil.rmtree(entry, ignore_errors=True)
        return len(entries)


class Objects:
    """A prefix of an object store, reached through fsspec; dumps come in at ``incoming``, a directory of this machine.

    The credentials are the machine's own, as for links to buckets.
    """

    def __init__(self, url: str, incoming: Path) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme.lower()
        self._prefix = f"{parts.netloc}{parts.path}".rstrip("/")
        self._incoming = Directory(incoming)

    def keep(self, upload: str) -> None:
        """As the protocol says; the file that came in goes."""
        source, target = file_of(self._incoming.path, upload), self._object(upload)
        self._asked(lambda store: store.put_file(str(source), target))
        self._incoming.remove(upload)

    def bring(self, upload: str, target: Path) -> None:
        """As the protocol says."""
        source = self._object(upload)
        self._asked(lambda store: store.get_file(source, str(target)))

    def remove(self, upload: str) -> None:
        """As the protocol says."""
        name = self._object(upload)
        self._incoming.remove(upload)
        with suppress(OSError):
            self._delete(name)

    def sweep(self, needed: Callable[[], frozenset[str]]) -> int:
        """As the protocol says, here and there."""
        gone = self._incoming.sweep(needed)
        try:
            listed = self._asked(lambda store: store.find(self._prefix))
        except FileNotFoundError:  # nothing was put there yet
            listed = []
        kept = needed()
        ids = {path: path.removeprefix(f"{self._prefix}/").removesuffix(f"/{FILE}") for path in map(str, listed)}
        unneeded = [path for path, upload in ids.items() if _ID.fullmatch(upload) and upload not in kept]
        for path in unneeded:
            self._delete(path)
        return gone + len(unneeded)

    def _object(self, upload: str) -> str:
        return f"{self._prefix}/{_checked(upload)}/{FILE}"

    def _delete(self, name: str) -> None:
        self._asked(lambda store: store.rm_file(name))

    def _asked(self, act: Callable[[Any], Any]) -> Any:
        import fsspec

        try:
            # What is listed is asked for each time: others put things there.
            return act(fsspec.filesystem(self._scheme, use_listings_cache=False))
        except FileNotFoundError:
            raise
        except Exception as error:  # each store has exceptions of its own
            raise ShelfFailed(f"{self._scheme}://{self._prefix} failed ({type(error).__name__})") from error


def file_of(directory: Path, upload: str) -> Path:
    """Where the file of an upload lies in a directory. Raises: ValueError, for what is no id of ours."""
    return directory / _checked(upload) / FILE


def checked_place(place: str) -> str:
    """A directory or the address of an object store, as it was given. Raises: ValueError, for another address."""
    if "://" in place and not (is_bucket_link(place) and urlsplit(place).netloc):
        raise ValueError("must be a directory, or look like s3://bucket/prefix, gs://… or az://…")
    return place


def shelf_at(place: str | None, incoming: Path) -> Shelf:
    """The shelf at a place of the settings; ``incoming`` itself where there is none.

    Raises:
        ShelfFailed: what speaks to that store is not installed.
    """
    if place is None or not is_bucket_link(place):
        return Directory(incoming if place is None else Path(place).expanduser())
    module, extra = STORES[urlsplit(place).scheme.lower()]
    if importlib.util.find_spec("fsspec") is None or importlib.util.find_spec(module) is None:
        raise ShelfFailed(f"posted dumps in {place} need an extra: pip install 'pileup[{extra}]'")
    return Objects(place, incoming)


def _checked(upload: str) -> str:
    if not _ID.fullmatch(upload):
        raise ValueError("no id of an upload")
    return upload
