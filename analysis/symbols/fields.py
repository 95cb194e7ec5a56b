"""Members of a structure by name, and members of its members by dotted name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from analysis.symbols.layout import Field, Layout


class NestedFields(Mapping[str, Field]):
    """A structure's own members, and through a dotted name those of the structures inside it.

    ``fields["ApcState.Process"]`` is the member ``Process`` of the member ``ApcState``, its offset counted from the
    outer structure. Only own members are iterated over. A pointer is never followed.
    """

    __slots__ = ("_direct", "_layout")

    def __init__(self, direct: Mapping[str, Field], layout: Callable[[str], Layout | None]) -> None:
        self._direct = direct
        self._layout = layout

    def __getitem__(self, name: str) -> Field:
        found = self._direct.get(name)
        if found is not None:
            return found
        outer, _, inner = name.partition(".")
        head = self._direct[outer]
        layout = self._layout(head.type_name) if inner and head.type_name[:1] not in ("", "*") else None
        if layout is None:
            raise KeyError(name)
        member = layout.fields[inner]
        return replace(member, offset=head.offset + member.offset)

    def __iter__(self) -> Iterator[str]:
        return iter(self._direct)

    def __len__(self) -> int:
        return len(self._direct)
