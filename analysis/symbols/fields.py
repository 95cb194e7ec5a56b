"""Members of a structure by name, members of its members by dotted name, and layouts completed from a second table."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from analysis.symbols.layout import Field, Layout
from analysis.symbols.names import SymbolTable


class _Remembered(Mapping[str, Field]):
    # What was asked for once is answered at once, also that it is not there: a walk of thousands of threads asks for
    # the same few members again and again.
    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, Field | None] = {}

    @abstractmethod
    def _find(self, name: str) -> Field | None:
        """The member, or None where there is none of that name."""

    def __getitem__(self, name: str) -> Field:
        found = self._known[name] if name in self._known else self._known.setdefault(name, self._find(name))
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        if name in self._known:
            return self._known[str(name)] is not None
        return super().__contains__(name)


class NestedFields(_Remembered):
    """A structure's own members, and through a dotted name those of the structures inside it.

    ``fields["ApcState.Process"]`` is the member ``Process`` of the member ``ApcState``, its offset counted from the
    outer structure. Only own members are iterated over. A pointer is never followed.
    """

    __slots__ = ("_direct", "_layout")

    def __init__(self, direct: Mapping[str, Field], layout: Callable[[str], Layout | None]) -> None:
        super().__init__()
        self._direct = direct
        self._layout = layout

    def _find(self, name: str) -> Field | None:
        found = self._direct.get(name)
        if found is not None:
            return found
        outer, _, inner = name.partition(".")
        head = self._direct.get(outer)
        layout = self._layout(head.type_name) if head and inner and head.type_name[:1] not in ("", "*") else None
        member = layout.fields.get(inner) if layout else None
        return replace(member, offset=head.offset + member.offset) if head and member else None

    def __iter__(self) -> Iterator[str]:
        return iter(self._direct)

    def __len__(self) -> int:
        return len(self._direct)


class _Either(_Remembered):
    # Members of two layouts of one structure; the first one's win.
    __slots__ = ("_first", "_second")

    def __init__(self, first: Mapping[str, Field], second: Mapping[str, Field]) -> None:
        super().__init__()
        self._first = first
        self._second = second

    def _find(self, name: str) -> Field | None:
        return self._first.get(name) or self._second.get(name)

    def __iter__(self) -> Iterator[str]:
        yield from self._first
        yield from (name for name in self._second if name not in self._first)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class CompletedTable:
    """A kernel's own table, and for the structures and members that it lacks another one of the same layouts.

    A table cut down to what somebody needed must not make an analysis poorer than no table at all.
    """

    def __init__(self, own: SymbolTable, other: SymbolTable) -> None:
        self._own = own
        self._other = other
        self.origin = own.origin
        self.has_functions = own.has_functions
        self._layouts: dict[str, Layout | None] = {}

    def rva(self, name: str) -> int | None:
        """The RVA of a symbol of the own table, or None."""
        return self._own.rva(name)

    def nearest(self, rva: int) -> tuple[str, int] | None:
        """The symbol of the own table at or below ``rva`` and the distance to it in bytes, or None."""
        return self._own.nearest(rva)

    def layout(self, name: str) -> Layout | None:
        """The layout of a structure with the members of both tables, or None: neither knows it."""
        if name not in self._layouts:
            own, other = self._own.layout(name), self._other.layout(name)
            both = Layout(name, own.size, _Either(own.fields, other.fields)) if own and other else None
            self._layouts[name] = both or own or other
        return self._layouts[name]


def agree(one: SymbolTable, other: SymbolTable, structures: tuple[str, ...]) -> bool:
    """Whether two tables put every member that both know of the given structures at the same place."""
    for name in structures:
        first, second = one.layout(name), other.layout(name)
        if first is None or second is None:
            continue
        if any(first.fields[member].offset != second.offset(member) for member in second.fields if first.has(member)):
            return False
    return True
