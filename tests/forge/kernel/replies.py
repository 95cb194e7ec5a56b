"""Waits for others' work: replies to ALPC messages, items of a work queue, critical sections of programs."""

import struct

from tests.forge.functions import TRAP_SIZE
from tests.forge.kernel.objects import dispatcher, event, executive_object
from tests.forge.kernel.state import EXECUTIVE, WR_ALERT, WR_LPC_REPLY, Kernel, Process, Thread
from tests.forge.kernel.threads import wait
from tests.forge.pages import PAGE, PageTables

PRIORITY_QUEUE, QUEUE = 21, 4
SEMAPHORE = 5
ITEM_LOCAL = 0x20  # in the frame of the one who waits: the work item, behind it the event
ITEM_FRAME = 0x60  # bytes of locals that such a frame needs
FIRST_PRIORITY = 12
USER_BASE = 0x0000_01F4_2000_0000
PEB_BASE = 0x7FF0_0000_0000


def alpc_message(kernel: Kernel, server: Process, port: str = "pileup-test") -> int:
    """A message to a named port of a server; nobody waits for its reply and no thread has taken it."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    ports = [executive_object(kernel, "ALPC Port", layouts.size("_ALPC_PORT"), "Alpc", name=port)]
    ports += [executive_object(kernel, "ALPC Port", layouts.size("_ALPC_PORT"), "Alpc") for _ in range(2)]
    info = machine.pool(layouts.size("_ALPC_COMMUNICATION_INFO"), "AlIn", "large")
    connection, listening, client = ports
    machine.put(
        "_ALPC_COMMUNICATION_INFO",
        info,
        ConnectionPort=connection,
        ServerCommunicationPort=listening,
        ClientCommunicationPort=client,
    )
    for one in ports:
        machine.put("_ALPC_PORT", one, CommunicationInfo=info, OwnerProcess=server.address)
    message = machine.pool(layouts.size("_KALPC_MESSAGE"), "AlMs", "large")
    machine.put("_KALPC_MESSAGE", message, OwnerPort=client, CommunicationInfo=info, ConnectionPort=connection)
    return message


def take_message(kernel: Kernel, message: int, server: Thread) -> None:
    """A thread of the server works on the message."""
    kernel.machine.put("_KALPC_MESSAGE", message, ServerThread=server.address)


def wait_for_reply(kernel: Kernel, message: int, thread: Thread, seconds: float) -> None:
    """A thread waits for the reply to the message, at the semaphore inside it."""
    machine = kernel.machine
    machine.put("_KALPC_MESSAGE", message, WaitingThread=thread.address)
    machine.put("_ETHREAD", thread.address, AlpcMessage=message)
    semaphore = machine.at("_ETHREAD", thread.address, "AlpcWaitSemaphore")
    dispatcher(kernel, semaphore, SEMAPHORE, 0x20)
    wait(kernel, thread, [semaphore], WR_LPC_REPLY, seconds, mode=1)


def work_queue(kernel: Kernel) -> int:
    """A work queue of the kernel: a KPRIQUEUE, up to Windows 7 a KQUEUE; nothing in it."""
    machine, layouts = kernel.machine, kernel.machine.layouts
    modern = "_KPRIQUEUE" in layouts.structures
    address = machine.pool(layouts.size("_EX_WORK_QUEUE"), "ExWq", "large")
    dispatcher(kernel, address, PRIORITY_QUEUE if modern else QUEUE, 0x40)
    structure = "_KPRIQUEUE" if modern else "_KQUEUE"
    first = machine.at(structure, address, "EntryListHead")
    for number in range(32 if modern else 1):
        machine.list_head(first + 0x10 * number)
    machine.list_head(machine.at(structure, address, "ThreadListHead"))
    return address


def serve(kernel: Kernel, queue: int, worker: Thread) -> None:
    """A thread is one of the queue's workers."""
    kernel.machine.put("_KTHREAD", worker.address, Queue=queue)
    kernel.machine.put("_ETHREAD", worker.address, ActiveExWorker=1)


