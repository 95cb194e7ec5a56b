"""The bugcheck families' view of a dump, answered from its scene; with no scene, from the header alone."""

import struct

from analysis.bugchecks.tables import Parameters
from analysis.errors import Unreadable
from analysis.formats.image import DumpImage, ExceptionRecord
from analysis.kernel.facts import Irp, Module, Process, Thread
from analysis.verdict.surroundings import Surroundings

# EXCEPTION_RECORD64: code, flags, a link to another record, address, number of parameters, fifteen parameters.
EXCEPTION_RECORD = struct.Struct("<IIQQI4x15Q")


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
