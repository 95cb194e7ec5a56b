"""Which kernel a dump holds, and which symbol table is that kernel's own.

The PDB record in the kernel's image names it beyond doubt, but small dumps never hold it. The dump header and KDBG then
still publish addresses of a few of the kernel's variables; minus the image's base they are a fingerprint: on a real
dump four of them picked one table out of 213 (KERNEL.md §3).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.address import PAGE_SIZE, VirtAddr, is_kernel
from analysis.errors import BadDump, BadSymbols, Unreadable
from analysis.formats.image import MACHINE_X86, DumpImage, TriageDriver
from analysis.limits import MAX_TABLES_TRIED
from analysis.memory.reader import END_32, KERNEL_START_32, Memory
from analysis.symbols.builtin import SAME_KERNEL
from analysis.symbols.isf import MACHINE_X64, IsfTable, open_isf, quick_guid, quick_machine, quick_rvas, read_text
from analysis.symbols.kdbg import Kdbg
from analysis.symbols.names import PdbIdentity
from analysis.symbols.pdb import PdbTable
from analysis.symbols.pe import PeImage, read_image
from analysis.symbols.search import Candidate

# What the kernel's file may be called; the list of modules has the first name for all.
NT_FILES = ("ntoskrnl.exe", "ntkrnlmp.exe", "ntkrnlpa.exe", "ntkrpamp.exe")

# A fingerprint needs three agreeing addresses; with four no further table is looked at.
ENOUGH, BEYOND_DOUBT = 3, 4

# Where KLDR_DATA_TABLE_ENTRY has DllBase and SizeOfImage, in every 64-bit Windows.
KLDR_BASE, KLDR_SIZE = 0x30, 0x40
KLDR_BASE_32, KLDR_SIZE_32 = 0x18, 0x20

# nt is mapped with its data at most this far above its headers.
SCAN_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Nt:
    """The kernel's image: ``size`` in bytes (0 where unknown), ``image`` its headers, from memory or from its file,
    ``timestamp`` its TimeDateStamp where the list of drivers names it."""

    base: VirtAddr
    size: int
    image: PeImage | None
    timestamp: int | None = None

    @property
    def pdb(self) -> PdbIdentity | None:
        """What its PDB record says, or None."""
        return self.image.pdb if self.image else None


@dataclass(frozen=True, slots=True)
class Match:
    """A kernel's own table, and in words how it was recognised."""

    table: IsfTable | PdbTable
    candidate: Candidate
    how: str


def find_nt(image: DumpImage, memory: Memory, kdbg: Kdbg | None) -> Nt | None:
    """The kernel's image: from the module list, else from KDBG, else by its header below the module list's head."""
    head = image.header.loaded_modules
    driver = _from_drivers(image, head)
    found = (driver.base, driver.size) if driver else _from_list(memory, head)
    base, size = found or (kdbg.base if kdbg else _by_header(memory, head), 0)
    if not base:
        return None
    headers = _headers(memory, base)
    stamp = driver.timestamp if driver else None
    return Nt(VirtAddr(base), size or (headers.size_of_image if headers else 0), headers, stamp)


def _from_drivers(image: DumpImage, head: int) -> TriageDriver | None:
    drivers = image.triage.drivers if image.triage else ()
    around = [driver for driver in drivers if driver.base <= head < driver.base + driver.size]
    named = [driver for driver in drivers if driver.name.lower() in NT_FILES]
    return next(iter((*around, *named)), None)


# The list's head is one of nt's variables, so nt is the entry around it: on every Windows the first.
def _from_list(memory: Memory, head: int) -> tuple[int, int] | None:
    entry = head
    at_base, at_size = (KLDR_BASE, KLDR_SIZE) if memory.pointer_size == 8 else (KLDR_BASE_32, KLDR_SIZE_32)
    for _ in range(8):
        try:
            entry = memory.pointer(entry)
            base, size = memory.pointer(entry + at_base), memory.u32(entry + at_size)
        except Unreadable:
            return None
        if base <= head < base + size:
            return base, size
    return None


def _by_header(memory: Memory, inside: int) -> int:
    start = inside & ~(PAGE_SIZE - 1)
    for address in range(start, start - SCAN_BYTES, -PAGE_SIZE) if memory.is_kernel(inside) else ():
        if memory.read_available(address, 2) == b"MZ":
            headers = _headers(memory, address)
            if headers and inside < address + headers.size_of_image:
                return address
    return 0


def _headers(memory: Memory, base: int) -> PeImage | None:
    try:
        return read_image(memory, base)
    except (Unreadable, BadDump):
        return None


def published_addresses(image: DumpImage, kdbg: Kdbg | None) -> dict[str, VirtAddr]:
    """Addresses of kernel variables by name, from the dump header and KDBG."""
    header = image.header
    found = {
        "PsLoadedModuleList": header.loaded_modules,
        "PsActiveProcessHead": header.active_processes,
        "KdDebuggerDataBlock": header.kdbg,
        "MmPfnDatabase": header.pfn_database,
    }
    small = header.machine == MACHINE_X86
    sound = {name: at for name, at in found.items() if (KERNEL_START_32 <= at < END_32 if small else is_kernel(at))}
    return {**(kdbg.addresses if kdbg else {}), **sound}


