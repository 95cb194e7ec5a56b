"""From a scenario's name to a finished machine with its facts."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.forge import facts, ntnames, writers
from tests.forge.context import context_record
from tests.forge.facts import Facts
from tests.forge.header import (
    BITMAP_FULL,
    BITMAP_KERNEL,
    FULL,
    RANGES_KERNEL,
    SUMMARY,
    TRIAGE,
    HeaderValues,
    exception_record,
)
from tests.forge.image import Image
from tests.forge.isf import write_isf
from tests.forge.kernel import background
from tests.forge.kernel.globals import (
    write_bugcheck_data,
    write_debugger_data,
    write_list_heads,
    write_shared_data,
    write_unloaded,
    write_variables,
)
from tests.forge.kernel.modules import write_module_list
from tests.forge.kernel.objects import write_object_types
from tests.forge.kernel.pnp import write_completion_queue, write_event_list, write_work_queue
from tests.forge.kernel.processes import share_kernel_half
from tests.forge.kernel.resources import link_resources
from tests.forge.kernel.state import CRASH_FILETIME, TICK_100NS, UPTIME_TICKS, WAITING, Kernel, Load, Thread
from tests.forge.kernel_image import kernel_image
from tests.forge.layouts import Layouts, layouts_of, nearest_major
from tests.forge.layouts.structures import MAJORS
from tests.forge.machine import Machine
from tests.forge.pages import LARGE
from tests.forge.scenarios import SCENARIOS
from tests.forge.scenarios.family_rows import FAMILY_ROWS
from tests.forge.scenarios.spin_stories import SPIN_STORIES
from tests.forge.scenarios.story import Cast, Outcome, Scenario
from tests.forge.scenarios.wide import ROWS
from tests.forge.scenarios.wrong import WAYS
from tests.forge.triage import TriageSource, write_triage

DEFAULT_TYPES = {
    "full": FULL,
    "bitmap": BITMAP_KERNEL,
    "bitmap-full": BITMAP_FULL,
    "triage": TRIAGE,
    "summary": SUMMARY,
    "ranges": RANGES_KERNEL,
}
NO_LOAD = Load()
BYTES_A_THREAD = 6000  # of pool: the thread, its share of a process, and what it waits for
BREAKPOINT_STOP = 0x80000003
KINDS = ("full", "bitmap", "bitmap-full", "summary", "ranges")  # those that hold pages; "triage" holds blocks


@dataclass(frozen=True, slots=True)
class Forged:
    """A forged machine: write it as a dump, write its symbol table, compare with what it says it is."""

    facts: Facts
    machine: Machine
    layouts: Layouts
    header: HeaderValues
    kind: str
    type_code: int
    triage: TriageSource
    images: tuple[Image, ...] = ()

    def write(self, path: Path, *, memory_bytes: int | None = None) -> Path:
        """Write the dump. A full one or a bitmap may be given the memory size of a bigger machine; the file stays
        sparse."""
        if self.kind == "full":
            writers.write_full(path, self.machine.memory, self.header, memory_bytes)
        elif self.kind == "triage":
            write_triage(path, self.machine, self.header, self.facts, self.triage)
        elif self.kind == "summary":
            writers.write_summary(path, self.machine.memory, self.header)
        elif self.kind == "ranges":
            writers.write_ranges(path, self.machine.memory, self.header, self.type_code)
        else:
            signature = b"SDMP" if self.kind == "bitmap" else b"FDMP"
            writers.write_bitmap(path, self.machine.memory, self.header, self.type_code, signature, memory_bytes)
        return path

    def write_isf(self, directory: Path) -> Path:
        """Write the kernel's symbol table in volatility3's form, and its line in BUILDS.tsv."""
        return write_isf(directory, self.facts, self.layouts)

    def write_images(self, directory: Path) -> Path:
        """Write the file of every image at its place in a symbol store."""
        for image in self.images:
            image.write_file(directory / image.name / f"{image.timestamp:08X}{image.size:x}" / image.name)
        return directory


def forge(
    scenario: str,
    *,
    build: int = 19041,
    kind: str = "full",
    type_code: int | None = None,
    seed: int | None = None,
    layouts: str = "own",
    images: str = "whole",
    symbols: Mapping[str, int] | None = None,
    guid: str | None = None,
    driver_pdbs: bool = False,
    load: Load = NO_LOAD,
) -> Forged:
    """Build a machine that stopped as ``scenario`` tells.

    ``kind`` is full, bitmap ('SDMP'), bitmap-full ('FDMP'), summary (type 2), ranges ('RDMP') or triage (the small
    dump); ``type_code`` pairs 5 or 6 with either bitmap, and 8, 9 or 10 with ranges. ``seed`` draws the cast and all
    order. ``symbols`` and ``guid`` give the kernel the addresses of a real symbol table. ``layouts`` "shifted" moves
    structure members to where no table has them. A ``build`` without layouts of its own has those of the nearest older
    major. ``images`` "stripped" leaves code, unwind data and headers of drivers and of pageable kernel code out of
    memory, as a machine short of memory has it. ``driver_pdbs`` gives each driver a record that names a PDB; the facts
    then tell what that would say. ``load`` says how many threads, resources and images there are around the story.
    Raises: KeyError for an unknown scenario, ValueError for an unknown kind.
    """
    if kind not in (*KINDS, "triage"):
        raise ValueError(kind)
    rng = random.Random(f"{scenario} {build} {seed} {guid}")
    own = layouts_of(nearest_major(build))
    used = own.shifted() if layouts == "shifted" else own
    machine = Machine(used, rng, pool_pages=2 + load.threads * BYTES_A_THREAD // LARGE)
    major = used.major
    more = ntnames.SPIN_NAMES if scenario in SPIN_STORIES else ()
    names = ntnames.from_table(symbols, guid or "") if symbols is not None else ntnames.invented(major, rng, more)
    nt = kernel_image(machine.reserve("images", names.size, 0x200000), names, build)
    kernel = Kernel(machine, names, nt, build, rng, images=[nt], type_cookie=rng.randrange(1, 256))
    kernel.load = load
    kernel.stripped = images == "stripped"
    kernel.driver_pdbs = driver_pdbs
    kernel.open_chains = seed is not None and seed % 2 == 1
    tell = SCENARIOS.get(scenario) or (WAYS.get(scenario) or FAMILY_ROWS.get(scenario) or ROWS[scenario]).build
    outcome = _populate(kernel, tell, Cast(rng, drawn=seed is not None))
    header = _header(kernel, outcome)
    default_type = DEFAULT_TYPES[kind]
    triage = _triage(kernel, outcome)
    facts = _facts(kernel, outcome, scenario)
    code = type_code or default_type
    return Forged(facts, machine, used, header, kind, code, triage, tuple(kernel.images))


def _populate(kernel: Kernel, scenario: Scenario, cast: Cast) -> Outcome:
    _data_pages(kernel)
    write_list_heads(kernel)
    background.add_drivers(kernel)
    background.add_processes(kernel)
    background.add_idle_threads(kernel, 0)
    outcome = scenario(kernel, cast)
    background.add_idle_threads(kernel, 1)
    background.add_load(kernel)
    background.add_locks(kernel)
    background.swap_out_some(kernel)
    if not kernel.machine.read_u64(kernel.symbol("PnpDeviceEventList")):
        write_event_list(kernel, None)
        write_completion_queue(kernel, [])
    write_work_queue(kernel)
    link_resources(kernel)
    write_object_types(kernel)
    write_shared_data(kernel)
    write_unloaded(kernel)
    write_variables(kernel)
    write_debugger_data(kernel)
    write_bugcheck_data(kernel, outcome.code, outcome.parameters)
    for image in kernel.images:
        image.stripped = kernel.stripped
        if kernel.driver_pdbs and image is not kernel.nt:
            image.pdb = f"d:\\build\\{Path(image.name).stem}.pdb"
            image.guid = sha256(image.name.encode()).hexdigest()[:32].upper()
            image.age = 1 + len(image.name)
        image.finish(kernel.machine)
    write_module_list(kernel)
    share_kernel_half(kernel)
    return outcome


def _data_pages(kernel: Kernel) -> None:
    """Map the pages of the kernel's variables; the image leaves alone what is mapped already."""
    for name, rva in kernel.names.rvas.items():
        size = ntnames.DATA_NAMES.get(name)
        for page in range(rva >> 12, (rva + size - 1 >> 12) + 1) if size else ():
            address = kernel.nt.base + page * 0x1000
            if not kernel.machine.tables.entry(address):
                kernel.machine.tables.map(address, kernel.machine.loose_frame())