def queue_item(kernel: Kernel, queue: int, item: int, routine: int, parameter: int) -> None:
    """Put a WORK_QUEUE_ITEM at an address into the queue."""
    machine = kernel.machine
    modern = "_KPRIQUEUE" in machine.layouts.structures
    head = machine.at("_KPRIQUEUE" if modern else "_KQUEUE", queue, "EntryListHead")
    machine.write(item, bytes(0x20))
    machine.u64(item + 0x10, routine)
    machine.u64(item + 0x18, parameter)
    machine.list_append(head + 0x10 * FIRST_PRIORITY if modern else head, item)


def wait_for_item(kernel: Kernel, queue: int, thread: Thread, function: str, seconds: float) -> None:
    """A thread has queued an item of its own stack, in ``function``'s frame, and waits for the event behind it."""
    placed = thread.frame(function)
    item = placed.sp + ITEM_LOCAL
    image = kernel.image(placed.image)
    queue_item(kernel, queue, item, image.base + image.function(f"{function}Worker").rva, item)
    wait(kernel, thread, [event(kernel, address=item + 0x20)], EXECUTIVE, seconds)


def critical_section(kernel: Kernel, process: Process, *, loader: bool = False) -> int:
    """A free critical section in memory of a program; the process' loader lock where asked."""
    page = USER_BASE + kernel.rng.randrange(1, 0x100) * 0x10000
    while _tables(kernel, process).entry(page):
        page += 0x10000
    section, debug = page + 0x120, page + 0x200
    _map_user(kernel, process, page)
    _write_user(kernel, process, section, struct.pack("<QiIQQQ", debug, -1, 0, 0, 0, 0x20007D0))
    _write_user(kernel, process, debug, struct.pack("<HHIQ", 0, 0, 0, section))
    if loader:
        peb = PEB_BASE + process.pid * 0x1000
        _map_user(kernel, process, peb)
        at = kernel.machine.layouts.offset("_PEB", "LoaderLock")
        _write_user(kernel, process, peb + at, struct.pack("<Q", section))
    return section


def enter_section(kernel: Kernel, process: Process, section: int, owner: Thread, waiters: int = 0) -> None:
    """A thread of the process is in the section, and others wait for it."""
    _write_user(kernel, process, section + 8, struct.pack("<iIQ", -2 - 4 * waiters, 1, owner.tid))


def wait_for_section(kernel: Kernel, process: Process, section: int, thread: Thread, seconds: float) -> None:
    """A thread waits in ntdll for the section: its address lies on the user stack."""
    trap = thread.initial_stack - TRAP_SIZE
    rsp = kernel.machine.read_u64(kernel.machine.at("_KTRAP_FRAME", trap, "Rsp"))
    for page in range(rsp & -PAGE, (rsp + 0x1000 & -PAGE) + 1, PAGE):
        _map_user(kernel, process, page)
    _write_user(kernel, process, rsp + 0x88, struct.pack("<QQ", section, 0x7FFE_1A2B_4C10))
    modern = kernel.major > 7601
    objects = [] if modern else [event(kernel)]
    wait(kernel, thread, objects, WR_ALERT if modern else 6, seconds, mode=1)


def _tables(kernel: Kernel, process: Process) -> PageTables:
    return next(one for one in kernel.process_tables if one.directory_table == process.directory_table)


def _map_user(kernel: Kernel, process: Process, page: int) -> None:
    tables = _tables(kernel, process)
    if not tables.entry(page):
        tables.map(page, kernel.machine.loose_frame())


def _write_user(kernel: Kernel, process: Process, address: int, data: bytes) -> None:
    physical = _tables(kernel, process).translate(address)
    assert physical is not None
    kernel.machine.memory.write(physical, data)
