"""The device a thread works on, from events, queues, requests, registers and stack words."""

import struct
import uuid

import pytest

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame, Stack, Thread
from analysis.kernel.pnp import completion_nodes, power_requests, read_events
from analysis.kernel.working_on import DeviceFinder, event_target
from analysis.trust import Trust
from tests.kernel.devices_in_memory import World, miniport
from tests.kernel.invented import Names, layout

THREAD = 0xFFFF_A000_7000_0000
STACK = 0xFFFF_9000_0000_0000
SURPRISE = uuid.UUID("ce5af000-80dd-11d2-a88d-00a0c9696b4b")


def names() -> Names:
    return Names(
        {
            "_PNP_DEVICE_EVENT_LIST": layout("_PNP_DEVICE_EVENT_LIST", 0x88, EventQueueMutex=8, List=0x78),
            "_KMUTANT": layout("_KMUTANT", 0x38, OwnerThread=0x28),
            "_PNP_DEVICE_EVENT_ENTRY": layout("_PNP_DEVICE_EVENT_ENTRY", 0xC0, ListEntry=0, Data=0x70),
            "_PLUGPLAY_EVENT_BLOCK": layout(
                "_PLUGPLAY_EVENT_BLOCK", 0x50, EventGuid=0, TotalSize=0x24, DeviceObject=0x28, u=0x30
            ),
            "_DEVICE_NODE": layout(
                "_DEVICE_NODE", 0x310, Sibling=0, Child=8, Parent=0x10, PhysicalDeviceObject=0x20, InstancePath=0x28,
                ServiceName=0x38, State=0x12C,
            ),
        }
    )  # fmt: skip


def add_events(world: World, owner: int, *targets: tuple[int, str]) -> list[int]:
    events, pointer = world.room(0x88), world.room(8)
    world.names.symbols["PnpDeviceEventList"] = pointer
    world.memory.put_u64(pointer, events)
    world.memory.put_u64(events + 8 + 0x28, owner)
    entries = []
    for device, path in targets:
        text = path.encode("utf-16-le") + bytes(4)
        entry = world.room(0xC0 + len(text))
        world.memory.put(entry + 0x70, SURPRISE.bytes_le)
        world.memory.put(entry + 0x70 + 0x24, struct.pack("<IQ", 0x30 + len(text), device))
        world.memory.put(entry + 0x70 + 0x30, text)
        entries.append(entry)
    world.memory.link(events + 0x78, *entries)
    return entries


def thread(irps: tuple[int, ...] = ()) -> Thread:
    return Thread(
        VirtAddr(THREAD), VirtAddr(THREAD + 0x1000), "System", 4, 8, "Waiting",
        stack_base=VirtAddr(STACK + 0x1000), irps=tuple(VirtAddr(irp) for irp in irps),
    )  # fmt: skip


def stack(world: World, *frames: tuple[str, str | None], words: tuple[int, ...] = (), **registers: int) -> Stack:
    world.memory.put(STACK, bytes(0x1000))
    world.memory.put_u64(STACK + 0x100, *words)
    made = tuple(
        Frame(VirtAddr(0xFFFF_F800_0000_0000 + at), symbol, module, Trust.UNWIND, VirtAddr(STACK + 0x40 + at * 8))
        for at, (symbol, module) in enumerate(frames)
    )
    return Stack(made, "", (registers, *[{}] * (len(made) - 1)))


PLAIN = (("nt!KiSwapContext+0x45", "ntoskrnl.exe"), ("other+0x10", "other.sys"))
IN_DRIVER = (("nt!KiSwapContext+0x45", "ntoskrnl.exe"), ("probe+0x10", "probe.sys"))


def find(world: World, on: Stack, of: Thread | None = None, pending: int = 0) -> list[tuple[str | None, Trust]]:
    nodes = [found] if pending and (found := world.devices.node(pending)) else []
    finder = DeviceFinder(world.memory, world.names, world.devices, nodes)
    return [(one.node.instance_path, one.trust) for one in finder.worked_on(of or thread(), on)]


def test_the_event_that_this_very_thread_handles_is_read_from_the_kernels_list() -> None:
    world = World(names())
    _, pdo, _ = miniport(world, r"SWD\MSRRAS\MS_PPPOEMINIPORT", state=0x313)
    add_events(world, THREAD | 1, (pdo, "unused"))
    finder = DeviceFinder(world.memory, world.names, world.devices)
    (best,) = finder.worked_on(thread(), stack(world, *IN_DRIVER))
    assert (best.driver, best.name, best.trust) == ("probe.sys", "WAN Miniport (PPPOE)", Trust.STRUCTURE)
    assert best.being_removed
    assert "surprise removal" in best.why[0]
    assert any("probe.sys is on this thread's stack" in why for why in best.why)


def test_an_event_of_another_worker_is_not_this_threads() -> None:
    world = World(names())
    _, pdo, _ = miniport(world)
    add_events(world, THREAD + 0x4000, (pdo, "unused"))
    assert find(world, stack(world, *PLAIN)) == []
    worker = (("nt!PnpDeviceEventWorker+0x20", "ntoskrnl.exe"),)
    assert find(world, stack(world, *worker)) == [(r"ROOT\PROBE\0000", Trust.UNWIND)]


