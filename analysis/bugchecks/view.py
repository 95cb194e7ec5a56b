"""What a family may ask about the dump: answers, never raw memory."""

from typing import Protocol

from analysis.bugchecks.tables import Parameters
from analysis.formats.image import ExceptionRecord
from analysis.kernel.dpcs import DpcState
from analysis.kernel.facts import Irp, Module, Process, Thread
from analysis.kernel.whea import HardwareError


class View(Protocol):
    """One stopped machine, seen from its bugcheck. Every answer is None where the dump does not hold it."""

    @property
    def raw_code(self) -> int:
        """The code as the header has it."""

    @property
    def parameters(self) -> Parameters:
        """The four parameters."""

    @property
    def architecture(self) -> str:
        """x64, x86 or arm64."""

    @property
    def broken_driver(self) -> str | None:
        """The driver that the kernel itself named when it stopped (KiBugCheckDriver)."""

    def module_at(self, address: int) -> Module | None:
        """The loaded image around an address."""

    def unloaded_at(self, address: int) -> Module | None:
        """The unloaded image that used to be around an address."""

    def symbol(self, address: int) -> str:
        """How an address is printed: "module!Name+0x12", "module+0x1234", or the bare address."""

    def thread(self, address: int) -> Thread | None:
        """The thread whose object is at an address."""

    def process(self, address: int) -> Process | None:
        """The process whose object is at an address."""

    def exit_status(self, address: int) -> int | None:
        """The status with which the process or thread at an address ended; None also where it has not ended."""

    def irp(self, address: int) -> Irp | None:
        """The I/O request at an address."""

    def device_driver(self, address: int) -> str | None:
        """The image name of the driver that owns the device object at an address."""

    def driver_image(self, address: int) -> str | None:
        """The image name of the driver object at an address."""

    def pending_devices(self, block: int) -> tuple[str, ...]:
        """The devices whose Plug and Play requests a 0x9F/4 block shows as sent and not answered, by instance path."""

    def power_requests(self, block: int) -> tuple[int, ...]:
        """Addresses of the power requests that a 0x9F/3 block lists."""

    def exception(self, address: int) -> ExceptionRecord | None:
        """The exception record at an address; 0 asks for the one in the header."""

    def hardware_error(self, address: int) -> HardwareError | None:
        """The hardware error record at an address."""

    def text(self, address: int) -> str | None:
        """The string that an address points to, whichever way it is written."""

    def pool_tag(self, address: int) -> str | None:
        """The tag of the pool block that begins at an address."""

    def function_driver(self, device: int) -> str | None:
        """The image of the lowest driver above the bus in the stack of the device object at an address."""

    def device_behind(self, fx_device: int) -> int | None:
        """The physical device object that a power framework's block (POP_FX_DEVICE) stands for."""

    def instance_path(self, device: int) -> str | None:
        """The instance path of the devnode behind the device object at an address."""

    def lock_owners(self, lock: int) -> tuple[Thread, ...]:
        """The threads that own the lock at an address."""

    def active_dpc(self) -> int | None:
        """The routine of the deferred procedure call that the stopped processor was in."""

    def dpcs(self) -> tuple[DpcState, ...]:
        """The deferred procedure calls of each processor that is in one or has some queued."""

    def driver_of_service(self, beginning: str) -> str | None:
        """The one loaded driver whose name begins with the first letters of its service's name."""

    def held_seconds(self, request: int, block: int) -> float | None:
        """How long a request in a 0x9F/3 block has been outstanding."""