def _header(kernel: Kernel, outcome: Outcome) -> HeaderValues:
    stack = kernel.stop_stack
    assert stack is not None
    rip = kernel.symbol("KeBugCheckEx")
    context = context_record(
        kernel.machine.layouts, rip, stack.sp, stack.registers, (outcome.code, *outcome.parameters[:3])
    )
    exception = outcome.exception or (BREAKPOINT_STOP, rip, ())
    for prcb in kernel.processors[:1]:
        kernel.machine.write(kernel.machine.at("_KPRCB", prcb, "ProcessorState.ContextFrame"), context)
    return HeaderValues(
        build=kernel.build,
        directory_table=kernel.machine.tables.directory_table,
        pfn_database=kernel.symbol("MmPfnDatabase"),
        loaded_modules=kernel.symbol("PsLoadedModuleList"),
        active_processes=kernel.symbol("PsActiveProcessHead"),
        debugger_data=kernel.symbol("KdDebuggerDataBlock"),
        processors=len(kernel.processors),
        code=outcome.code,
        parameters=outcome.parameters,
        context=context,
        exception=exception_record(*exception),
        system_time=CRASH_FILETIME,
        uptime=UPTIME_TICKS * TICK_100NS,
    )


def _triage(kernel: Kernel, outcome: Outcome) -> TriageSource:
    """What a small dump of this stop holds: its own thread, and of a thread that a parameter names, the stack too."""
    layouts, machine, stack = kernel.machine.layouts, kernel.machine, kernel.stop_stack
    assert stack is not None
    prcb = kernel.processors[0]
    current = machine.read_u64(machine.at("_KPRCB", prcb, "CurrentThread"))
    process = machine.read_u64(machine.at("_KTHREAD", current, "Process"))
    blocks = [(current, layouts.size("_ETHREAD")), (prcb, layouts.size("_KPRCB"))]
    for thread in kernel.threads():
        if thread.address in outcome.parameters:
            blocks.append((thread.address, layouts.size("_ETHREAD")))
            blocks.append((thread.process.address, layouts.size("_EPROCESS")))
            blocks.append((thread.kernel_stack, thread.stack_base - thread.kernel_stack))
    return TriageSource(
        prcb=(prcb, layouts.size("_KPRCB")),
        process=(process, layouts.size("_EPROCESS")),
        thread=(current, layouts.size("_ETHREAD")),
        stack=(stack.sp, stack.base - stack.sp),
        debugger_data=kernel.symbol("KdDebuggerDataBlock"),
        blocks=tuple(blocks),
    )