def test_events_keep_their_order_and_their_own_text_where_the_device_is_gone() -> None:
    world = World(names())
    _, pdo, _ = miniport(world)
    add_events(world, 0, (0xFFFF_A000_9999_0000, r"USB\VID_1234&PID_5678\6&1"), (pdo, "not a path"))
    events = read_events(world.memory, world.names, world.devices)
    assert events is not None
    assert events.worker is None
    assert [event.instance_path for event in events.events] == [r"USB\VID_1234&PID_5678\6&1", None]
    assert [event.node is not None for event in events.events] == [False, True]
    target = event_target(events)
    assert target is not None
    assert target.node.instance_path == r"USB\VID_1234&PID_5678\6&1"
    assert read_events(world.memory, Names(), world.devices) is None


def test_a_register_goes_before_a_stack_word_and_each_keeps_its_trust() -> None:
    world = World(names())
    _, _, first = miniport(world, r"ROOT\FIRST\0000")
    second, _, _ = miniport(world, r"ROOT\SECOND\0000")
    found = find(world, stack(world, *PLAIN, words=(first,), rbx=second))
    assert found == [(r"ROOT\SECOND\0000", Trust.UNWIND), (r"ROOT\FIRST\0000", Trust.SCAN)]


def test_the_device_whose_driver_runs_on_the_stack_goes_first() -> None:
    world = World(names())
    bus = world.device(world.driver("bus.sys", r"\Driver\Bus"))
    world.node(bus, r"ROOT\BUS\0000")
    _, _, fdo = miniport(world)
    assert find(world, stack(world, *IN_DRIVER, words=(bus, fdo)))[0] == (r"ROOT\PROBE\0000", Trust.SCAN)


def test_a_request_on_the_stack_and_one_of_the_threads_own() -> None:
    world = World(names())
    _, pdo, fdo = miniport(world)
    irp = world.irp([fdo, pdo], current=1)
    assert find(world, stack(world, *PLAIN, words=(irp,))) == [(r"ROOT\PROBE\0000", Trust.SCAN)]
    assert find(world, stack(world, *PLAIN), thread((irp,))) == [(r"ROOT\PROBE\0000", Trust.STRUCTURE)]


def test_an_unanswered_request_counts_only_for_the_thread_that_its_driver_runs_on() -> None:
    world = World(names())
    node, _, _ = miniport(world)
    assert find(world, stack(world, *PLAIN), pending=node) == []
    assert find(world, stack(world, *IN_DRIVER), pending=node) == [(r"ROOT\PROBE\0000", Trust.UNWIND)]


def test_a_driver_of_one_device_tells_which_and_a_driver_of_two_does_not() -> None:
    world = World(names())
    bus = world.driver("bus.sys", r"\Driver\Bus")
    root = world.node(world.device(bus), r"HTREE\ROOT\0")
    pointer = world.room(8)
    world.memory.put_u64(pointer, root)
    world.names.symbols["IopRootDeviceNode"] = pointer
    miniport(world, parent=root)
    assert find(world, stack(world, *IN_DRIVER)) == [(r"ROOT\PROBE\0000", Trust.UNWIND)]
    assert find(world, stack(world, *PLAIN)) == []
    miniport(world, r"ROOT\PROBE\0001", parent=root)
    assert find(world, stack(world, *IN_DRIVER)) == []


def test_pointers_to_freed_or_foreign_memory_are_nothing() -> None:
    world = World(names())
    node, pdo, fdo = miniport(world)
    world.memory.put_u16(fdo, 0x4141)
    world.memory.put_u64(world.memory.u64(pdo + 0x138) + 0x28, 0)
    assert find(world, stack(world, *PLAIN, words=(fdo, node, STACK + 0x20, 0xFFFF_FFFF_FFFF_FFF8))) == []


@pytest.mark.parametrize("signature", [0x8001, 0x8000, 0x1234])
def test_the_blocks_of_a_power_stop_are_told_by_their_signature(signature: int) -> None:
    world = World(names())
    node, pdo, _ = miniport(world)
    head, request = world.room(0x10), world.room(0x40)
    world.memory.link(head, request)
    world.memory.put_u64(request + 0x10, node if signature == 0x8001 else 0xFFFF_A000_8888_0000, pdo)
    block = world.room(0x28)
    world.memory.put(block, struct.pack("<HHIQ", signature, 1, 0, head))
    nodes, requests = completion_nodes(world.memory, world.devices, block), power_requests(world.memory, block)
    assert [one.address for one in nodes] == ([node] if signature == 0x8001 else [])
    assert [(one.irp, one.physical_device) for one in requests] == (
        [(0xFFFF_A000_8888_0000, pdo)] if signature == 0x8000 else []
    )
    for stray in (0, 0x1000, 0xFFFF_A000_9999_0000):
        assert completion_nodes(world.memory, world.devices, stray) == ()
        assert power_requests(world.memory, stray) == ()
