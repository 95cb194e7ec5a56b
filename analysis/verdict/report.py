"""The report: what an analysis says. Slack, pages, the command line and history are drawn from it alone.

The dataclasses mirror the JSON document key by key; ``to_json`` and ``from_json`` are the only way between the
two. Key names are a contract with readers outside the project: keys may be added, never renamed.
Addresses and codes are lower-case hex strings with ``0x`` and no padding (see ``hexa``); times are ISO 8601 in UTC.
"""

import dataclasses
import functools
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

SCHEMA_VERSION = 1
SCHEMA_FILE = Path(__file__).with_name("report.schema.json")

Confidence = Literal["high", "medium", "low", "none"]


def hexa(value: int) -> str:
    """An address or a code as the report spells it: lower-case hex, ``0x``, no padding, 64 bits."""
    return f"{value & 0xFFFF_FFFF_FFFF_FFFF:#x}"


@dataclass(frozen=True, slots=True)
class Analyzer:
    """Which program and which rule tables made the report."""

    version: str
    rules: str


@dataclass(frozen=True, slots=True)
class Dump:
    """The file: its kind, size in bytes, identity, where it came from (never a local directory or a token)."""

    kind: str
    size_bytes: int
    sha256: str | None
    identity: str
    source: str
    bytes_read: int
    live: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """The machine that crashed."""

    os: str | None = None
    build: str | None = None
    architecture: str | None = None
    processors: int | None = None
    crash_time: str | None = None
    uptime_seconds: int | None = None
    memory_bytes: int | None = None
    computer_name: str | None = None
    hardware: str | None = None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One bugcheck parameter: its value, what it means in this subcase, and what it turned out to be."""

    value: str
    meaning: str | None = None
    resolved: str | None = None


@dataclass(frozen=True, slots=True)
class Bugcheck:
    """The stop code. ``code`` is normalised (0x1000007e → 0x7e), ``raw_code`` as found."""

    code: str
    raw_code: str
    name: str
    parameters: tuple[Parameter, ...]
    explanation: str


@dataclass(frozen=True, slots=True)
class ExceptionFacts:
    """The exception of a user-mode dump. ``thread`` is a thread id; ``access`` is read, write or execute for an access
    violation, and ``access_address`` what was accessed."""

    code: str
    name: str | None = None
    address: str | None = None
    thread: str | None = None
    access: str | None = None
    access_address: str | None = None


@dataclass(frozen=True, slots=True)
class Culprit:
    """Who did it. ``kind`` is driver, windows, hardware, memory, process or unknown."""

    module: str | None
    function: str | None = None
    kind: str = "driver"
    vendor: str | None = None
    version: str | None = None
    timestamp: str | None = None
    device: str | None = None
    service: str | None = None
    instance_path: str | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A module that was considered, and why it is not the culprit."""

    module: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion, with its reasons and its limits. No culprit means confidence "none".

    ``team`` is who looks after the culprit, by the user's own rules.
    """

    culprit: Culprit | None
    confidence: Confidence
    summary: str
    stack_culprit: str | None = None
    device_culprit: str | None = None
    impact: str | None = None
    reasons: tuple[str, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    next_steps: tuple[str, ...] = ()
    cannot_tell: tuple[str, ...] = ()
    team: str | None = None


@dataclass(frozen=True, slots=True)
class ChainLock:
    """The lock of one chain entry. ``ownership`` is exclusive, shared or None.

    ``driver`` is the image name of the driver that has to complete a request, ``device`` its device object's address.
    """

    address: str
    kind: str
    name: str | None = None
    description: str = ""
    ownership: str | None = None
    driver: str | None = None
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """One lock that somebody waits for now, with its owners and waiters (thread addresses)."""

    lock: ChainLock
    owners: tuple[str, ...]
    waiters: tuple[str, ...]
    waiters_expected: int | None
    trust: str


@dataclass(frozen=True, slots=True)
class Deadlock:
    """One cycle of waits."""

    threads: tuple[str, ...]
    locks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BlockedThread:
    """A thread stuck behind a root or in a deadlock."""

    thread: str
    process: str | None
    pid: int | None
    tid: int | None
    waits_for: str | None
    wait_seconds: float | None = None
    wait_reason: str | None = None
    doing: str | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """The thread at the front of the most important pile-up."""

    thread: str


@dataclass(frozen=True, slots=True)
class Blocking:
    """Who waits for whom."""

    root: Root | None = None
    chains: tuple[Chain, ...] = ()
    deadlocks: tuple[Deadlock, ...] = ()
    blocked_threads: tuple[BlockedThread, ...] = ()


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One printed frame."""

    address: str
    symbol: str
    module: str | None
    trust: str


@dataclass(frozen=True, slots=True)
class Given:
    """What the function of a frame was given: ``frame`` counts from the innermost one, from 0; ``what`` in words."""

    frame: int
    what: str
    trust: str


