"""Every kind of lock behind one interface: who may own it, how a thread comes to wait for it, what is written then."""

from collections.abc import Callable, Sequence

from tests.forge.kernel.background import WAIT
from tests.forge.kernel.objects import fast_mutex, mutant
from tests.forge.kernel.processes import add_process
from tests.forge.kernel.push_locks import FIRST_WITH_RECORD, push_lock
from tests.forge.kernel.replies import (
    ITEM_FRAME,
    alpc_message,
    critical_section,
    enter_section,
    serve,
    take_message,
    wait_for_item,
    wait_for_reply,
    wait_for_section,
    work_queue,
)
from tests.forge.kernel.resources import add_fast_resource, add_resource, wait_for
from tests.forge.kernel.state import EXECUTIVE, USER_REQUEST, WR_GUARDED_MUTEX, Frame, Kernel, Process, Thread
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.locks import AnyLock
from tests.forge.scenarios.story import named

CLIENT = "QueueAndWait"
MUTANT_NAME = "Pileup.Setup"


class Lock:
    """A lock of one kind. Its owner is told first, then the threads that wait."""

    first_build, full_only = 7601, False

    def __init__(self, kernel: Kernel, home: Process) -> None:
        self.kernel, self.home = kernel, home
        self.address = 0

    def owner_process(self) -> Process:
        """Where the owner must live."""
        return self.home

    def waiter(self, frames: Sequence[Frame]) -> Thread:
        """A thread that is about to wait, called from ``frames``."""
        return add_thread(self.kernel, self.home, [*self.kernel.frames(*WAIT), *frames])

    def own(self, thread: Thread) -> None:
        """The thread owns the lock."""
        raise NotImplementedError

    def block(self, thread: Thread, seconds: float) -> None:
        """The thread waits."""
        raise NotImplementedError


def named_mutant(kernel: Kernel) -> int:
    """A mutant that programs can open by name."""
    return mutant(kernel, name=MUTANT_NAME)


_MAKE: dict[str, Callable[[Kernel], int]] = {
    "mutant": named_mutant,
    "fast-mutex": fast_mutex,
    "push-lock": push_lock,
}


class Simple(Lock):
    """Locks that ``AnyLock`` knows: ERESOURCE, mutant, fast mutex, push lock."""

    kind = ""

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        resource = add_resource(kernel, tag="Wlck") if self.kind == "eresource" else None
        make: dict[str, Callable[[Kernel], int]] = {
            "mutant": named_mutant,
            "fast-mutex": fast_mutex,
            "push-lock": push_lock,
        }
        self.address = resource.address if resource else make[self.kind](kernel)
        self.any = AnyLock(self.kind, self.address, resource)

    def waiter(self, frames: Sequence[Frame]) -> Thread:
        """In the acquisition of the lock."""
        return self.any.waiter(self.kernel, self.home, frames)

    def own(self, thread: Thread) -> None:
        """As the kind does it."""
        self.any.own(self.kernel, thread)

    def block(self, thread: Thread, seconds: float) -> None:
        """As the kind does it."""
        self.any.block(self.kernel, [(thread, seconds)])


class Resource(Simple):
    """ERESOURCE."""

    kind = "eresource"


class Mutant(Simple):
    """KMUTANT."""

    kind = "mutant"


class FastMutex(Simple):
    """FAST_MUTEX."""

    kind = "fast-mutex"


class PushLock(Simple):
    """EX_PUSH_LOCK with its owner in lock entries."""

    kind, first_build = "push-lock", FIRST_WITH_RECORD


class GuardedMutex(Lock):
    """KGUARDED_MUTEX: of Windows 7 with a gate, later a fast mutex under another wait reason."""

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        self.address = fast_mutex(kernel)
        if kernel.major == 7601:
            kernel.machine.u8(kernel.machine.at("_KGUARDED_MUTEX", self.address, "Gate"), 7)

    def own(self, thread: Thread) -> None:
        """By its owner field."""
        self.kernel.machine.put("_FAST_MUTEX", self.address, Count=0, Owner=thread.address)

    def block(self, thread: Thread, seconds: float) -> None:
        """On the event or gate inside."""
        inner = self.kernel.machine.at("_FAST_MUTEX", self.address, "Event")
        wait(self.kernel, thread, [inner], WR_GUARDED_MUTEX, seconds)


