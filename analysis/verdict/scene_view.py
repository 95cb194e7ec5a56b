"""The bugcheck families' view of a dump, answered from its scene; with no scene, from the header alone."""

import struct

from analysis.address import VirtAddr
from analysis.bugchecks.tables import Parameters
from analysis.errors import MissingLayout, Unreadable
from analysis.formats.image import DumpImage, ExceptionRecord
from analysis.kernel.context import context_registers
from analysis.kernel.dpcs import DpcState, active_routine, read_dpcs, stopped_processor
from analysis.kernel.facts import Irp, Module, Process, Thread
from analysis.kernel.strings import read_text
from analysis.kernel.whea import HardwareError, read_record
from analysis.verdict.modules import stem
from analysis.verdict.surroundings import Surroundings

# EXCEPTION_RECORD64: code, flags, a link to another record, address, number of parameters, fifteen parameters.
EXCEPTION_RECORD = struct.Struct("<IIQQI4x15Q")

# POOL_HEADER: 16 bytes in front of every block that is smaller than a page; the tag is at 4 (public symbols of nt).
POOL_HEADER, POOL_TAG, POOL_GRAIN = 0x10, 4, 0x10
LEAST_TAG = 3  # letters
STATUS_PENDING = 0x103


class SceneView:
    """Implements ``analysis.bugchecks.view.View``. What cannot be read is None, never an error."""

    def __init__(self, image: DumpImage, surroundings: Surroundings | None) -> None:
        self._image = image
        self._surroundings = surroundings
        self._scene = surroundings.scene if surroundings else None

    @property
    def raw_code(self) -> int:
        """The code as the header has it."""
        return self._image.header.code

    @property
    def parameters(self) -> Parameters:
        """The four parameters."""
        return self._image.header.parameters

    @property
    def architecture(self) -> str:
        """x64 or arm64."""
        return self._image.header.architecture

    @property
    def broken_driver(self) -> str | None:
        """The name in the small dump's header, or what nt!KiBugCheckDriver points to."""
        if self._image.triage is not None and self._image.triage.broken_driver:
            return self._image.triage.broken_driver
        if self._scene is None:
            return None
        pointer = self._scene.symbols.address("KiBugCheckDriver")
        if pointer is None:
            return None
        try:
            string = self._scene.memory.u64(pointer)
            return (self._scene.memory.unicode_string(string) or None) if string else None
        except Unreadable:
            return None

    def module_at(self, address: int) -> Module | None:
        """The loaded image around an address."""
        return self._scene.module_at(address) if self._scene else None

    def unloaded_at(self, address: int) -> Module | None:
        """The unloaded image that used to be around an address; the most recent one first."""
        return self._scene.unloaded_at(address) if self._scene else None

    def symbol(self, address: int) -> str:
        """How an address is printed."""
        return self._scene.symbol(address) if self._scene else f"{address:#x}"

    def thread(self, address: int) -> Thread | None:
        """The thread whose object is at an address."""
        return self._scene.thread(address) if self._scene else None

    def process(self, address: int) -> Process | None:
        """The process whose object is at an address."""
        return self._scene.process(address) if self._scene else None

    def exit_status(self, address: int) -> int | None:
        """The status with which a process or a thread ended; STATUS_PENDING stands there as long as it lives."""
        if self._scene is None or (self.process(address) is None and self.thread(address) is None):
            return None
        kind = "_EPROCESS" if self.process(address) is not None else "_ETHREAD"
        try:
            status = self._scene.symbols.struct(self._scene.memory, kind, address).u32("ExitStatus")
        except (Unreadable, MissingLayout, KeyError):
            return None
        return None if status == STATUS_PENDING else status

    def irp(self, address: int) -> Irp | None:
        """The I/O request at an address."""
        return self._surroundings.irp(address) if self._surroundings and address else None

    def device_driver(self, address: int) -> str | None:
        """The image name of the driver that owns the device object at an address."""
        return self._surroundings.device_driver(address) if self._surroundings and address else None

    def driver_image(self, address: int) -> str | None:
        """The image name of the driver object at an address."""
        return self._surroundings.driver_image(address) if self._surroundings and address else None

    def pending_devices(self, block: int) -> tuple[str, ...]:
        """The devices whose Plug and Play requests the block shows as sent and not answered, by instance path."""
        if self._surroundings is None:
            return ()
        nodes = self._surroundings.unanswered(block)
        return tuple(node.instance_path or f"devnode {node.address:#x}" for node in nodes)

    def power_requests(self, block: int) -> tuple[int, ...]:
        """Addresses of the power requests that a 0x9F/3 block lists."""
        return self._surroundings.power_requests(block) if self._surroundings else ()

    def exception(self, address: int) -> ExceptionRecord | None:
        """The exception record at an address; 0 asks for the one in the header."""
        if not address or self._scene is None:
            return self._image.header.exception
        try:
            raw = self._scene.memory.read(address, EXCEPTION_RECORD.size)
        except Unreadable:
            return None
        code, flags, _, at, count, *parameters = EXCEPTION_RECORD.unpack(raw)
        return ExceptionRecord(code, flags, at, tuple(parameters[: min(count, len(parameters))]))

    def hardware_error(self, address: int) -> HardwareError | None:
        """The hardware error record at an address."""
        return read_record(self._scene.memory, address) if self._scene else None

    def text(self, address: int) -> str | None:
        """The string that an address points to, whichever way it is written."""
        return read_text(self._scene.memory, address) if self._scene else None

    def pool_tag(self, address: int) -> str | None:
        """The tag in the header in front of a pool block; None where none is printable."""
        if self._scene is None or not self._scene.memory.is_kernel(address) or address % POOL_GRAIN:
            return None
        try:
            tag = self._scene.memory.read(address - POOL_HEADER + POOL_TAG, 4)
        except Unreadable:
            return None
        text = tag.rstrip(b" \0")
        printable = len(text) >= LEAST_TAG and all(0x20 < byte < 0x7F for byte in text)
        return text.decode("ascii") if printable else None

    def function_driver(self, device: int) -> str | None:
        """The lowest driver above the bus in a device stack."""
        return self._surroundings.function_driver(device) if self._surroundings and device else None

    def device_behind(self, fx_device: int) -> int | None:
        """The physical device of a power framework's block."""
        return self._surroundings.device_behind(fx_device) if self._surroundings and fx_device else None

    def instance_path(self, device: int) -> str | None:
        """The instance path of a device object's devnode."""
        return self._surroundings.instance_path(device) if self._surroundings and device else None

    def lock_owners(self, lock: int) -> tuple[Thread, ...]:
        """The threads that own a lock."""
        found = self._scene.facts.locks.get(VirtAddr(lock)) if self._scene else None
        owners = (self.thread(held.thread) for held in found.owners) if found else ()
        return tuple(owner for owner in owners if owner is not None)

    def active_dpc(self) -> int | None:
        """The routine of the DPC that the stopped processor was in."""
        registers = context_registers(self._image.header.context)
        if self._scene is None or registers is None:
            return None
        memory, names, triage = self._scene.memory, self._scene.symbols, self._image.triage
        prcb = stopped_processor(memory, names, self._image.header.processors, registers.rsp)
        if prcb is None and triage is not None and triage.prcb is not None and triage.prcb.address:
            prcb = VirtAddr(triage.prcb.address)
        return active_routine(memory, names, prcb) if prcb is not None else None

    def dpcs(self) -> tuple[DpcState, ...]:
        """The deferred procedure calls of each processor that is in one or has some queued."""
        if self._scene is None:
            return ()
        return read_dpcs(self._scene.memory, self._scene.symbols, self._image.header.processors)

    def driver_of_service(self, beginning: str) -> str | None:
        """The one driver whose name begins like its service's; None where there is none or more than one."""
        modules = self._scene.facts.modules if self._scene else ()
        found = {one.name for one in modules if stem(one.name).startswith(beginning.lower())}
        return found.pop() if len(found) == 1 else None

    def held_seconds(self, request: int, block: int) -> float | None:
        """How long a power request has been outstanding."""
        return self._surroundings.held_seconds(request, block) if self._surroundings else None
