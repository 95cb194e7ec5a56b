"""A wrong name is worse than none."""

from dataclasses import dataclass, field

from analysis.address import VirtAddr
from analysis.kernel.facts import Module
from analysis.kernel.symbolize import Symbolizer
from analysis.symbols.layout import Layout

NT = 0xFFFF_F800_1000_0000
DRIVER = 0xFFFF_F800_2000_0000
MODULES = (Module("probe-x.sys", VirtAddr(DRIVER), 0x8000), Module("ntoskrnl.exe", VirtAddr(NT), 0x10_0000))
GONE = (Module("gone.sys", VirtAddr(0xFFFF_F800_3000_0000), 0x4000, unloaded=True),)


@dataclass
class Kernel:
    exact: bool
    symbols: dict[str, int] = field(default_factory=lambda: {"KeBugCheckEx": NT + 0x1000, "PiEngineLock": NT + 0x5000})
    names: None = None

    def name_at(self, address: int) -> str | None:
        return next((name for name, at in self.symbols.items() if at == address), None)

    def nearest(self, address: int) -> tuple[str, int] | None:
        below = [(address - at, name) for name, at in self.symbols.items() if at <= address]
        return (min(below)[1], min(below)[0]) if below else None


@dataclass
class Table:
    has_functions: bool
    origin: str = "test"

    def rva(self, name: str) -> int | None:
        return None

    def nearest(self, rva: int) -> tuple[str, int] | None:
        return ("DriverEntry", rva - 0x1000) if rva >= 0x1000 else None

    def layout(self, name: str) -> Layout | None:
        return None


def test_the_kernels_own_table_names_functions_and_variables() -> None:
    names = Symbolizer(Kernel(exact=True), MODULES)
    assert names.name(NT + 0x1012) == "nt!KeBugCheckEx+0x12"
    assert names.name(NT + 0x5000) == "nt!PiEngineLock"
    assert names.name(NT + 0x10) == "nt+0x10"


def test_without_that_table_only_an_exact_hit_is_named() -> None:
    names = Symbolizer(Kernel(exact=False), MODULES)
    assert names.name(NT + 0x1000) == "nt!KeBugCheckEx"
    assert names.name(NT + 0x1012) == "nt+0x1012"


def test_a_name_too_far_below_names_nothing() -> None:
    assert Symbolizer(Kernel(exact=True), MODULES).name(NT + 0x5000 + 0x1_0000) == "nt+0x15000"


def test_a_driver_is_named_by_its_module_without_extension() -> None:
    names = Symbolizer(Kernel(exact=True), MODULES)
    assert names.name(DRIVER + 0x334C) == "probe-x+0x334c"
    assert names.name(DRIVER) == "probe-x"


def test_a_drivers_exports_name_only_their_own_start_but_its_pdb_names_functions() -> None:
    exports = Symbolizer(Kernel(exact=True), MODULES, tables={DRIVER: Table(has_functions=False)})
    assert exports.name(DRIVER + 0x1000) == "probe-x!DriverEntry"
    assert exports.name(DRIVER + 0x1004) == "probe-x+0x1004"
    full = Symbolizer(Kernel(exact=True), MODULES, tables={DRIVER: Table(has_functions=True)})
    assert full.name(DRIVER + 0x1004) == "probe-x!DriverEntry+0x4"


def test_an_unloaded_driver_is_marked_unless_something_was_loaded_over_it() -> None:
    names = Symbolizer(Kernel(exact=True), MODULES, GONE)
    assert names.name(0xFFFF_F800_3000_1234) == "gone.sys!Unloaded+0x1234"
    over = (Module("late.sys", VirtAddr(0xFFFF_F800_3000_0000), 0x2000),)
    assert Symbolizer(Kernel(exact=True), over, GONE).name(0xFFFF_F800_3000_1234) == "late+0x1234"


def test_an_address_in_no_image_is_printed_as_it_is() -> None:
    assert Symbolizer(Kernel(exact=True), ()).name(0x1234) == "0x1234"


def test_c_plus_plus_names_are_shown_short() -> None:
    kernel = Kernel(exact=True, symbols={"?Wait@Lock@@QEAAXXZ": NT + 0x1000})
    assert Symbolizer(kernel, MODULES).name(NT + 0x1012) == "nt!Lock::Wait+0x12"
