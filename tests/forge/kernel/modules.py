"""Loaded images: the module list, drivers with invented code, driver objects."""

import uuid
from hashlib import sha256

from tests.forge.image import DATA, DISCARDED, PAGED, TEXT, Image, Section
from tests.forge.kernel.objects import executive_object
from tests.forge.kernel.state import Kernel
from tests.forge.layouts.private import LDR_ENTRY, LDR_ENTRY_SIZE

MICROSOFT = "Microsoft Corporation"
TEXT_SIZE, DATA_SIZE, PAGE_SIZE = 0x4000, 0x1000, 0x2000
DATA_RVA = 0x1000 + TEXT_SIZE
DRIVER_SIZE = 0x10000


def add_driver(
    kernel: Kernel,
    name: str,
    *,
    company: str = MICROSOFT,
    version: tuple[int, int, int, int] | None = None,
    text: int = TEXT_SIZE,
    save_resources: bool = True,
) -> Image:
    """A driver image behind the last one; its functions come into being when a stack names them."""
    digest = sha256(f"{kernel.build} {name}".encode()).digest()
    data = 0x1000 + text
    paged = data + DATA_SIZE
    tables = paged + PAGE_SIZE
    size = tables + 0x6000
    base = kernel.machine.reserve("images", size, 0x10000)
    sections = [
        Section(".text", 0x1000, data, TEXT),
        Section(".data", data, paged, DATA),
        Section("PAGE", paged, tables, PAGED),
        Section(".rdata", tables, size - 0x1000, DATA),
        Section("INIT", size - 0x1000, size, DISCARDED),
    ]
    image = Image(name, base, size, sections, tables=tables)
    image.company = company
    image.version = version or (10, 0, kernel.build, digest[0])
    image.path = f"\\SystemRoot\\System32\\drivers\\{name}"
    image.timestamp = 0x50000000 + int.from_bytes(digest[1:4], "little")
    image.pdb, image.guid = name.rsplit(".", 1)[0] + ".pdb", str(uuid.UUID(bytes=digest[8:24]))
    image.save_resources = save_resources
    kernel.images.append(image)
    for number in range(6):
        image.function(f"sub_{number}")
    return image


def write_module_list(kernel: Kernel) -> None:
    """KLDR_DATA_TABLE_ENTRYs of all images on PsLoadedModuleList, the kernel first."""
    machine = kernel.machine
    for image in kernel.images:
        entry = machine.pool(LDR_ENTRY_SIZE, "MmLd", "small")
        table, size = image.exception_table
        machine.u64(entry + LDR_ENTRY["ExceptionTable"], image.base + table if size else 0)
        machine.u32(entry + LDR_ENTRY["ExceptionTableSize"], size)
        machine.u64(entry + LDR_ENTRY["DllBase"], image.base)
        machine.u64(entry + LDR_ENTRY["EntryPoint"], image.base + 0x1000)
        machine.u32(entry + LDR_ENTRY["SizeOfImage"], image.size)
        machine.unicode(entry + LDR_ENTRY["FullDllName"], image.path)
        machine.unicode(entry + LDR_ENTRY["BaseDllName"], image.name)
        machine.u32(entry + LDR_ENTRY["Flags"], 0x09104000)
        machine.u16(entry + LDR_ENTRY["LoadCount"], 1)
        machine.u32(entry + LDR_ENTRY["CheckSum"], image.checksum)
        stamp = "TimeDateStampOld" if kernel.major < 9600 else "TimeDateStamp"
        machine.u32(entry + LDR_ENTRY[stamp], image.timestamp)
        machine.list_append(kernel.symbol("PsLoadedModuleList"), entry)


def add_driver_object(kernel: Kernel, image: Image, service: str) -> int:
    """A DRIVER_OBJECT for an image."""
    machine = kernel.machine
    address = executive_object(kernel, "Driver", machine.layouts.size("_DRIVER_OBJECT") + 0x60, "Driv")
    extension = address + machine.layouts.size("_DRIVER_OBJECT")
    machine.put(
        "_DRIVER_OBJECT",
        address,
        Type=4,
        Size=0x150,
        DriverStart=image.base,
        DriverSize=image.size,
        DriverExtension=extension,
    )
    machine.unicode(machine.at("_DRIVER_OBJECT", address, "DriverName"), f"\\Driver\\{service}")
    machine.put("_DRIVER_EXTENSION", extension, DriverObject=address)
    machine.unicode(machine.at("_DRIVER_EXTENSION", extension, "ServiceKeyName"), service)
    dispatch = image.base + image.function("Dispatch").rva
    for index in range(28):
        machine.u64(machine.at("_DRIVER_OBJECT", address, "MajorFunction") + 8 * index, dispatch)
    return address
