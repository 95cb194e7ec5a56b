"""Device stacks and devnodes, and pointers that only look like them."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.kernel.devices import MAX_DEVICE_STACK
from analysis.kernel.devnode_states import describe_node, is_being_removed, is_starting, started_state, state_name
from analysis.kernel.facts import DeviceNode
from analysis.kernel.instance_ids import FRIENDLY_NAMES, friendly_name
from tests.kernel.devices_in_memory import POOL, World, miniport
from tests.kernel.invented import Names, layout


def test_a_device_knows_its_driver_its_stack_and_its_devnode_from_any_place_in_the_stack() -> None:
    world = World()
    node, pdo, fdo = miniport(world)
    for address in (pdo, fdo):
        found = world.devices.device(address)
        assert found is not None
        assert found.stack[:2] == (pdo, fdo)
        assert found.drivers == ("bus.sys", "probe.sys", "filter.sys")
        assert found.node is not None
        assert (found.node.address, found.node.instance_path, found.node.service) == (node, r"ROOT\PROBE\0000", "Probe")
    function = world.devices.device(fdo)
    assert function is not None
    assert function.driver is not None
    assert (function.driver.image, function.driver.name, function.driver.service) == (
        "probe.sys", r"\Driver\Probe", "Probe"
    )  # fmt: skip


def test_a_devnode_is_believed_only_if_its_device_points_back() -> None:
    world = World()
    node, pdo, _ = miniport(world)
    assert world.devices.node(node) is not None
    assert world.devices.function_drivers(world.devices.node(node)) == ("probe.sys", "filter.sys")  # type: ignore[arg-type]
    world.memory.put_u64(world.memory.u64(pdo + 0x138) + 0x28, node + 0x20)
    assert world.devices.node(node) is None


@pytest.mark.parametrize("offset", [0, 8, 0x138])
def test_a_block_that_was_used_again_is_no_device(offset: int) -> None:
    world = World()
    _, _, fdo = miniport(world)
    world.memory.put_u64(fdo + offset, 0x4141_4141_4141_4141)
    found = world.devices.device(fdo)
    assert found is None or (offset == 0x138 and found.node is None)


def test_a_driver_outside_every_module_is_believed_only_if_it_is_the_kernels_own() -> None:
    world = World()
    own = world.driver(None, r"\Driver\PnpManager")
    stray = world.driver("probe.sys", r"\Driver\Probe")
    world.memory.put_u64(stray + 0x18, 0xFFFF_F800_7777_0000)
    driver = world.devices.driver(own)
    assert driver is not None
    assert (driver.image, driver.name) == (None, r"\Driver\PnpManager")
    assert world.devices.driver(stray) is None


def test_names_in_paged_pool_may_be_missing_and_the_rest_stands() -> None:
    world = World()
    node, _, fdo = miniport(world)
    for text in (node + 0x28, node + 0x38):
        world.memory.lose(world.memory.u64(text + 8), 4)
    found = world.devices.device(fdo)
    assert found is not None
    assert found.node is not None
    assert (found.node.instance_path, found.node.service) == (None, None)


def test_a_circle_of_attached_devices_ends() -> None:
    world = World()
    _, pdo, fdo = miniport(world)
    world.memory.put_u64(fdo + 0x18, pdo)
    world.memory.put_u64(pdo + 0x18, fdo)
    found = world.devices.device(fdo)
    assert found is not None
    assert len(found.stack) <= 2 * MAX_DEVICE_STACK


def test_the_tree_is_walked_from_any_node_and_circles_end() -> None:
    world = World()
    bus = world.driver("bus.sys", r"\Driver\Bus")
    root = world.node(world.device(bus), r"HTREE\ROOT\0")
    children = [world.node(world.device(bus), rf"ROOT\X\000{i}", parent=root) for i in range(3)]
    grandchild = world.node(world.device(bus), r"ROOT\Y\0000", parent=children[1])
    expected = {root, *children, grandchild}
    assert {node.address for node in world.devices.nodes(grandchild)} == expected
    world.memory.put_u64(grandchild + 8, root)
    world.memory.put_u64(grandchild, children[0])
    assert {node.address for node in world.devices.nodes(children[0])} == expected
    assert not list(world.devices.nodes())
    pointer = world.room(8)
    world.memory.put_u64(pointer, root)
    world.names.symbols["IopRootDeviceNode"] = pointer
    assert {node.address for node in world.devices.nodes()} == expected


def test_the_kernels_own_layout_goes_before_the_documented_one() -> None:
    names = Names({"_DEVICE_NODE": layout("_DEVICE_NODE", 0x300, PhysicalDeviceObject=0x20, InstancePath=0x28,
                                          ServiceName=0x38, State=0x12C)})  # fmt: skip
    world = World(names)
    node, _, _ = miniport(world, state=0x313)
    found = world.devices.node(node)
    assert found is not None
    assert found.state == 0x313
    assert World().devices.node(node) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0x2D0), st.integers(0, 2**64 - 1)), max_size=12))
def test_damage_never_raises(damage: list[tuple[int, int]]) -> None:
    world = World()
    node, pdo, fdo = miniport(world)
    for at, value in damage:
        for base in (node, pdo, fdo):
            world.memory.put_u64(base + at // 8 * 8, value)
    world.devices.device(fdo)
    world.devices.node(node)
    list(world.devices.nodes(node))


@pytest.mark.parametrize("address", [0, 1, 8, 0x7FFF_0000_0000, POOL + 4, POOL + 0x100_0000])
def test_no_address_raises(address: int) -> None:
    devices = World().devices
    assert devices.device(address) is None
    assert devices.node(address) is None
    assert devices.driver(address) is None
    assert devices.device_driver(address) is None


def nodes(*states: int) -> list[DeviceNode]:
    return [DeviceNode(POOL, None, None, state=state) for state in states]  # type: ignore[arg-type]


def test_the_devnodes_themselves_tell_which_numbering_a_kernel_has() -> None:
    assert started_state(nodes(0x308, 0x308, 0x30A)) == 0x308
    assert started_state(nodes(0x30A, 0x30A, 0x308)) == 0x30A
    assert started_state(nodes()) is None
    assert state_name(0x308, 0x308) == state_name(0x30A, 0x30A) == "started"
    assert state_name(0x313, 0x308) == "delete pending closes"
    assert state_name(0x313, 0x30A) == "remove pending closes"
    assert state_name(0x308, None) is None


def test_state_and_problem_are_told_of_devices_that_are_not_sound() -> None:
    (sound, leaving) = nodes(0x308, 0x310)
    assert describe_node(sound, 0x308) is None
    assert describe_node(leaving, 0x308) == "in the state 'query removed'"
    assert describe_node(leaving, None) is None
    assert describe_node(replace(leaving, problem=10), 0x308) == (
        "in the state 'query removed', marked with problem 10: it cannot start"
    )
    assert describe_node(replace(sound, problem=777), 0x308) == "marked with problem 777"


def test_a_removal_is_told_from_a_start_and_doubt_is_no() -> None:
    assert is_being_removed(0x30E, 0x308)
    assert not is_being_removed(0x30E, 0x30A)
    assert not is_being_removed(0x30E, None)
    assert is_being_removed(0x312, None)
    assert not is_being_removed(0x9999, None)
    assert not is_being_removed(None, 0x308)
    assert is_starting(0x305, 0x308)
    assert not is_starting(0x308, 0x308)


def test_friendly_names_are_found_whatever_the_case_and_only_for_whole_ids() -> None:
    assert friendly_name(r"swd\msrras\ms_sstpminiport") == "WAN Miniport (SSTP)"
    assert friendly_name(r"SWD\MSRRAS\MS_SSTPMINIPORT\1") is None
    assert friendly_name(None) is None
    assert all(key == key.upper() for key in FRIENDLY_NAMES)
