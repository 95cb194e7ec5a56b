"""Which module an address lies in, from what the text places: lists of modules, frames, shown instructions."""

from bisect import bisect_right
from collections.abc import Iterable

from analysis.address import VirtAddr
from analysis.formats.windbg.facts import WindbgText
from analysis.formats.windbg.modules import faulting_module
from analysis.formats.windbg.patterns import SYMBOL
from analysis.kernel.facts import Module
from analysis.kernel.printed.names import ImageNames

PAGE = 0x1000


def listed_modules(text: WindbgText, names: ImageNames) -> tuple[Module, ...]:
    """The modules that the text lists, loaded and unloaded, with what it says of them."""
    return tuple(
        Module(
            name=names.image(one.image or one.name),
            base=VirtAddr(one.start),
            size=one.end - one.start,
            timestamp=one.timestamp,
            version=one.version,
            vendor=one.vendor,
            unloaded=one.unloaded,
        )
        for one in text.modules
    )


def described_module(text: WindbgText, names: ImageNames) -> Module | None:
    """What the analysis itself says of the image it blames: its time stamp and version."""
    image, module = text.fields.get("IMAGE_NAME"), text.fields.get("MODULE_NAME")
    stamp, version = text.fields.get("DEBUG_FLR_IMAGE_TIMESTAMP", ""), text.fields.get("IMAGE_VERSION")
    if not image or not module or not (stamp or version):
        return None
    try:
        timestamp = int(stamp, 16) or None
    except ValueError:
        timestamp = None
    return Module(names.image(module), VirtAddr(0), 0, timestamp=timestamp, version=version)


def placed_modules(text: WindbgText, names: ImageNames) -> tuple[Module, ...]:
    """The stretch of memory that is surely each module's: from its base, or the lowest address placed in it, to the
    highest one. Smaller than the image; good for telling whose an address is, not for printing."""
    bases: dict[str, int] = {}
    ends: dict[str, int] = {}
    for point in text.points:
        found = SYMBOL.match(point.symbol)
        if found is None:
            continue
        name = names.image(found[1])
        low = point.address
        if not found[2] and found[3] and (start := point.address - int(found[3], 16)) > 0 and start % PAGE == 0:
            low = start
        bases[name] = min(bases.get(name, low), low)
        ends[name] = max(ends.get(name, 0), point.address + 1)
    base = faulting_module(text.fields.get("FAULTING_MODULE", ""))
    if base is not None:
        name = names.image(base[1])
        bases[name] = min(bases.get(name, base[0]), base[0])
        ends[name] = max(ends.get(name, 0), base[0] + PAGE)
    stretches = [Module(name, VirtAddr(bases[name]), ends[name] - bases[name]) for name in bases]
    return tuple(_apart(stretches))


def _apart(stretches: Iterable[Module]) -> Iterable[Module]:
    # Two names whose stretches overlap contradict each other (a name used twice, a wrong symbol): neither is believed.
    ordered = sorted(stretches, key=lambda one: one.base)
    for index, one in enumerate(ordered):
        before = index > 0 and max(other.end for other in ordered[:index]) > one.base
        behind = index + 1 < len(ordered) and ordered[index + 1].base < one.end
        if not before and not behind:
            yield one


def find_module(modules: tuple[Module, ...], address: int) -> Module | None:
    """The module of an address among modules sorted by base."""
    index = bisect_right([module.base for module in modules], address) - 1
    return modules[index] if index >= 0 and address < modules[index].end else None