class FastResource(Lock):
    """A fast resource: owner entries on a list, chain entries on the waiters' stacks."""

    first_build = 17763

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        self.resource = add_fast_resource(kernel, None)
        self.address = self.resource.address

    def waiter(self, frames: Sequence[Frame]) -> Thread:
        """Inside ExpWaitForResource, where its chain entry lies."""
        inner = self.kernel.frames(*WAIT, "ExpWaitForResource", "ExAcquireFastResourceExclusive")
        return add_thread(self.kernel, self.home, [*inner, *frames])

    def own(self, thread: Thread) -> None:
        """By an entry of its list."""
        machine = self.kernel.machine
        entry = machine.pool(0x48, "FsRo", "large")
        machine.put("_FAST_OWNER_ENTRY_INTERNAL", entry, LockAddress=self.address, ThreadAddress=thread.address)
        machine.put("_FAST_OWNER_ENTRY_INTERNAL", entry, CallerExclusive=1)
        head = machine.at("_FAST_ERESOURCE_INTERNAL", self.address, "OwnerEntryListHead")
        machine.list_append(head, entry)
        machine.put("_FAST_ERESOURCE_INTERNAL", self.address, Flag=0x80)
        machine.put("_ERESOURCE", self.address, ActiveCount=1)
        self.resource.owners, self.resource.exclusive = [thread], True

    def block(self, thread: Thread, seconds: float) -> None:
        """By a chain entry."""
        wait_for(self.kernel, self.resource, [(thread, seconds)])


class Join(Lock):
    """A thread as an object: whoever waits for it waits for its end."""

    def own(self, thread: Thread) -> None:
        """The lock is the thread."""
        self.address = thread.address

    def block(self, thread: Thread, seconds: float) -> None:
        """A wait of the kernel; a program's joins are everyday and count only behind a blocked thread."""
        wait(self.kernel, thread, [self.address], EXECUTIVE, seconds)


class Ending(Lock):
    """A process as an object: told to end, and held up by the one thread of it that hangs."""

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        self.process = add_process(kernel, "setup.exe", home.pid)
        self.address = self.process.address

    def owner_process(self) -> Process:
        """Itself."""
        return self.process

    def own(self, thread: Thread) -> None:
        """Told to end."""
        self.kernel.machine.put("_ETHREAD", thread.address, CrossThreadFlags=1)

    def block(self, thread: Thread, seconds: float) -> None:
        """A program's wait: it counts because the process hangs on its way out."""
        wait(self.kernel, thread, [self.address], USER_REQUEST, seconds, mode=1)


class Alpc(Lock):
    """An ALPC message whose reply the waiter needs."""

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        self.address = alpc_message(kernel, named(kernel, "lsass.exe"))

    def owner_process(self) -> Process:
        """The server."""
        return named(self.kernel, "lsass.exe")

    def waiter(self, frames: Sequence[Frame]) -> Thread:
        """In the call of the server."""
        inner = self.kernel.frames(*WAIT, "AlpcpSignalAndWait", "AlpcpReceiveSynchronousReply")
        return add_thread(self.kernel, self.home, [*inner, *frames])

    def own(self, thread: Thread) -> None:
        """It has taken the message."""
        take_message(self.kernel, self.address, thread)

    def block(self, thread: Thread, seconds: float) -> None:
        """For the reply."""
        wait_for_reply(self.kernel, self.address, thread, seconds)


class Queue(Lock):
    """A work queue with one worker, which does not come back."""

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        self.address = work_queue(kernel)

    def owner_process(self) -> Process:
        """Workers are the system's."""
        return named(self.kernel, "System")

    def waiter(self, frames: Sequence[Frame]) -> Thread:
        """In a driver that queued an item and waits for it."""
        return add_thread(self.kernel, self.home, [*self.kernel.frames(*WAIT), client_frame(self.kernel), *frames])

    def own(self, thread: Thread) -> None:
        """It is the worker."""
        serve(self.kernel, self.address, thread)

    def block(self, thread: Thread, seconds: float) -> None:
        """For an event beside the queued item."""
        wait_for_item(self.kernel, self.address, thread, CLIENT, seconds)


class CriticalSection(Lock):
    """A critical section of a program, in a dump with the program's memory."""

    full_only = True

    def __init__(self, kernel: Kernel, home: Process) -> None:
        super().__init__(kernel, home)
        self.address = critical_section(kernel, home)
        self.owner: Thread | None = None

    def own(self, thread: Thread) -> None:
        """By its number."""
        self.owner = thread
        enter_section(self.kernel, self.home, self.address, thread)

    def block(self, thread: Thread, seconds: float) -> None:
        """In ntdll."""
        assert self.owner is not None
        enter_section(self.kernel, self.home, self.address, self.owner, waiters=1)
        wait_for_section(self.kernel, self.home, self.address, thread, seconds)


def client_frame(kernel: Kernel) -> Frame:
    """A frame with room for a work item and an event, in a driver that nobody blames."""
    image = kernel.image("fltmgr.sys")
    image.function(CLIENT, locals_size=ITEM_FRAME)
    return Frame(image, CLIENT)


KINDS: dict[str, type[Lock]] = {
    "eresource": Resource,
    "fast-eresource": FastResource,
    "mutant": Mutant,
    "fast-mutex": FastMutex,
    "guarded-mutex": GuardedMutex,
    "push-lock": PushLock,
    "thread": Join,
    "process": Ending,
    "alpc": Alpc,
    "queue": Queue,
    "critical-section": CriticalSection,
}
