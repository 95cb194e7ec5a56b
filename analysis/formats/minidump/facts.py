"""What a user-mode minidump says, as plain facts."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from analysis.formats.image import DataBlock
from analysis.formats.raw import RawFile


class Platform(Enum):
    """The system a process ran on, as a person calls it."""

    WINDOWS = "Windows"
    LINUX = "Linux"
    MACOS = "macOS"
    IOS = "iOS"
    ANDROID = "Android"
    OTHER = "an unknown system"


@dataclass(frozen=True, slots=True)
class UserSystem:
    """The machine. ``architecture`` is the report's word, None for one it has no word for; ``version`` as the
    system itself writes it; ``name`` a distribution's own name where one was saved."""

    platform: Platform = Platform.OTHER
    architecture: str | None = None
    processors: int | None = None
    product_type: int | None = None
    major: int = 0
    minor: int = 0
    build: int = 0
    service_pack: str | None = None
    name: str | None = None

    @property
    def version(self) -> str | None:
        """Three numbers ("6.1.7601"), or None where nothing was written."""
        return f"{self.major}.{self.minor}.{self.build}" if self.major or self.build else None


@dataclass(frozen=True, slots=True)
class UserException:
    """The exception or signal. ``thread`` is a thread id, ``context`` the raw CONTEXT, empty where none was saved."""

    thread: int
    code: int
    flags: int
    address: int
    parameters: tuple[int, ...]
    context: bytes = b""


@dataclass(frozen=True, slots=True)
class UserThread:
    """A thread. ``stack`` is where its saved stack lies; ``start`` the address it was started at, where saved."""

    tid: int
    teb: int
    suspended: int
    stack: DataBlock | None
    context: bytes
    name: str | None = None
    start: int | None = None


@dataclass(frozen=True, slots=True)
class CodeView:
    """What names a module's PDB: file name, GUID as 32 upper-case hex digits, age."""

    name: str
    guid: str
    age: int


@dataclass(frozen=True, slots=True)
class UserModule:
    """A loaded image; ``path`` as saved. An image that was unloaded has neither version nor PDB."""

    path: str
    base: int
    size: int
    timestamp: int | None
    version: str | None = None
    pdb: CodeView | None = None

    @property
    def name(self) -> str:
        """The file name in lower case."""
        return self.path.replace("\\", "/").rpartition("/")[2].lower()


@dataclass(frozen=True, slots=True)
class UserDump:
    """A minidump as far as it could be read. ``notes`` are sentences about what is missing or wrong; ``main_thread``
    is the id of the thread that started the process, where the dump says so."""

    raw: RawFile
    system: UserSystem = field(default_factory=UserSystem)
    exception: UserException | None = None
    threads: tuple[UserThread, ...] = ()
    modules: tuple[UserModule, ...] = ()
    unloaded: tuple[UserModule, ...] = ()
    memory: tuple[DataBlock, ...] = ()
    crash_time: datetime | None = None
    process_id: int | None = None
    process_started: datetime | None = None
    requesting_thread: int | None = None
    assertion: str | None = None
    notes: tuple[str, ...] = ()
