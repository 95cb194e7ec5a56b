"""Where a request is, and blocks that are none."""

import pytest

from analysis.kernel.facts import Irp
from analysis.kernel.irp_names import major_name, minor_name
from analysis.kernel.irps import read_irp
from tests.kernel.devices_in_memory import World, miniport


def read(world: World, address: int) -> Irp | None:
    return read_irp(world.memory, world.names, world.devices, address)


def test_a_request_tells_who_has_it_and_whom_it_went_through() -> None:
    world = World()
    _, pdo, fdo = miniport(world)
    filter_device = world.memory.u64(fdo + 0x18)
    address = world.irp([filter_device, fdo, pdo], current=1, thread=0xFFFF_A000_5000_0000)
    irp = read(world, address)
    assert irp is not None
    assert irp.current is not None
    assert (irp.current.driver, irp.current.device, irp.current.major, irp.current.minor) == ("probe.sys", fdo, 0x16, 2)
    assert [place.driver for place in irp.stack] == ["filter.sys", "probe.sys"]
    assert irp.thread == 0xFFFF_A000_5000_0000


def test_a_request_that_was_not_sent_yet_is_nowhere() -> None:
    world = World()
    _, pdo, fdo = miniport(world)
    address = world.irp([fdo, pdo], current=0)
    world.memory.put_u8(address + 0x43, 3)
    world.memory.put_u64(address + 0xB8, address + 0xD0 + 2 * 0x48)
    irp = read(world, address)
    assert irp is not None
    assert irp.current is None
    assert not irp.stack


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 5), (0x42, 0), (0x42, 0x80), (0x43, 0), (0x43, 4), (0x43, 1), (0xB8, 0x10)]
)
def test_a_block_that_disagrees_with_itself_is_no_request(offset: int, value: int) -> None:
    world = World()
    _, pdo, fdo = miniport(world)
    address = world.irp([fdo, pdo], current=0)
    assert read(world, address) is not None
    world.memory.put_u8(address + offset, value)
    assert read(world, address) is None


def test_every_cut_and_every_stray_address_gives_nothing() -> None:
    world = World()
    _, pdo, fdo = miniport(world)
    address = world.irp([fdo, pdo], current=0)
    world.memory.lose(address + 0x40, 8)
    assert read(world, address) is None
    for stray in (0, 0x1000, address + 4, 0xFFFF_FFFF_FFFF_FFF8):
        assert read(world, stray) is None


def test_functions_have_their_names() -> None:
    assert (major_name(0x16), minor_name(0x16, 2)) == ("IRP_MJ_POWER", "IRP_MN_SET_POWER")
    assert (major_name(0x1B), minor_name(0x1B, 0x17)) == ("IRP_MJ_PNP", "IRP_MN_SURPRISE_REMOVAL")
    assert (major_name(3), minor_name(3, 0)) == ("IRP_MJ_READ", None)
    assert (major_name(0x40), minor_name(0x1B, 0x40)) == ("IRP_MJ_0x40", None)
