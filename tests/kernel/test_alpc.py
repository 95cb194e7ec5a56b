"""Who should reply to an ALPC message."""

from dataclasses import replace

import pytest

from analysis.address import VirtAddr
from analysis.errors import MissingLayout
from analysis.kernel.alpc import read_alpc_waits
from analysis.kernel.facts import Lock, LockKind, Thread
from tests.kernel.invented import Bytes, Names, layout

MESSAGE, PORTS, INFO = 0xFFFF_A000_0000_1000, 0xFFFF_A000_0000_2000, 0xFFFF_A000_0000_3000
CLIENT, SERVER, SERVER_PROCESS = 0xFFFF_A000_0001_0000, 0xFFFF_A000_0002_0000, 0xFFFF_A000_0003_0000
LAYOUTS = {
    "_KALPC_MESSAGE": layout("_KALPC_MESSAGE", 0x60, WaitingThread=8, OwnerPort=0x10, ServerThread=0x20),
    "_ALPC_PORT": layout("_ALPC_PORT", 0x40, CommunicationInfo=8, OwnerProcess=0x18),
    "_ALPC_COMMUNICATION_INFO": layout(
        "_ALPC_COMMUNICATION_INFO", 0x20, ConnectionPort=8, ServerCommunicationPort=0x10, ClientCommunicationPort=0x18
    ),
}


def a_thread(address: int, process: str, reason: str | None = "Executive") -> Thread:
    home = SERVER_PROCESS if process == "lsass.exe" else 1
    return Thread(VirtAddr(address), VirtAddr(home), process, 600, address & 0xFF, "Waiting", reason)


def machine() -> Bytes:
    memory = Bytes()
    for at, size in ((MESSAGE, 0x60), (PORTS, 0x200), (INFO, 0x20)):
        memory.put(at, bytes(size))
    memory.put(SERVER, bytes([6]) + bytes(7))
    memory.put_u64(SERVER + 8, SERVER + 8, SERVER + 8)
    memory.put_u64(MESSAGE + 8, CLIENT, PORTS + 0x80, 0, SERVER)
    memory.put_u64(INFO + 8, PORTS, PORTS + 0x40, PORTS + 0x80)
    for port in (PORTS, PORTS + 0x40, PORTS + 0x80):
        memory.put_u64(port + 8, INFO)
        memory.put_u64(port + 0x18, SERVER_PROCESS)
    return memory


def read(memory: Bytes, server_reason: str | None = "Executive") -> tuple[list[Lock], list[str]]:
    client = replace(a_thread(CLIENT, "explorer.exe", "WrLpcReply"), alpc_message=VirtAddr(MESSAGE))
    server = a_thread(SERVER, "lsass.exe", server_reason)
    return read_alpc_waits(memory, Names(LAYOUTS), {client.address: client, server.address: server})


def test_the_thread_that_took_the_message_owes_the_reply() -> None:
    (lock,), notes = read(machine())
    assert (lock.kind, lock.address) == (LockKind.ALPC, MESSAGE)
    assert ([h.thread for h in lock.owners], [h.thread for h in lock.waiters]) == ([SERVER], [CLIENT])
    assert lock.description == f"ALPC message at {MESSAGE:#x} to lsass.exe (600)"
    assert notes == []


def test_a_message_that_nobody_took_has_no_owner_but_a_receiver() -> None:
    memory = machine()
    memory.put_u64(MESSAGE + 0x20, 0)
    (lock,), _ = read(memory)
    assert lock.owners == ()
    assert "to lsass.exe (600), which no thread of the receiver has taken yet" in lock.description


@pytest.mark.parametrize("idle", ["WrQueue", "WrLpcReceive"])
def test_a_server_that_went_for_more_work_is_not_to_blame(idle: str) -> None:
    (lock,), _ = read(machine(), idle)
    assert lock.owners == ()
    assert "before it went to wait for more work" in lock.description


def test_a_message_that_another_thread_waits_for_is_a_leftover() -> None:
    memory = machine()
    memory.put_u64(MESSAGE + 8, CLIENT + 0x1000)
    locks, notes = read(memory)
    assert locks == []
    assert notes == ["locks: who should reply to 1 of 1 threads in WrLpcReply cannot be told"]


def test_a_server_thread_that_is_none_owns_nothing() -> None:
    memory = machine()
    memory.put_u64(MESSAGE + 0x20, PORTS)
    assert read(memory)[0][0].owners == ()


def test_every_missing_part_is_a_note_or_less_to_say() -> None:
    for at in (*range(MESSAGE, MESSAGE + 0x60, 8), *range(PORTS, PORTS + 0x100, 8), *range(INFO, INFO + 0x20, 8)):
        memory = machine()
        memory.lose(at, 8)
        locks, notes = read(memory)
        assert len(locks) + len(notes) == 1


def test_a_kernel_without_the_layout_says_so() -> None:
    client = replace(a_thread(CLIENT, "explorer.exe", "WrLpcReply"), alpc_message=VirtAddr(MESSAGE))
    with pytest.raises(MissingLayout):
        read_alpc_waits(machine(), Names({}), {client.address: client})
