"""Names of executive objects: what a program called its mutex or event ("\\BaseNamedObjects\\Setup").

An object lies behind its OBJECT_HEADER, and a named one has an OBJECT_HEADER_NAME_INFO in front of that; InfoMask says
which parts there are (bit 0: the creator's, as long as four pointers, nearest to the header; bit 1: the name's). Many
mutexes are no objects at all but parts of a driver's data, so nothing is believed that does not read like a name.
"""

from analysis.errors import Unreadable
from analysis.kernel.names import KernelNames
from analysis.memory.reader import Memory
from analysis.symbols.layout import Struct

_CREATOR, _NAME = 1, 2
_MAX_CHARACTERS = 260
_MAX_COUNT = 1 << 24  # references: more than that is no count


def object_name(memory: Memory, names: KernelNames, address: int) -> str | None:
    """The name of the object whose body is at ``address``, without its directory; None where it has none."""
    header_layout, info_layout = names.layout("_OBJECT_HEADER"), names.layout("_OBJECT_HEADER_NAME_INFO")
    if header_layout is None or info_layout is None or not header_layout.has("InfoMask"):
        return None
    body = (
        header_layout.fields["Body"].offset if header_layout.has("Body") else header_layout.size - memory.pointer_size
    )
    header = Struct(memory, header_layout, address - body)
    try:
        mask = header.u8("InfoMask")
        if not mask & _NAME or not 0 < memory.u32(header.address) < _MAX_COUNT:
            return None
        creator = 4 * memory.pointer_size if mask & _CREATOR else 0
        info = Struct(memory, info_layout, header.address - creator - info_layout.size)
        return _text(info)
    except Unreadable:
        return None


def _text(info: Struct) -> str | None:
    # A UNICODE_STRING in kernel memory: even lengths, the buffer at least as long as the text, printable.
    at = info.address_of("Name")
    length, room, buffer = info.memory.u16(at), info.memory.u16(at + 2), info.memory.pointers(at, 2)[1]
    if not length or length % 2 or length > room or length > 2 * _MAX_CHARACTERS or not info.memory.is_kernel(buffer):
        return None
    directory = info.pointer("Directory")
    if directory and not info.memory.is_kernel(directory):
        return None
    text = info.memory.read(buffer, length).decode("utf-16-le", "replace")
    return text if text.isprintable() and "\ufffd" not in text else None
