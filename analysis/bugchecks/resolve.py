"""What a parameter's value turned out to be: an address becomes a symbol, a thread its process, a status its name."""

from analysis.address import is_kernel
from analysis.bugchecks.pool_tags import describe_tag
from analysis.bugchecks.status import describe_status
from analysis.bugchecks.tables import Meaning
from analysis.bugchecks.view import View
from analysis.kernel.facts import Irp, Thread
from analysis.kernel.irp_names import major_name, minor_name

CODE_KINDS = frozenset({"code_address", "instruction_pointer", "module_pointer"})
ADDRESS_KINDS = frozenset({"address", "pointer", "object", "pool_address", "varies"})
STATUS_KINDS = frozenset({"exception_code", "ntstatus"})
MILLISECONDS = frozenset({"duration_ms", "time_ms"})
# Blocks whose layout no table here holds: the address is printed, the content is not decoded.
UNDECODED = frozenset(
    {
        *("triage_pnp_watchdog", "power_button_block", "dpc_watchdog_block", "tdr_context", "xhci_context"),
        *("store_context", "work_queue", "urb", "exception_info", "pdc_triage_block", "mca_exception"),
        *("ndis_miniport_block", "ndis_watchdog_block"),
    }
)
# Blocks whose layout is known, but which may be missing from the dump.
READABLE = frozenset({"whea_error_record", "pop_fx_device", "triage_pop_fx_device"})
# The same, and they may also name nothing.
QUEUES = frozenset({"triage_9f_pnp", "triage_9f_power"})
IRQL_NAMES = {0: "PASSIVE_LEVEL", 1: "APC_LEVEL", 2: "DISPATCH_LEVEL", 13: "CLOCK_LEVEL", 15: "HIGH_LEVEL"}


def resolve(meaning: Meaning | None, value: int, view: View) -> str | None:
    """What the value is in this dump, for a person; None where there is nothing to add to the number."""
    if meaning is None:
        return None
    table = meaning.values_arm64 if view.architecture == "arm64" and meaning.values_arm64 else meaning.values
    if value in table:
        return table[value]
    return _by_kind(meaning.kind, value, view)


def describe_thread(thread: Thread) -> str:
    """A thread by process and numbers: "System (process 4), thread 232, Waiting"."""
    return f"{thread.process_name} (process {thread.pid}), thread {thread.tid}, {thread.state}"


def describe_irp(irp: Irp) -> str | None:
    """An I/O request by what it asks and who has it now."""
    if irp.current is None:
        return None
    asked = " ".join(
        one for one in (major_name(irp.current.major), minor_name(irp.current.major, irp.current.minor)) if one
    )
    holder = irp.current.driver
    return f"{asked}, now in {holder}" if holder else asked


def describe_code(address: int, view: View) -> str | None:
    """An address of code as a symbol, or the unloaded driver it used to belong to."""
    if view.module_at(address) is not None:
        return view.symbol(address)
    gone = view.unloaded_at(address)
    return f"{gone.name} (unloaded)+{address - gone.base:#x}" if gone else None


def _by_kind(kind: str, value: int, view: View) -> str | None:
    if kind in STATUS_KINDS:
        return describe_status(value)
    if kind in ("thread", "process", "process_or_thread"):
        return _object(value, view)
    if kind in ("irp", "irp_or_wdf_handle"):
        irp = view.irp(value)
        return describe_irp(irp) if irp else None
    if kind == "device_object":
        return _device(value, view)
    if kind == "driver_object":
        return view.driver_image(value)
    if kind == "exception_record":
        record = view.exception(value) if value else None
        what = describe_status(record.code) if record else None
        return f"{what.partition(':')[0]} at {view.symbol(record.address)}" if record and what else None
    if kind == "pool_address" and (tag := view.pool_tag(value)) is not None:
        return f"a block with the pool tag {describe_tag(tag)}"
    if kind in CODE_KINDS or (kind in ADDRESS_KINDS and is_kernel(value)):
        return describe_code(value, view)
    if kind == "address":
        return "close to zero: a null pointer plus a small offset" if value < 0x1_0000 else None
    return _object_or_block(kind, value, view)


def _object_or_block(kind: str, value: int, view: View) -> str | None:
    if kind == "triage_9f_pnp":
        waiting = view.pending_devices(value)
        return f"Plug and Play waits for the drivers of {', '.join(waiting)}" if waiting else None
    if kind == "triage_9f_power":
        requests = view.power_requests(value)
        return f"{len(requests)} power requests outstanding" if requests else None
    if kind == "whea_error_record":
        record = view.hardware_error(value)
        return f"{record.what} ({record.severity})" if record else None
    if kind in ("pop_fx_device", "triage_pop_fx_device"):
        device = view.device_behind(value)
        return _device(device, view) if device else None
    if kind == "string_ptr":
        return view.text(value)
    if kind in ("resource", "lock"):
        return _lock(value, view)
    return _number(kind, value)


def _object(value: int, view: View) -> str | None:
    if (thread := view.thread(value)) is not None:
        return describe_thread(thread)
    process = view.process(value)
    return f"{process.name} (process {process.pid})" if process else None


def _device(value: int, view: View) -> str | None:
    driver, path = view.device_driver(value), view.instance_path(value)
    if driver is None:
        return None
    return f"a device of {driver}" + (f" ({path})" if path else "")


def _lock(value: int, view: View) -> str | None:
    owners = ", ".join(describe_thread(thread) for thread in view.lock_owners(value))
    named = describe_code(value, view)
    return f"{named or 'a lock'}, owned by {owners}" if owners else named


def _number(kind: str, value: int) -> str | None:
    if kind == "timeout_seconds":
        return f"{value} s"
    if kind in MILLISECONDS:
        return f"{value / 1000:g} s"
    if kind == "irql":
        return IRQL_NAMES.get(value)
    if kind == "pool_tag":
        tag = letters(value)
        return describe_tag(tag) if tag else None
    if kind in ("string_inline", "service_chars"):
        return letters(value)
    return None


def letters(value: int) -> str | None:
    """A number that holds text, such as a pool tag; None where it holds anything else."""
    raw = value.to_bytes(8, "little").rstrip(b"\0")
    return raw.decode("ascii") if raw and all(0x20 <= byte < 0x7F for byte in raw) else None
