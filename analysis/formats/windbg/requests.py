"""Requests and devices as !irp, !devstack, !devobj and !devnode print them.

Where the command's own line was not copied along, a request's address follows from that of its current location, which
!irp prints: the locations lie right behind the request, from number 1 on (sizes of IRP and IO_STACK_LOCATION: wdm.h).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from analysis.formats.windbg.facts import PrintedDevice, PrintedIrp
from analysis.formats.windbg.patterns import ADDRESS, HEX, PROMPT, number

MAX_REQUESTS = 1024
_ASKED = re.compile(rf"!irp\s+({HEX})", re.IGNORECASE)
_ACTIVE = re.compile(rf"\s*Irp is active with \d+ stacks? (\d{{1,3}}) is current(?: \(= ({HEX})\))?")
_SIZES_64, _SIZES_32 = (0xD0, 0x48), (0x70, 0x24)  # bytes of an IRP and of an IO_STACK_LOCATION
_THREAD = re.compile(rf"Thread ({ADDRESS}):\s+Irp stack trace")
_CURRENT = re.compile(
    r"\s*>\s*\[\s*(?:IRP_M[JN]_\w+\()?([0-9a-fA-F]{1,2})\)?,\s*(?:\w+/?\w*\()?([0-9a-fA-F]{1,2})\)?\]\s*(.*)$"
)
_PLACE = re.compile(rf"\s*[0-9a-fA-F]{{1,2}}\s+[0-9a-fA-F]{{1,2}}\s+({ADDRESS})\s")
_DRIVER = re.compile(r"\s*(\\(?:Driver|FileSystem)\\\S{1,100})")
_STACK_LINE = re.compile(rf"\s*(>?)\s*({ADDRESS})\s+(\\(?:Driver|FileSystem)\\\S{{1,100}})")
_STACK_HEAD = re.compile(r"\s*!DevObj\s+!DrvObj", re.IGNORECASE)
_OBJECT = re.compile(rf"\s*Device object \(({ADDRESS})\) is for:")
_OBJECT_DRIVER = re.compile(rf"(\\(?:Driver|FileSystem)\\\S{{1,100}})\s+DriverObject\s+{ADDRESS}")
_INSTANCE = re.compile(r"(?:DeviceInst is|InstancePath(?: is)?)\s+\"([^\"]{1,300})\"")
_SERVICE = re.compile(r"ServiceName(?: is)?\s+\"([^\"]{1,100})\"")


def read_irps(lines: Sequence[str]) -> tuple[PrintedIrp, ...]:
    """Every request that !irp shows, at its current location."""
    found: dict[int, PrintedIrp] = {}
    asked: int | None = None
    for index, line in enumerate(lines):
        prompt = PROMPT.match(line)
        if prompt:
            command = _ASKED.search(prompt[1])
            asked = number(command[1]) if command else None
        elif (active := _ACTIVE.match(line)) and len(found) < MAX_REQUESTS:
            address = asked or _address(active)
            if address is not None and address not in found:
                found[address] = _irp(address, lines[index : index + 120])
            asked = None
    return tuple(found.values())


def _address(active: re.Match[str]) -> int | None:
    place = number(active[2]) if active[2] else 0
    whole, location = _SIZES_64 if place >= 1 << 32 else _SIZES_32
    address = place - whole - (int(active[1]) - 1) * location
    return address if place and int(active[1]) and address > 0 else None


def _irp(address: int, lines: Sequence[str]) -> PrintedIrp:
    irp = PrintedIrp(address)
    for index, line in enumerate(lines):
        if PROMPT.match(line):
            break
        if told := _THREAD.search(line):
            irp = replace(irp, thread=number(told[1]))
        current = _CURRENT.match(line)
        if not current:
            continue
        irp = replace(irp, major=int(current[1], 16), minor=int(current[2], 16))
        for near in (current[3], *lines[index + 1 : index + 4]):
            if near.lstrip().startswith(("[", ">")):
                break
            if (place := _PLACE.match(near)) and irp.device is None:
                irp = replace(irp, device=number(place[1]) or None)
            if (driver := _DRIVER.match(near)) and irp.driver is None:
                irp = replace(irp, driver=driver[1])
        break
    return irp


def read_devices(lines: Sequence[str]) -> tuple[PrintedDevice, ...]:
    """Device objects with their drivers; those of one !devstack know their stack, the lowest first, and its node."""
    found: dict[int, PrintedDevice] = {}
    for index, line in enumerate(lines):
        if _STACK_HEAD.match(line):
            for device in _stack(lines[index + 1 : index + 40]):
                found[device.address] = device
        elif (told := _OBJECT.match(line)) and number(told[1]) not in found:
            driver = _OBJECT_DRIVER.search(" ".join(lines[index : index + 3]))
            if driver:
                found[number(told[1])] = PrintedDevice(number(told[1]), driver[1])
        if len(found) >= MAX_REQUESTS:
            break
    return tuple(found.values())


def _stack(lines: Sequence[str]) -> list[PrintedDevice]:
    devices: list[PrintedDevice] = []
    instance = service = None
    for line in lines:
        if PROMPT.match(line) or _STACK_HEAD.match(line):
            break
        if told := _STACK_LINE.match(line):
            devices.append(PrintedDevice(number(told[2]), told[3]))
        if instance is None and (told := _INSTANCE.search(line)):
            instance = told[1]
        if service is None and (told := _SERVICE.search(line)):
            service = told[1]
    order = tuple(device.address for device in reversed(devices))  # printed from the top down
    return [replace(device, stack=order, instance_path=instance, service=service) for device in devices]