def _facts(kernel: Kernel, outcome: Outcome, scenario: str) -> Facts:
    return Facts(
        scenario=scenario,
        build=kernel.build,
        code=outcome.code,
        parameters=outcome.parameters,
        kernel_base=kernel.nt.base,
        kernel_guid=kernel.names.guid,
        directory_table=kernel.machine.tables.directory_table,
        modules=tuple(
            facts.ModuleFact(
                image.name,
                image.base,
                image.size,
                image.timestamp,
                image.checksum,
                image.company,
                ".".join(map(str, image.version)) if image.version else None,
                image.path,
            )
            for image in kernel.images
        ),
        unloaded=tuple(facts.UnloadedFact(*row) for row in kernel.unloaded),
        processes=tuple(
            facts.ProcessFact(
                process.address,
                process.pid,
                process.name[:14],
                process.parent,
                process.directory_table,
                tuple(thread.address for thread in process.threads),
            )
            for process in kernel.processes
        ),
        threads=tuple(_thread_fact(thread) for thread in kernel.threads()),
        resources=tuple(
            facts.ResourceFact(
                resource.address,
                resource.name,
                resource.exclusive,
                tuple(thread.address for thread in resource.owners),
                tuple(thread.address for thread in resource.waiters),
                resource.fast,
                resource.contention,
            )
            for resource in kernel.resources
        ),
        expected=outcome.expected,
        uptime_seconds=UPTIME_TICKS * TICK_100NS / 10_000_000,
        crash_time=CRASH_FILETIME,
        symbols=tuple(sorted(kernel.names.rvas.items())),
        pdbs=tuple(_pdb_fact(image) for image in kernel.images if image.pdb and image is not kernel.nt),
    )


def _pdb_fact(image: Image) -> facts.PdbFact:
    functions = tuple((one.name, one.rva, one.end) for one in image.functions.values())
    return facts.PdbFact(image.name, (image.pdb or "").rpartition("\\")[2], image.guid, image.age, functions)


def _thread_fact(thread: Thread) -> facts.ThreadFact:
    waiting = thread.state == WAITING and thread.ticks is not None
    return facts.ThreadFact(
        thread.address,
        thread.process.name[:14],
        thread.process.pid,
        thread.tid,
        thread.state,
        thread.reason,
        thread.ticks * TICK_100NS / 10_000_000 if waiting and thread.ticks is not None else None,
        tuple(thread.waits),
        thread.start,
        thread.process.is_system,
        thread.resident,
        tuple(facts.FrameFact(frame.address, frame.sp, frame.image, frame.function) for frame in thread.frames),
    )


def all_builds() -> tuple[int, ...]:
    """The eight major builds with layouts of their own."""
    return MAJORS
