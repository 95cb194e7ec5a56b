"""The holder of the device tree's lock waits in the kernel for a request that another driver does not complete.

Bugcheck 0x9F/4. No driver is on the holder's stack; the IRP it sent is pending at the culprit's device.
"""

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.devices import add_irp, add_node
from tests.forge.kernel.modules import add_driver_object
from tests.forge.kernel.objects import event
from tests.forge.kernel.pnp import write_completion_queue, write_event_list
from tests.forge.kernel.resources import add_resource, own
from tests.forge.kernel.state import EXECUTIVE, Kernel
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.seed import REMOVAL, lock_tree_waiters, stop_9f_4
from tests.forge.scenarios.story import Cast, Outcome, blocked, device_stack, driver_image, named

IRP_MJ_PNP, IRP_MN_REMOVE_DEVICE = 0x1B, 0x02


def build(kernel: Kernel, cast: Cast) -> Outcome:
    """A removal request, two drivers deep, stays with the lower one."""
    upper, lower = cast.third_party(2)
    root = add_node(kernel, "HTREE\\ROOT\\0", "", 0)
    bus = add_driver_object(kernel, kernel.image("pci.sys"), "pci")
    functions = [add_driver_object(kernel, driver_image(kernel, one), one.service) for one in (lower, upper)]
    node, devices = device_stack(kernel, root, lower, [bus, *functions])
    lock = add_resource(kernel, "PiEngineLock")
    frames = kernel.frames(*WAIT, *REMOVAL)
    holder = add_thread(kernel, named(kernel, "System"), frames, start=kernel.symbol("ExpWorkerThread"), priority=13)
    wait(kernel, holder, [event(kernel)], EXECUTIVE, 301.5)
    own(kernel, lock, holder)
    add_irp(kernel, list(reversed(devices)), IRP_MJ_PNP, IRP_MN_REMOVE_DEVICE, thread=holder, current=1)
    write_event_list(kernel, holder)
    write_completion_queue(kernel, [node])
    waiters = lock_tree_waiters(kernel, cast, lock)
    expected = Expected(
        culprit=lower.driver,
        root=holder.address,
        lock=lock.address,
        lock_name="PiEngineLock",
        locks=(lock.address,),
        blocked=tuple(blocked(thread, lock.address) for thread in waiters),
        drivers=(lower.driver,),
        impact_process="wininit.exe",
    )
    return Outcome(0x9F, stop_9f_4(kernel, holder), expected)
