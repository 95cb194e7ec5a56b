"""The analysis in a process of its own: capped in memory, stopped by a timer, gone with all it started.

A hostile dump can at worst kill its own child. The child gets no token: its environment is made here, word by word.
It speaks JSON lines: ``{"stage", "fraction"}`` while it works, last ``{"report"}`` or ``{"error"}``.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from analysis.verdict.report import Report
    from bot.fetch.remote import RemoteDump
    from bot.symbols.fetching import SymbolServers

Progress = Callable[[str, float | None], None]

ANALYSED, FAULT, NOT_A_DUMP, STOPPED_BY_LIMIT = 0, 1, 3, 5
# Loads the analysis, waits for a line with its arguments, and does nothing when there is none.
WAITING = (
    "import json, sys; from analysis.__main__ import main; "
    "order = sys.stdin.readline(); sys.exit(main(json.loads(order)) if order else 0)"
)
PROGRAM = ("-P", "-c", WAITING)  # -P: a folder named "analysis" in the working directory is not ours
MAX_LINE_BYTES = 64 << 20
MAX_ERROR_BYTES = 64 << 10
# What a Python process needs to start, and nothing of ours.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What an analysis may cost: seconds of wall time, bytes of private memory (a mapped dump does not count)."""

    seconds: float = 600.0
    memory_bytes: int = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """What to analyse: the dump, what its report may call it, where symbol tables and the user's rules lie.

    ``sha256`` spares the child the hashing of a file whose bytes were hashed on their way in. ``servers`` answer the
    child's questions for symbols; without them it asks none. ``pages`` fetches what it reads of a dump that lies
    elsewhere. Whoever made the two closes them. ``note`` joins the report's.
    ``every_symbol``: it asks for whatever the modules name, needed or not. ``redact`` takes names out of the document
    before anybody sees it.
    """

    path: Path
    source: str | None = None
    symbols: tuple[Path, ...] = ()
    cache: Path | None = None
    sha256: str | None = None
    fetch_seconds: float | None = None
    servers: "SymbolServers | None" = None
    rules: Path | None = None
    pages: "RemoteDump | None" = None
    note: str | None = None
    every_symbol: bool = False
    redact: Callable[[dict[str, Any]], dict[str, Any]] | None = None


class AnalysisFailed(Exception):
    """There is no report. ``kind`` is a word for programs, ``line`` one for people, ``exit_code`` the command's."""

    def __init__(self, kind: str, line: str, exit_code: int) -> None:
        super().__init__(line)
        self.kind = kind
        self.line = line
        self.exit_code = exit_code


