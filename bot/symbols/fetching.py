"""Symbol files for one job, from stores and servers: each fetched once, several at the same time, kept for later.

An analysis has no network: it asks this process. What a place has is used only if the identity inside the file is the
one that was asked for. Questions are answered after a short wait; what comes later is there for the next analysis.
"""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.symbols.names import Wanted
from bot.symbols import notes, stores
from bot.symbols.identity import is_sound, why_refused
from bot.symbols.locking import alone
from bot.symbols.outcomes import Failed, GivenUp, NotStored, NotThere
from bot.symbols.paths import Tiers
from bot.symbols.reach import Reach
from bot.symbols.unpacking import MAX_BYTES, NotUnpacked, unpack

if TYPE_CHECKING:
    import httpx

    from bot.symbols.servers import Server
    from storage.sources import Outcome, Said

DOWN_AFTER = 2  # failures in one job after which a server is left alone
AT_ONCE = 4  # downloads at the same time


@dataclass(frozen=True, slots=True)
class Limits:
    """What symbols of one job may cost: seconds that a first analysis waits for, seconds in all, bytes kept on disk."""

    first_seconds: float = 5.0
    total_seconds: float = 60.0
    store_bytes: int = 20_000_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A file, or why there is none (one line for a person)."""

    path: Path | None = None
    reason: str = ""


@dataclass(slots=True)
class _Question:
    wanted: Wanted
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Answer = field(default_factory=Answer)
    given_up: bool = False  # the one who asked went on without it


class SymbolServers:
    """Finds and fetches symbol files for one job. ``close`` it when the job is over.

    ``default_store`` keeps what no element of the symbol path keeps. Time counts only while somebody waits.
    """

    def __init__(
        self,
        tiers: tuple[Tiers, ...],
        default_store: Path,
        limits: Limits,
        reach: Reach | None = None,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        self._tiers = tiers
        self._default_store = default_store
        self._limits = limits
        addresses = [place for one in tiers for place in one.places if isinstance(place, str)]
        self._servers = {one: _server(one, reach or Reach(), transport) for one in addresses}
        for place in (place for one in tiers for place in one.places[:-1] if isinstance(place, Path)):
            with suppress(OSError):  # the analysis looks there first, and would miss a directory that is not there yet
                place.mkdir(parents=True, exist_ok=True)
        self._patience = limits.first_seconds
        self._spent = 0.0
        self._closed = False
        self._failures: dict[str, int] = {}
        self._questions: dict[Wanted, _Question] = {}
        self._said: dict[tuple[str, Outcome], tuple[str, int]] = {}
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)

    def close(self) -> None:
        """Ends the connections, and with them what is still on its way; whoever waits gets an answer."""
        self._closed = True
        for question in self._asked():
            question.answered.set()
        for server in self._servers.values():
            server.close()

    @property
    def seconds(self) -> float:
        """How long servers were waited for so far."""
        return self._spent

    def fetch(self, wanted: Wanted) -> Answer:
        """The wanted file, however long that takes within the job's time."""
        self._patience = self._limits.total_seconds
        return self.ask(wanted)

    def ask(self, wanted: Wanted) -> Answer:
        """The wanted file, if it is there or comes soon; the rest of it goes on by itself."""
        if not is_sound(wanted):
            return Answer(reason=f"{wanted.name[:80]!r} is no name of a file that a server could be asked for")
        question = self._begun(wanted)
        left = min(self._patience, self._limits.total_seconds) - self._spent
        if not self._waited(question, max(left, 0.0)):
            question.given_up = True
            if self._spent >= self._limits.total_seconds:
                return Answer(reason=f"the {self._limits.total_seconds:g} s for symbols are used up")
            return Answer(reason="it is still being fetched; this analysis goes on without it")
        return question.answer

    def late(self) -> bool:
        """Whether an analysis went on without a file that has come since, or may still come."""
        return any(one.given_up and (one.answer.path or not one.answered.is_set()) for one in self._asked())

    def await_late(self) -> tuple[str, ...]:
        """Waits for what is still on its way, within the job's time; the names of files that came after all.

        Questions asked after this are waited for as long as the job's time allows.
        """
        self._patience = self._limits.total_seconds
        for question in self._asked():
            if question.given_up:
                self._waited(question, max(self._limits.total_seconds - self._spent, 0.0))
        return tuple(one.wanted.name for one in self._asked() if one.given_up and one.answer.path is not None)

    def outcomes(self) -> list[tuple[Wanted, Answer]]:
        """Every file that was asked for, and what became of it."""
        return [(one.wanted, one.answer) for one in self._asked()]

    def sources(self) -> list["Said"]:
        """What each place said when it was asked: the latest of each outcome. What is known from before is not asked
        for, and a directory without the file says nothing."""
        from storage.sources import Said

        with self._lock:
            return [Said(place, outcome, *latest) for (place, outcome), latest in self._said.items()]

    def _note(self, place: str, outcome: "Outcome", detail: str) -> None:
        with self._lock:
            times = self._said.get((place, outcome), ("", 0))[1]
            self._said[place, outcome] = detail, times + 1

    def _asked(self) -> list[_Question]:
        with self._lock:
            return list(self._questions.values())

    def _begun(self, wanted: Wanted) -> _Question:
        with self._lock:
            known = self._questions.get(wanted)
            if known is not None:
                return known
            question = self._questions[wanted] = _Question(wanted)
            if self._closed:
                question.answered.set()
                return question
        threading.Thread(target=self._answer, args=(question,), daemon=True).start()
        return question

    def _waited(self, question: _Question, seconds: float) -> bool:
        started = time.monotonic()
        try:
            # What lies on disk answers at once, and is no reason to say that the time is used up.
            return question.answered.wait(max(seconds, 0.01))
        finally:
            self._spent += time.monotonic() - started

    def _answer(self, question: _Question) -> None:
        with self._slots:
            try:
                question.answer = self._found(question.wanted)
            except Exception as error:  # noqa: BLE001  # whoever waits must get an answer
                question.answer = Answer(reason=f"a fault of ours: {type(error).__name__}")
            finally:
                question.answered.set()

    def _found(self, wanted: Wanted) -> Answer:
        reasons: list[str] = []
        until = time.monotonic() + self._limits.total_seconds
        for tiers in self._tiers:
            for at, place in enumerate(tiers.places):
                keep = [one for one in tiers.places[:at] if isinstance(one, Path)] or [self._default_store]
                try:
                    if isinstance(place, Path):
                        return Answer(self._looked(place, wanted, keep, copy=at > 0))
                    return Answer(self._from_server(self._servers[place], wanted, keep, until))
                except (NotThere, Failed) as reason:
                    reasons += [str(reason)] if str(reason) else []
        return Answer(reason="; ".join(dict.fromkeys(reasons)))

    def _looked(self, directory: Path, wanted: Wanted, keep: list[Path], *, copy: bool) -> Path:
        try:
            path = self._from_directory(directory, wanted, keep, copy=copy)
        except (NotThere, Failed) as reason:
            if str(reason):
                self._note(str(directory), "missing" if isinstance(reason, NotThere) else "failed", str(reason))
            raise
        self._note(str(directory), "found", wanted.name)
        return path

    def _from_directory(self, directory: Path, wanted: Wanted, keep: list[Path], *, copy: bool) -> Path:
        refusals: list[str] = []
        for path in stores.held(directory, wanted):
            refused = why_refused(path, wanted)
            if refused is None:
                stores.used(path)
                return self._kept(path, wanted, keep, str(directory)) if copy else path
            refusals.append(f"{path.name} in {directory.name} is refused: {refused}")
        for path in stores.packed(directory, wanted):
            try:
                return self._unpacked(path, wanted, keep, directory)
            except Failed as reason:
                refusals.append(str(reason))
        said = stores.pointed(directory, wanted)
        if said is not None:
            return self._pointed(said, directory, wanted, keep)
        raise Failed("; ".join(refusals))

    def _unpacked(self, path: Path, wanted: Wanted, keep: list[Path], directory: Path) -> Path:
        place = stores.place_in(keep[-1], wanted)
        try:
            with stores.part_of(place) as part:
                unpack(path, part, MAX_BYTES)
                refused = why_refused(part, wanted)
                if refused is not None:
                    raise Failed(f"{path.name} in {directory.name} is refused: {refused}")
                return self._kept(stores.settle(part, place, wanted, str(directory)), wanted, keep, str(directory))
        except NotUnpacked as reason:
            raise Failed(f"{path.name} in {directory.name} is refused: {reason}") from reason
        except OSError as error:
            raise Failed(f"{path.name} could not be unpacked ({type(error).__name__})") from error

    # A store may keep a file elsewhere and only its path here, or a message for people.
    def _pointed(self, said: str, directory: Path, wanted: Wanted, keep: list[Path]) -> Path:
        if said.upper().startswith("MSG:"):
            raise NotThere(f"{directory.name} says of {wanted.name}: {said[4:].strip()[:200]}")
        path = Path(said.removeprefix("PATH:").strip())
        if not path.is_file():
            raise NotThere(f"{directory.name} says that {wanted.name} lies elsewhere, where it is not")
        refused = why_refused(path, wanted)
        if refused is not None:
            raise Failed(f"what {directory.name} names as {wanted.name} is refused: {refused}")
        return self._kept(path, wanted, keep, str(directory))

    # Into every directory in front of the place that has it; the path in the nearest one that can be written.
    def _kept(self, path: Path, wanted: Wanted, keep: list[Path], source: str) -> Path:
        best = path
        for store in reversed(keep):
            if path.is_relative_to(store):
                best = path
                continue
            with suppress(OSError):
                best = stores.copy_into(store, path, wanted, source)
                stores.prune(store, self._limits.store_bytes, keep=best)
        return best

    def _from_server(self, server: "Server", wanted: Wanted, keep: list[Path], until: float) -> Path:
        store = keep[-1]
        place = stores.place_in(store, wanted)
        with alone(store, f"{wanted.name}/{wanted.key}", until) as ours:
            path = place / wanted.name
            if path.is_file() and why_refused(path, wanted) is None:  # another process has fetched it meanwhile
                return self._kept(path, wanted, keep, server.url)
            reason = notes.recalled(place, server.url)
            if reason is not None:
                raise NotThere(reason)
            if self._failures.get(server.url, 0) >= DOWN_AFTER:
                raise Failed(f"{server.host} was not asked again after {DOWN_AFTER} failures")
            if not ours:
                raise Failed(f"another process was still fetching {wanted.name} when the time for symbols was up")
            return self._kept(self._downloaded(server, wanted, store, until), wanted, keep, server.url)

    def _downloaded(self, server: "Server", wanted: Wanted, store: Path, until: float) -> Path:
        place = stores.place_in(store, wanted)
        try:
            with server.fetched(wanted, place, until) as part:
                path = stores.settle(part, place, wanted, server.host)
            self._note(server.url, "found", wanted.name)
        except NotThere as reason:
            self._note(server.url, "missing", wanted.name)
            notes.remember(place, server.url, str(reason), notes.MISSING_SECONDS)
            raise
        except (GivenUp, NotStored) as reason:
            self._note(server.url, "failed", str(reason))
            raise
        except Failed as reason:
            self._note(server.url, "failed", str(reason))
            with self._lock:
                self._failures[server.url] = self._failures.get(server.url, 0) + 1
            notes.remember(place, server.url, str(reason), notes.FAILED_SECONDS)
            raise
        except OSError as error:
            raise Failed(f"{wanted.name} could not be stored ({type(error).__name__})") from error
        stores.prune(store, self._limits.store_bytes, keep=path)
        return path


# The library for HTTP is loaded only where a server is named: directories are answered without it.
def _server(address: str, reach: Reach, transport: "httpx.BaseTransport | None") -> "Server":
    from bot.symbols.servers import Server

    return Server(address, reach, transport)
