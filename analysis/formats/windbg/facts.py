"""What WinDbg printed, as plain facts. Nothing here judges; names are as printed ("NETIO", "nt!KeBugCheckEx")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum


class Reliability(IntEnum):
    """How far WinDbg itself vouches for a frame, by the warnings it prints between frames."""

    GUESSED = 1  # behind "Frame IP not in any known module"
    FOLLOWED = 2  # behind "Stack unwind information not available"
    UNWOUND = 3


@dataclass(frozen=True, slots=True)
class Banner:
    """What is printed when a dump is opened. ``build`` is "19041" or "19041.1", ``uptime`` seconds."""

    build: str | None = None
    processors: int | None = None
    architecture: str | None = None
    crash_time: datetime | None = None
    uptime: int | None = None


@dataclass(frozen=True, slots=True)
class PrintedFrame:
    """One line of a stack. ``symbol`` is what stands at its end, ``module`` the part in front of ``!`` or ``+``, None
    where only an address was printed. ``address`` is the instruction, where the line above gave it; ``arguments`` are
    the words printed beside it."""

    symbol: str
    module: str | None
    address: int | None
    reliability: Reliability
    stack_pointer: int | None = None
    arguments: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PrintedStack:
    """Frames, innermost first; ``complete`` False where the text ends within it or it was cut at a limit."""

    frames: tuple[PrintedFrame, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """An address that the text itself puts into a module: "fffff807`54b545c8" is "o2micro_sdhost+0x45c8"."""

    address: int
    symbol: str


@dataclass(frozen=True, slots=True)
class PrintedModule:
    """A line of ``lm``, with what ``lmvm`` adds below it. ``end`` is the first address behind the image."""

    name: str
    start: int
    end: int
    image: str | None = None
    timestamp: int | None = None
    version: str | None = None
    vendor: str | None = None
    unloaded: bool = False


@dataclass(frozen=True, slots=True)
class PrintedThread:
    """A THREAD block of ``!thread`` or ``!process``. ``objects`` are the addresses and words of what it waits for,
    ``wait_seconds`` the time that "Ticks" spells out."""

    address: int
    pid: int | None = None
    tid: int | None = None
    state: str = ""
    wait_reason: str | None = None
    processor: int | None = None
    process: int | None = None
    image: str | None = None
    objects: tuple[tuple[int, str], ...] = ()
    irps: tuple[int, ...] = ()
    wait_seconds: float | None = None
    start: str | None = None
    stack: PrintedStack | None = None


@dataclass(frozen=True, slots=True)
class PrintedLock:
    """A resource of ``!locks``: owners and waiters are thread addresses, "exclusive" None where nobody owns it."""

    address: int
    name: str | None
    exclusive: bool | None
    owners: tuple[int, ...] = ()
    exclusive_waiters: tuple[int, ...] = ()
    shared_waiters: tuple[int, ...] = ()
    waiters_counted: int | None = None
    contention: int | None = None


@dataclass(frozen=True, slots=True)
class PrintedIrp:
    """A request of ``!irp``, at its current location. ``driver`` is an object name ("\\\\Driver\\\\usbehci")."""

    address: int
    major: int | None = None
    minor: int | None = None
    device: int | None = None
    driver: str | None = None
    thread: int | None = None


@dataclass(frozen=True, slots=True)
class PrintedDevice:
    """A device object of ``!devstack`` or ``!devobj``, with its driver object's name; ``node`` of its device stack."""

    address: int
    driver: str
    stack: tuple[int, ...] = ()
    instance_path: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class PrintedException:
    """An exception record: code, address, parameters."""

    code: int
    address: int = 0
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WindbgText:
    """All that was found. ``fields`` are the "NAME:  value" lines of !analyze, ``keys`` its "Key/Value" pairs.

    ``code`` None: no bugcheck is named anywhere. ``parameters`` are 0 where not printed; ``known_parameters`` says how
    many were. ``fitted`` is a parameter that only SYMBOL_NAME, WinDbg's own conclusion, puts into a module (it is among
    the points, too). ``user_mode`` True: an analysis of a program's crash. ``notes`` are sentences.
    """

    code: int | None = None
    title: str | None = None
    parameters: tuple[int, int, int, int] = (0, 0, 0, 0)
    known_parameters: int = 0
    parameter_texts: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    blamed_by_loader: str | None = None  # "Probably caused by"
    stack: PrintedStack | None = None
    points: tuple[Point, ...] = ()
    fitted: Point | None = None
    modules: tuple[PrintedModule, ...] = ()
    images: tuple[str, ...] = ()  # file names with their extension, as warnings name them
    threads: tuple[PrintedThread, ...] = ()
    locks: tuple[PrintedLock, ...] = ()
    irps: tuple[PrintedIrp, ...] = ()
    devices: tuple[PrintedDevice, ...] = ()
    exception: PrintedException | None = None
    architecture: str | None = None
    banner: Banner = Banner()
    user_mode: bool = False
    notes: tuple[str, ...] = ()
