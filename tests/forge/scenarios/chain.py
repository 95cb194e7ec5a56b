"""Two locks: many wait for the device tree's lock, whose holder waits for another, whose holder is stuck in a driver.

Bugcheck 0x9F/4 names the first holder; the true culprit stands at the end of the chain.
"""

from tests.forge.facts import Expected
from tests.forge.kernel.background import WAIT
from tests.forge.kernel.objects import event
from tests.forge.kernel.pnp import add_event, write_completion_queue, write_event_list
from tests.forge.kernel.resources import add_resource, own
from tests.forge.kernel.state import EXECUTIVE, Frame, Kernel
from tests.forge.kernel.threads import add_thread, wait
from tests.forge.scenarios.locks import new_lock
from tests.forge.scenarios.seed import REMOVAL, device_of, lock_tree_waiters, stop_9f_4
from tests.forge.scenarios.story import Cast, Outcome, blocked, driver_image, frame_address, named


def build(kernel: Kernel, cast: Cast) -> Outcome:
    """The chain; a drawn cast has a second lock of another kind or in the driver's own data."""
    stuck, middle = cast.third_party(2)
    image, between = driver_image(kernel, stuck), driver_image(kernel, middle)
    device, node = device_of(kernel, middle)
    first = add_resource(kernel, "PiEngineLock")
    second = new_lock(kernel, cast, image, "Zlck")
    frames = [*kernel.frames(*WAIT), *(Frame(image, name) for name in ("WaitForDevice", "FlushQueue", "Dispatch"))]
    callers = kernel.frames("IopfCallDriver", "IofCallDriver", "IopSynchronousServiceTail", "IopXxxControlFile")
    process = cast.process(kernel, "spoolsv.exe")
    culprit = add_thread(kernel, process, [*frames, *callers, *kernel.frames("NtDeviceIoControlFile")])
    wait(kernel, culprit, [event(kernel)], EXECUTIVE, 322.0)
    second.own(kernel, culprit)
    holder = second.waiter(
        kernel,
        named(kernel, "System"),
        [Frame(between, "RemoveDevice"), Frame(between, "Dispatch"), *kernel.frames("IofCallDriver", *REMOVAL)],
    )
    second.block(kernel, [(holder, 311.0)])
    own(kernel, first, holder)
    add_event(kernel, write_event_list(kernel, holder), middle.instance_path, device)
    write_completion_queue(kernel, [node])
    waiters = lock_tree_waiters(kernel, cast, first)
    parameters = stop_9f_4(kernel, holder)
    expected = Expected(
        culprit=stuck.driver,
        culprit_address=frame_address(culprit, image),
        root=culprit.address,
        lock=second.address,
        locks=(second.address, first.address),
        drivers=(stuck.driver,),
        impact_process="wininit.exe",
        blocked=(blocked(holder, second.address), *(blocked(thread, first.address) for thread in waiters)),
    )
    return Outcome(0x9F, parameters, expected)
