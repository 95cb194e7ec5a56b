"""Processes that crashed or hang, for the tests."""

import struct

from tests.forge.minidump import (
    EXE,
    NTDLL,
    Fault,
    Minidump,
    Module,
    Thread,
    context_x64,
    image_x64,
)

AV = 0xC0000005
STACK = 0x7F_0000
PLUGIN = 0x1_8000_0000
CALL = b"\xe8\0\0\0\0"
SYSTEM32 = "C:\\Windows\\System32\\"
OWN = (10, 0, 19041, 804)
SECTION = 0x55_0000

MODULES = (
    Module("C:\\Program Files\\Acme\\Acme.exe", EXE, version=(1, 2, 3, 4), pdb=("acme.pdb", bytes(range(16)), 2)),
    Module(f"{SYSTEM32}ntdll.dll", NTDLL, version=OWN),
    Module(f"{SYSTEM32}rpcss.dll", NTDLL + 0x10_0000, version=OWN),
    Module(f"{SYSTEM32}hook.dll", NTDLL + 0x20_0000, version=(3, 1, 0, 0)),
    Module("C:\\Program Files\\Acme\\plugin.dll", PLUGIN, version=(9, 8, 7, 6)),
)

# sub rsp, 28h; call; add rsp, 28h; ret
WITH_CALL = b"\x48\x83\xec\x28" + CALL + b"\x90\x48\x83\xc4\x28\xc3"
STUB = b"\x4c\x8b\xd1\xb8\x04\0\0\0\x0f\x05\xc3"


def words(*values: int) -> bytes:
    """A stack of 64-bit words."""
    return struct.pack(f"<{len(values)}Q", *values)


def crash(
    rip: int, *stack: int, code: int = AV, parameters: tuple[int, ...] = (0, 0x10), **changes: object
) -> Minidump:
    """A crash of thread 7 at ``rip`` with these words on its stack."""
    context = context_x64(rip=rip, rsp=STACK)
    made = Minidump(
        modules=MODULES,
        threads=[Thread(7, (STACK, words(*stack, 0, 0)), context, name="worker")],
        fault=Fault(7, code, rip, parameters, context),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def unwindable() -> Minidump:
    """plugin!Parse crashed, called from acme!Run; code, unwind data and exports of both are in the dump."""
    acme = image_x64([("Run", 0x1100, WITH_CALL, 0x28)])
    plugin = image_x64([("Parse", 0x1200, WITH_CALL, 0x28)])
    # Parse's 0x28 bytes hold a stale address of hook.dll; then comes Run's return, its 0x28 bytes, and the bottom.
    stack = (NTDLL + 0x20_1234, 0, 0, 0, 0, EXE + 0x1109, 0, 0, 0, 0, 0, 0)
    return crash(PLUGIN + 0x1209, *stack, memory={EXE: acme, PLUGIN: plugin}, full_memory=True)


def waiting(tid: int, at: int, *stack: int) -> Thread:
    """A thread in the stub of NtWaitForAlertByThreadId, with these words on its stack."""
    return Thread(tid, (at, words(*stack, 0, 0)), context_x64(rip=NTDLL + 0x1108 + 2, rsp=at))


def section(owner: int, waiters: int) -> bytes:
    """A critical section without a debug record."""
    return struct.pack("<QiiQQQ", 0xFFFF_FFFF_FFFF_FFFF, ~(waiters << 2 | 1), 1, owner, 0, 0)


def hang(*threads: Thread, sections: dict[int, bytes] | None = None) -> Minidump:
    """A process without a failure."""
    ntdll = image_x64([("NtWaitForAlertByThreadId", 0x1100, STUB, -1)])
    memory = {NTDLL: ntdll, **(sections or {})}
    return Minidump(modules=MODULES, threads=threads, memory=memory, full_memory=True)


def dispatched() -> Minidump:
    """acme!Run failed and its exception was dispatched: the dispatcher runs on a machine frame on the same stack."""
    acme = image_x64([("Run", 0x1100, WITH_CALL, 0x28)])
    ntdll = bytearray(image_x64([("KiUserExceptionDispatcher", 0x1100, WITH_CALL, 0)]))
    ntdll[0x2800:0x2806] = struct.pack("<BBBBBB", 1, 0, 1, 0, 0, 0x0A)  # UWOP_PUSH_MACHFRAME
    interrupted = (EXE + 0x1109, 0x33, 0x246, STACK + 0x28, 0x2B)
    stack = (*interrupted, 0, 0, 0, 0, 0, EXE + 0x1109, 0, 0, 0, 0, 0, 0)
    return crash(NTDLL + 0x1109, *stack, memory={EXE: acme, NTDLL: bytes(ntdll)}, full_memory=True)