@dataclass(frozen=True, slots=True)
class ThreadFacts:
    """A thread that the story needs. ``user_stack`` is the part of its stack that lies in its program, innermost frame
    first, where the dump holds programs; ``user_stack_end`` why it ends where it does. ``given`` is what functions of
    ``stack`` were given, where that is sure."""

    address: str
    process: str | None = None
    pid: int | None = None
    tid: int | None = None
    state: str | None = None
    start: str | None = None
    stack: tuple[StackFrame, ...] = ()
    stack_end: str = ""
    user_stack: tuple[StackFrame, ...] = ()
    user_stack_end: str = ""
    given: tuple[Given, ...] = ()


@dataclass(frozen=True, slots=True)
class StackGroup:
    """Threads with one and the same stack. ``count`` is how many, ``blocked`` how many of them the story says are
    blocked; ``threads`` may list fewer; ``summary`` is the frames that tell most, ``trust`` that of the weakest."""

    count: int
    blocked: int
    threads: tuple[str, ...]
    processes: tuple[str, ...]
    summary: str
    trust: str
    stack: tuple[StackFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class IrpFacts:
    """An I/O request that the story needs. ``pending_trust`` is how far ``pending_seconds`` can be trusted."""

    address: str
    major: str | None = None
    minor: str | None = None
    driver: str | None = None
    device: str | None = None
    pending_seconds: float | None = None
    pending_trust: str | None = None


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """A loaded or unloaded image."""

    name: str
    base: str
    size: int
    timestamp: str | None = None
    version: str | None = None
    unloaded: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """Names of the failure: WinDbg's grammar, WinDbg's hash of it, and ours.

    Beside code and culprit the signature is made of ``lock``, ``service`` and the stack of ``thread``; where that is
    None, of nothing or, in a deadlock, of its threads' stacks. ``by_chance``: the culprit is a mere lead from a scanned
    stack of a machine whose memory was damaged, and no part of the signature.
    """

    failure_bucket_id: str
    failure_id_hash: str
    signature: str
    aliases: tuple[str, ...] = ()
    lock: str | None = None
    service: str | None = None
    thread: str | None = None
    by_chance: bool = False


@dataclass(frozen=True, slots=True)
class WindbgVerdict:
    """What WinDbg itself concluded, where the input is its text; None for what it did not print.

    ``agrees`` says whether it blames the same module as this report; None where one of the two names nobody.
    ``hash_fits`` says whether the hash is that of the bucket.
    """

    module_name: str | None = None
    image_name: str | None = None
    symbol_name: str | None = None
    failure_bucket_id: str | None = None
    failure_id_hash: str | None = None
    bugcheck_str: str | None = None
    process_name: str | None = None
    agrees: bool | None = None
    hash_fits: bool | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds spent."""

    fetch_seconds: float = 0.0
    symbols_seconds: float = 0.0
    analysis_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """One analysis of one dump."""

    analyzer: Analyzer
    analyzed_at: str
    dump: Dump
    system: System
    bugcheck: Bugcheck | None
    verdict: Verdict
    bucket: Bucket
    exception: ExceptionFacts | None = None
    blocking: Blocking = field(default_factory=Blocking)
    threads: tuple[ThreadFacts, ...] = ()
    stack_groups: tuple[StackGroup, ...] = ()
    irps: tuple[IrpFacts, ...] = ()
    modules: tuple[ModuleFacts, ...] = ()
    timings: Timings = field(default_factory=Timings)
    notes: tuple[str, ...] = ()
    windbg: WindbgVerdict | None = None
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """The document as plain dicts and lists, validated against the schema.

        Raises:
            fastjsonschema.JsonSchemaException: this report breaks the contract, which is a fault of ours.
        """
        document = self.unchecked()
        validate(document)
        return document

    def unchecked(self) -> dict[str, Any]:
        """The same document for a reader that holds it against the schema itself."""
        document: dict[str, Any] = _plain(dataclasses.asdict(self))
        if self.windbg is None:
            del document["windbg"]  # only reports on a text of WinDbg have this key
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Report":
        """The report of a document; keys that this version does not know are dropped.

        Raises:
            fastjsonschema.JsonSchemaException: the document breaks the contract.
        """
        validate(document)
        report: Report = _build(cls, document)
        return report


def validate(document: dict[str, Any]) -> None:
    """Hold a document against the contract. Raises: fastjsonschema.JsonSchemaException."""
    _validator()(document)


@functools.cache
def _validator() -> Any:
    import fastjsonschema  # costs more than the rest of this module, and the child of an analysis needs none of it

    return fastjsonschema.compile(json.loads(SCHEMA_FILE.read_text("utf-8")))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _build(kind: Any, value: Any) -> Any:
    # Turns JSON back into the dataclass that an annotation names.
    if value is None or kind is Any:
        return value
    origin = typing.get_origin(kind)
    if origin is types.UnionType or origin is typing.Union:
        inner = [arm for arm in typing.get_args(kind) if arm is not type(None)]
        return _build(inner[0], value)
    if origin is tuple:
        (item_kind, _) = typing.get_args(kind)
        return tuple(_build(item_kind, item) for item in value)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = {f.name for f in dataclasses.fields(kind)}
        return kind(**{key: _build(hints[key], item) for key, item in value.items() if key in names})  # type: ignore[operator]  # a dataclass type is callable
    return value
