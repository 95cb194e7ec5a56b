"""Threads that wait for the reply to an ALPC message (all RPC on one machine), and who should reply.

The waiting thread keeps the message it sent (ETHREAD.AlpcMessage), and the message names the thread that waits for it:
both must agree. A thread of the server that has taken the message is named in it (KALPC_MESSAGE.ServerThread); until
one has, only the server's process is known, by the owner of the port that was connected to.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.address import VirtAddr
from analysis.errors import MissingLayout, Unreadable
from analysis.kernel.dispatcher import is_thread
from analysis.kernel.facts import Held, Lock, LockKind, Thread
from analysis.kernel.names import KernelNames, require
from analysis.kernel.object_names import object_name
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct
from analysis.trust import Trust

REASON = "WrLpcReply"
_IDLE = frozenset({"WrQueue", "WrLpcReceive"})
_MARKS = 7  # the low bits of a pointer are no part of it


@dataclass(frozen=True, slots=True)
class _Receiver:
    # Whom a message goes to, as far as its ports tell.
    process: VirtAddr | None = None
    port: str | None = None


def read_alpc_waits(
    memory: Memory, names: KernelNames, threads: Mapping[VirtAddr, Thread]
) -> tuple[list[Lock], list[str]]:
    """One lock a message that a thread waits for the reply to, and a note on those whose message cannot be read.

    Raises:
        MissingLayout: this kernel's KALPC_MESSAGE is not known.
    """
    waiting = [thread for thread in threads.values() if thread.wait_reason == REASON]
    if not waiting:
        return [], []
    require(names, "_KALPC_MESSAGE", "WaitingThread", "ServerThread")
    processes = {thread.process: f"{thread.process_name} ({thread.pid})" for thread in threads.values()}
    idle = {thread.address for thread in threads.values() if thread.wait_reason in _IDLE}
    locks = [lock for thread in waiting if (lock := _lock(memory, names, thread, processes, idle)) is not None]
    left = len(waiting) - len(locks)
    notes = [f"locks: who should reply to {left} of {len(waiting)} threads in {REASON} cannot be told"] if left else []
    return locks, notes


def _lock(
    memory: Memory, names: KernelNames, thread: Thread, processes: Mapping[VirtAddr, str], idle: set[VirtAddr]
) -> Lock | None:
    if thread.alpc_message is None:
        return None
    try:
        message = names.struct(memory, "_KALPC_MESSAGE", thread.alpc_message)
        if message.pointer("WaitingThread") & ~_MARKS != thread.address:
            return None
        server = VirtAddr(message.pointer("ServerThread") & ~_MARKS)
        receiver = _receiver(memory, names, message)
    except (Unreadable, MissingLayout):
        return None
    taken = bool(server) and server != thread.address and is_thread(memory, server)
    return Lock(
        thread.alpc_message,
        LockKind.ALPC,
        description=_words(thread.alpc_message, receiver, processes) + _state(server if taken else None, idle),
        owners=(Held(server, Trust.STRUCTURE, exclusive=True),) if taken and server not in idle else (),
        waiters=(Held(thread.address, Trust.STRUCTURE),),
        waited_object=thread.waits[0].address if len(thread.waits) == 1 else None,
    )


def _state(server: VirtAddr | None, idle: set[VirtAddr]) -> str:
    if server is None:
        return ", which no thread of the receiver has taken yet"
    # A server that answers later goes back to its pool of threads: then nobody is known to be at work on it.
    return f", which thread {server:#x} took before it went to wait for more work" if server in idle else ""


def _words(address: int, receiver: _Receiver, processes: Mapping[VirtAddr, str]) -> str:
    text = f"ALPC message at {address:#x}"
    if receiver.process is not None:
        text += f" to {processes.get(receiver.process, f'the process at {receiver.process:#x}')}"
    if receiver.port is not None:
        text += f" (port {receiver.port})"
    return text


def _receiver(memory: Memory, names: KernelNames, message: Struct) -> _Receiver:
    if not message.has("OwnerPort"):
        return _Receiver()
    sender = message.pointer("OwnerPort")
    layout, connection = names.layout("_ALPC_PORT"), names.layout("_ALPC_COMMUNICATION_INFO")
    if layout is None or connection is None or not memory.is_kernel(sender):
        return _Receiver()
    info = Struct(memory, connection, Struct(memory, layout, sender).pointer("CommunicationInfo"))
    if not memory.is_kernel(info.address):
        return _Receiver()
    listening = info.pointer("ConnectionPort")
    # A server may ask its client, too; then the client is the one to reply.
    asked = info.pointer("ClientCommunicationPort") if sender == info.pointer("ServerCommunicationPort") else listening
    if not memory.is_kernel(asked):
        return _Receiver()
    process = Struct(memory, layout, asked).pointer("OwnerProcess") & ~_MARKS
    port = object_name(memory, names, listening) if memory.is_kernel(listening) else None
    return _Receiver(VirtAddr(process) if memory.is_kernel(process) else None, port)
