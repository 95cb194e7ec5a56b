"""Frames as they are printed: by the function that unwind data say the address is in, where names alone mislead."""

from analysis.address import VirtAddr
from analysis.kernel.facts import Frame
from analysis.kernel.images import Images
from analysis.kernel.symbolize import Symbolizer, named, plus, stem
from analysis.trust import Trust


def frame(names: Symbolizer, images: Images, address: int, sp: int, trust: Trust, *, called: bool) -> Frame:
    """The frame of ``address`` with the stack pointer ``sp``; ``called`` where it is a return address."""
    owner = names.owner(address)
    symbol = names.printed(address, called=called, find=lambda: _symbol(names, images, address, called=called))
    return Frame(VirtAddr(address), symbol, None if owner is None else owner.name, trust, VirtAddr(sp))


def _symbol(names: Symbolizer, images: Images, address: int, *, called: bool) -> str:
    # After a call that never returns, the return address is already the next function's first byte.
    inside = address - called
    module, found = names.module_at(inside), names.function(inside)
    if module is None:
        return names.name(address)
    if found is None and not names.has_names(module):
        return f"{stem(module)}{plus(address - module.base)}"
    part = images.of(module).part_of_function(inside - module.base)
    if found is not None and (part is None or inside - found[1] >= module.base + part.begin):
        return named(module, (found[0], found[1] + called))
    # The nearest name is another function's, or none is near. The rarely used parts of a function lie far from it,
    # behind the names of others; their unwind data are chained to the function's own. An export that is a
    # function's first byte is the name of all of it.
    own = names.function(module.base + part.function) if part is not None else None
    if part is not None and own is not None and own[1] == 0 and part.function <= inside - module.base:
        return named(module, (own[0], address - module.base - part.function))
    return f"{stem(module)}{plus(address - module.base)}"