class Child:
    """An analysis process: it loads its code while its order is made up, and works while we do other things.

    ``program`` are the interpreter's arguments that name what to run.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, program: tuple[str, ...] = PROGRAM) -> None:
        self._limits = ChildLimits()
        self._order = Order(Path())
        self._told: tuple[str, float | None] = ("open", 0.0)
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        self._said: list[str] = []
        self._timed_out = False
        self._timer: threading.Timer | None = None
        self._reaping = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and arguments, no shell
            [sys.executable, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(os.environ),
            start_new_session=True,
        )

    def begin(self, order: Order, limits: ChildLimits) -> Self:
        """Give the child its order; from now on its time runs and its memory is capped."""
        self._limits = limits
        self._order = order
        _cap(self._process.pid, limits)
        self._timer = threading.Timer(limits.seconds, self._time_is_up)
        self._timer.daemon = True
        self._timer.start()
        stream = self._process.stdin
        assert stream is not None  # noqa: S101  # opened as a pipe above
        with suppress(BrokenPipeError):  # it died at once: document() says how
            stream.write(json.dumps(_arguments(order, limits)).encode() + b"\n")
            stream.flush()
            if order.servers is None and order.pages is None:
                stream.close()
        return self

    def document(self, progress: Progress | None = None) -> dict[str, Any]:
        """Wait for the outcome, telling stages on the way; the report's JSON document, held against its contract.

        Raises:
            AnalysisFailed: the child said why not, was stopped by a limit, or died.
            FetchFailed: a part of a dump that lies elsewhere could not be had.
        """
        try:
            last = self._listen(progress)
            self._wait_unreaped()
        finally:
            status = self.stop()
        return self._judge(last, status)

    def report(self, progress: Progress | None = None) -> "Report":
        """Wait for the outcome as ``document`` does; the report.

        Raises:
            AnalysisFailed, FetchFailed: as ``document``.
        """
        from analysis.verdict.report import Report

        return Report.from_json(self.document(progress))

    def stop(self) -> int:
        """Kill the child and all it started, whatever it is doing; its exit status. Harmless when it has ended."""
        if self._timer is not None:
            self._timer.cancel()
        with self._reaping:
            self._kill()
            status = self._process.wait()
            if not self._errors.closed:
                self._said = _tail(self._errors)
                self._errors.close()
        if self._order.pages is not None:
            self._order.pages.cancel()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        return status

    def _time_is_up(self) -> None:
        with self._reaping:
            self._timed_out = self._process.returncode is None
            self._kill()

    def _kill(self) -> None:
        # The whole group, for the child may have left something behind; never after the child was reaped, when its
        # number may belong to somebody else.
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _wait_unreaped(self) -> None:
        # The child has closed its output: let it end by itself, and keep its number taken until the group is killed.
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)

    def _listen(self, progress: Progress | None) -> dict[str, Any]:
        last: dict[str, Any] = {}
        for message in _messages(self._process.stdout):
            if "stage" in message:
                self._told = (str(message["stage"]), _fraction(message.get("fraction")))
            elif "need" in message:
                self._answer(message["need"])
            elif "report" in message or "error" in message:
                last = message
            if progress is not None and ("stage" in message or "need" in message):
                progress(*self._told)
        return last

    def _answer(self, need: Any) -> None:
        stream = self._process.stdin
        if stream is None or stream.closed:
            return
        from bot.needs import meet

        answer = meet(need, self._order.servers, self._order.pages)
        with suppress(BrokenPipeError):  # it died while it waited: document() says how
            stream.write(json.dumps(answer).encode() + b"\n")
            stream.flush()

    def _judge(self, last: dict[str, Any], status: int) -> dict[str, Any]:
        if isinstance(last.get("report"), dict):
            return self._noted(_validated(last["report"]))
        if isinstance(last.get("error"), dict):
            error = last["error"]
            raise AnalysisFailed(str(error.get("kind")), _line(error.get("message")), _exit_code(error))
        if self._timed_out or status == -getattr(signal, "SIGXCPU", 0):
            from bot import wording

            line = f"stopped: the analysis was not finished after {wording.duration(self._limits.seconds)}"
            raise AnalysisFailed("time", line, STOPPED_BY_LIMIT)
        if status == -getattr(signal, "SIGKILL", 0):  # nobody here did it: the system was out of memory
            raise AnalysisFailed("memory", "stopped: the analysis ran out of memory", STOPPED_BY_LIMIT)
        how = f"died of signal {-status}" if status < 0 else f"ended with status {status}"
        raise AnalysisFailed("fault", f"the analysis {how} without a result{self._last_words()}", FAULT)

    def _noted(self, document: dict[str, Any]) -> dict[str, Any]:
        # What only this side knows: how the dump came here.
        pages = self._order.pages
        ours = [note for note in (self._order.note, pages and pages.summary) if note]
        noted = {**document, "notes": [*document.get("notes", ()), *ours]} if ours else document
        return noted if self._order.redact is None else self._order.redact(noted)

    def _last_words(self) -> str:
        return f": {_line(self._said[-1])}" if self._said else ""


def start(order: Order, limits: ChildLimits, program: tuple[str, ...] = PROGRAM) -> Child:
    """Start an analysis and return at once.

    Raises:
        OSError: no process can be started.
    """
    return Child(program).begin(order, limits)


async def analyze(
    order: Order, limits: ChildLimits, progress: Progress | None = None, program: tuple[str, ...] = PROGRAM
) -> "Report":
    """Analyse in a child without blocking the event loop; ``progress`` is called in the loop's thread.

    Cancelling it kills the child.

    Raises:
        AnalysisFailed: there is no report.
        FetchFailed: a part of a dump that lies elsewhere could not be had.
        OSError: no process can be started.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    child = start(order, limits, program)

    def tell(stage: str, fraction: float | None) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, stage, fraction)

    try:
        return await asyncio.to_thread(child.report, tell)
    finally:
        child.stop()


