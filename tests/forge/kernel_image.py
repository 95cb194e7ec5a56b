"""The kernel's own image: sections around its symbols, functions with code at each."""

from hashlib import sha256
from itertools import pairwise

from tests.forge import functions as code
from tests.forge.functions import Function
from tests.forge.image import DATA, PAGED, TEXT, Image, Section, special
from tests.forge.ntnames import DATA_NAMES, EXPORTED, PAGE_NAMES, SPECIAL_NAMES, SPIN_NAMES, TEXT_NAMES, KernelNames
from tests.forge.pages import PAGE

# Frames that hold something of interest in their locals (wait chain entries, lock addresses).
LOCALS = {
    "ExpWaitForResource": 0x60,
    "ExAcquireFastResourceExclusive": 0x60,
    "ExfAcquirePushLockExclusiveEx": 0x60,
    "ExpAcquireFastMutexContended": 0x30,
    "PnpDeviceEventWorker": 0x40,
    "PnpProcessQueryRemoveAndEject": 0x60,
    "PnpBugcheckPowerTimeout": 0x60,
    "IopSynchronousCall": 0x70,
    "KiDispatchException": 0x600,  # an exception record and a context
}
EXCEPTION_FRAMES = ("KiBugCheckDispatch", "KiExceptionDispatch")


def kernel_image(base: int, names: KernelNames, build: int) -> Image:
    """The image of the kernel at ``base`` with a function for each name that is code."""
    image = Image("ntoskrnl.exe", base, names.size, _sections(names))
    image.path = "\\SystemRoot\\system32\\ntoskrnl.exe"
    image.company = "Microsoft Corporation"
    image.version = (*((10, 0) if build > 9600 else (6, 3) if build == 9600 else (6, 1)), build, 1000)
    image.timestamp = int.from_bytes(sha256(names.guid.encode()).digest()[:4], "little") & 0x7FFFFFFF
    image.pdb, image.guid = names.pdb, names.guid
    image.tables = names.tables
    image.debug = 0x800  # early in the image, where readers that look only at its first megabytes find it
    image.export_name = "ntoskrnl.exe"
    for name in (*TEXT_NAMES, *PAGE_NAMES, *SPIN_NAMES):
        if name in names:
            image.functions[name] = _function(name, names)
    for name, (kind, return_offset, _) in SPECIAL_NAMES.items():
        if name in names:
            offset = return_offset
            if name == "KiSystemCall64":
                offset = names.rvas["KiSystemServiceCopyEnd"] - names.rvas[name] + 0x28
            image.functions[name] = special(name, names.rvas[name], kind, offset)
    for name in EXCEPTION_FRAMES:
        if name in names:
            image.functions[name] = special(name, names.rvas[name], "swap", 0x69)
    image.exports = {name: names.rvas[name] for name in EXPORTED if name in names}
    return image


def _function(name: str, names: KernelNames) -> Function:
    number = int.from_bytes(sha256(f"nt!{name}".encode()).digest()[:2], "little")
    extent = names.extents[name]
    shape = code.shape_for(number, extent, LOCALS.get(name, 0x20))
    return Function(name, names.rvas[name], extent, shape, chained=extent > 0xA0 and number % 7 == 3)


def _sections(names: KernelNames) -> list[Section]:
    """Runs of symbols of one kind, each from the page of its first symbol to the page of the next run's."""
    kinds = dict.fromkeys(DATA_NAMES, DATA) | dict.fromkeys(names.pageable, PAGED)
    marks = sorted((rva, kinds.get(name, TEXT)) for name, rva in names.rvas.items())
    runs: list[tuple[int, str]] = []
    for rva, kind in marks:
        page = rva & -PAGE
        if not runs:
            runs.append((PAGE, kind))
        elif runs[-1][1] != kind and page > runs[-1][0]:
            runs.append((page, kind))
    runs.append((names.tables, DATA))
    titles = {TEXT: ".text", DATA: ".data", PAGED: "PAGE"}
    sections = [Section(titles[kind], start, end, kind) for (start, kind), (end, _) in pairwise(runs)]
    return [*sections, Section(".rdata", names.tables, names.size, DATA)]
