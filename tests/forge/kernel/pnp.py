"""Plug and play: the event list with its entries, the completion queue, the block a 0x9F stop hands out."""

import struct
import uuid

from tests.forge.kernel.objects import dispatcher, event, mutant, semaphore
from tests.forge.kernel.state import Kernel, Thread

SURPRISE_REMOVAL_GUID = uuid.UUID("ce5af000-80dd-11d2-a88d-00a0c9696b4b")  # GUID_DEVICE_SURPRISE_REMOVAL, wdmguid.h
TARGET_DEVICE_CHANGE = 1
TRIAGE_9F_PNP = 0x8001


def write_event_list(kernel: Kernel, worker: Thread | None) -> int:
    """PnpDeviceEventList with its mutex, owned by the worker that handles an event, and its fast mutex."""
    machine = kernel.machine
    address = machine.pool(machine.layouts.size("_PNP_DEVICE_EVENT_LIST"), "Pp  ", "large")
    machine.u64(kernel.symbol("PnpDeviceEventList"), address)
    mutant(
        kernel,
        worker.address if worker else 0,
        address=machine.at("_PNP_DEVICE_EVENT_LIST", address, "EventQueueMutex"),
    )
    lock = machine.at("_PNP_DEVICE_EVENT_LIST", address, "Lock")
    machine.put("_FAST_MUTEX", lock, Count=1)
    event(kernel, address=machine.at("_FAST_MUTEX", lock, "Event"))
    machine.list_head(machine.at("_PNP_DEVICE_EVENT_LIST", address, "List"))
    return address


def add_event(kernel: Kernel, event_list: int, instance_path: str, device: int) -> int:
    """A surprise-removal event for a device, at the tail of the list."""
    machine = kernel.machine
    ids = (instance_path + "\0\0").encode("utf-16-le")
    entry = machine.pool(machine.layouts.size("_PNP_DEVICE_EVENT_ENTRY") + len(ids), "PnpE", "large")
    data = machine.at("_PNP_DEVICE_EVENT_ENTRY", entry, "Data")
    machine.write(data, SURPRISE_REMOVAL_GUID.bytes_le)
    machine.put(
        "_PLUGPLAY_EVENT_BLOCK",
        data,
        EventCategory=TARGET_DEVICE_CHANGE,
        TotalSize=0x30 + len(ids),
        DeviceObject=device,
    )
    machine.write(machine.at("_PLUGPLAY_EVENT_BLOCK", data, "u"), ids)
    machine.list_append(
        machine.at("_PNP_DEVICE_EVENT_LIST", event_list, "List"),
        machine.at("_PNP_DEVICE_EVENT_ENTRY", entry, "ListEntry"),
    )
    return entry


def write_completion_queue(kernel: Kernel, nodes: list[int]) -> int:
    """PnpDeviceCompletionQueue with one dispatched request for each devnode."""
    machine = kernel.machine
    queue = kernel.symbol("PnpDeviceCompletionQueue")
    head = machine.at("_PNP_DEVICE_COMPLETION_QUEUE", queue, "DispatchedList")
    machine.list_head(head)
    machine.list_head(machine.at("_PNP_DEVICE_COMPLETION_QUEUE", queue, "CompletedList"))
    semaphore(kernel, address=machine.at("_PNP_DEVICE_COMPLETION_QUEUE", queue, "CompletedSemaphore"))
    machine.put("_PNP_DEVICE_COMPLETION_QUEUE", queue, DispatchedCount=len(nodes))
    for node in nodes:
        request = machine.pool(machine.layouts.size("_PNP_DEVICE_COMPLETION_REQUEST"), "Pncr", "large")
        machine.put("_PNP_DEVICE_COMPLETION_REQUEST", request, DeviceNode=node, IrpPended=1)
        machine.list_append(head, machine.at("_PNP_DEVICE_COMPLETION_REQUEST", request, "ListEntry"))
    return queue


def write_work_queue(kernel: Kernel) -> None:
    """ExWorkerQueue: a queue object without work."""
    queue = kernel.symbol("ExWorkerQueue")
    dispatcher(kernel, queue, 21 if kernel.major >= 14393 else 4, 0x2B0)


def triage_9f_pnp(kernel: Kernel, address: int) -> None:
    """TRIAGE_9F_PNP at an address (a local of the function that stops the machine)."""
    machine = kernel.machine
    fields = [kernel.symbol("PnpDeviceCompletionQueue"), kernel.symbol("ExWorkerQueue"), 0]
    machine.write(address, struct.pack("<HH4xQQQ", TRIAGE_9F_PNP, 1, *fields))