def environment(ours: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """The child's environment: what Python needs to start, where our packages lie, one thread for numpy."""
    passed = {name: ours[name] for name in PASSED_ON if name in ours}
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, ours.get("PYTHONPATH"))))
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**passed, **threads, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8:surrogatepass"}


def _arguments(order: Order, limits: ChildLimits) -> list[str]:
    options = {
        "source": _text(order.source if order.source is not None else order.path.name),
        "symbols": [str(directory) for directory in order.symbols],
        "cache": None if order.cache is None else str(order.cache),
        "marks": None if order.pages is None else str(order.pages.marks.absolute()),
        "rules": None if order.rules is None else str(order.rules.absolute()),
        "sha256": order.sha256,
        "fetch_seconds": order.fetch_seconds,
        "ask": order.servers is not None,
        "every_symbol": order.every_symbol,
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": max(1, int(limits.seconds)),
    }
    return [str(order.path.absolute()), json.dumps(options)]


def _text(name: str) -> str:
    # A file name may hold bytes that are no text.
    return name.encode("utf-8", "replace").decode("utf-8")


def _cap(pid: int, limits: ChildLimits) -> None:
    # From outside, so that it holds whatever the child does. RLIMIT_AS would count the mapped dump.
    try:
        import resource

        prlimit = resource.prlimit
    except (ImportError, AttributeError):  # not Linux: the child's own cap and the timer remain
        return
    seconds = int(limits.seconds) + 60  # after the child's own cap, which can still say a word
    with suppress(ProcessLookupError, PermissionError, ValueError):
        prlimit(pid, resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
        prlimit(pid, resource.RLIMIT_CPU, (seconds, seconds))  # an orphan's end
        prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _messages(stream: IO[bytes] | None) -> Iterator[dict[str, Any]]:
    # Each JSON object on a line of its own; anything else (a library's chatter) is dropped.
    assert stream is not None  # noqa: S101  # opened as a pipe above
    while line := stream.readline(MAX_LINE_BYTES):
        with suppress(ValueError):
            message = json.loads(line)
            if isinstance(message, dict):
                yield message


def _tail(errors: IO[bytes]) -> list[str]:
    # The last lines of what a child wrote to its standard error.
    end = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, end - MAX_ERROR_BYTES))
    return [line for line in errors.read().decode(errors="replace").split("\n") if line.strip()]


def _validated(document: dict[str, Any]) -> dict[str, Any]:
    import fastjsonschema

    from analysis.verdict.report import validate

    try:
        validate(document)
    except fastjsonschema.JsonSchemaException as error:
        raise AnalysisFailed("fault", f"the report breaks its contract: {_line(str(error))}", FAULT) from error
    return document


def _exit_code(error: dict[str, Any]) -> int:
    code = error.get("exit_code")
    return code if code in (FAULT, NOT_A_DUMP, STOPPED_BY_LIMIT) else FAULT


def _fraction(value: Any) -> float | None:
    return min(1.0, max(0.0, float(value))) if isinstance(value, int | float) else None


def _line(text: Any) -> str:
    # One line, printable, short: it may quote a hostile dump.
    words = " ".join(str(text).split())
    return "".join(char if char.isprintable() else "?" for char in words)[:300]