FINGERPRINT = (
    "PsLoadedModuleList",
    "PsActiveProcessHead",
    "KdDebuggerDataBlock",
    "MmPfnDatabase",
    "ExpSystemResourcesList",
)


def fingerprint(nt: Nt, published: Mapping[str, VirtAddr]) -> dict[str, int]:
    """RVAs of those variables that lie in the kernel's image. Some writers store a value where an address belongs."""
    rvas = {name: published[name] - nt.base for name in FINGERPRINT if name in published}
    return {name: rva for name, rva in rvas.items() if 0 < rva < (nt.size or SCAN_BYTES)}


def find_own_table(
    image: DumpImage, nt: Nt, marks: Mapping[str, int], candidates: list[Candidate]
) -> tuple[Match | None, list[str]]:
    """The table of the very kernel in the dump, or None; and sentences about tables that were refused.

    ``marks`` is the dump's ``fingerprint``.
    """
    notes: list[str] = []
    pdb = nt.pdb
    if pdb is None and len(marks) < ENOUGH:
        notes.append("the dump names neither the kernel's PDB nor enough of its addresses to recognise its symbols")
        return None, notes
    doubtful: list[Match] = []
    for candidate in list(_in_order(image.header.build, pdb, candidates))[:MAX_TABLES_TRIED]:
        try:
            match = _try(image.header.machine, pdb, marks, candidate)
        except BadSymbols as refused:
            notes.append(str(refused))
            continue
        if match is None:
            continue
        if pdb is not None or match[1] >= BEYOND_DOUBT:
            return match[0], notes
        doubtful.append(match[0])
    if len({match.table.identity for match in doubtful}) > 1:
        notes.append("more than one symbol table fits the few addresses in this dump; none is used")
        return None, notes
    return (doubtful[0] if doubtful else None), notes


# Tables whose name says that they are this kernel's, then those of its major build, then those that say nothing.
def _in_order(build: int, pdb: PdbIdentity | None, candidates: list[Candidate]) -> Iterator[Candidate]:
    if pdb is not None:
        yield from (candidate for candidate in candidates if candidate.guid == pdb.guid)
        yield from (candidate for candidate in candidates if candidate.guid is None)
        return
    kernel = SAME_KERNEL.get(build, build)
    yield from (candidate for candidate in candidates if candidate.major == kernel)
    yield from (candidate for candidate in candidates if candidate.major is None)


# The match and how many addresses agree; None: it is another kernel's. Only a fitting table is parsed (0.04 s).
def _try(
    machine: int, pdb: PdbIdentity | None, marks: Mapping[str, int], candidate: Candidate
) -> tuple[Match, int] | None:
    def contradicts(text: bytearray) -> bool:
        return contradictions(marks, quick_rvas(text, FINGERPRINT)) > 0

    # Without a PDB record many tables may have to be tried: most are given up after a third of their text.
    text = read_text(candidate.path, contradicts if pdb is None else None)
    if pdb is None and contradicts(bytearray(text)):
        return None
    if (quick_machine(text) or MACHINE_X64) != machine:
        return None
    stated = quick_guid(text)
    if stated and candidate.guid and stated != candidate.guid:
        raise BadSymbols(candidate.path.name, f"its name and its content ({stated}) name different PDBs")
    guid = stated or candidate.guid
    if pdb is not None and guid is not None and guid != pdb.guid:
        return None
    rvas = quick_rvas(text, FINGERPRINT)
    table = None
    if not rvas:  # not written the way volatility3 writes it: parse it to know
        table = open_isf(candidate.path, text)
        rvas = {name: rva for name in FINGERPRINT if (rva := table.rva(name)) is not None}
    agree = sum(1 for name, rva in marks.items() if rvas.get(name) == rva)
    against = contradictions(marks, rvas)
    named = pdb is not None and guid == pdb.guid
    if named and against:
        raise BadSymbols(candidate.path.name, "it bears the kernel's PDB identity but has other addresses; not used")
    if against or (agree < ENOUGH and not named):
        return None
    table = table or open_isf(candidate.path, text)
    return Match(table, candidate, how_matched(candidate, agree, named=named)), agree


def contradictions(marks: Mapping[str, int], rvas: Mapping[str, int]) -> int:
    """How many of a dump's marks a table puts elsewhere."""
    return sum(1 for name, rva in marks.items() if name in rvas and rvas[name] != rva)


def how_matched(candidate: Candidate, agree: int, *, named: bool) -> str:
    """In words, how a table was found to be the kernel's: by its PDB record, or by so many agreeing addresses."""
    if named:
        return f"the PDB record in the kernel's image names the symbol table {candidate.path.name}"
    return (
        f"{agree} addresses of kernel variables in the dump header and debugger data agree with the symbol table "
        f"{candidate.path.name}, none contradicts"
    )
