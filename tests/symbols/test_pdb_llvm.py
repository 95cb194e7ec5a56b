"""PDBs read by us and by LLVM's tools must say the same: on real pairs, and on drivers compiled here."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis.symbols.demangling import short_name
from analysis.symbols.names import PdbIdentity
from analysis.symbols.pdb import PdbTable, open_pdb
from analysis.symbols.pe import read_image
from tests.symbols import llvm
from tests.symbols.flat import FlatMemory

PAIRS = sorted((Path(__file__).parents[3] / "shared" / "data" / "pe_pdb").glob("*.pdb"))
NO_TOOLS = llvm.missing()
NO_PDBUTIL = NO_TOOLS if NO_TOOLS and "llvm-" in NO_TOOLS else None
BASE = 0xFFFF_F800_1000_0000
SECTION = r"VirtualAddress: 0x([0-9A-F]+)\s+RawDataSize: (\d+)\s+PointerToRawData: 0x([0-9A-F]+)"
MANY = 2500  # members; their field list needs more than one record

DRIVER = """
extern "C" int _fltused = 0;
namespace ns {
  struct Base { int b; virtual void f(); virtual ~Base(); };
  template <class T, int N> struct Queue { T items[N]; Queue *next; T get(int i) const; };
}
enum Color : unsigned char { Red, Green = 7, Blue = 200 };
enum class Wide : long long { Min = -9223372036854775807LL, Big = 0x123456789ABCLL };
struct Unknown;
union View { int i; float f; struct { unsigned short low, high; } halves; };
struct Bits { unsigned a : 3; unsigned b : 5; unsigned long long c : 40; int : 0; signed char d : 2; };
struct Other { double d; };
struct Virtual { long v; };
struct Many { MANY_MEMBERS };
struct Device : ns::Base, Other, virtual Virtual {
  Unknown *unknown; Color color; Wide wide; View view; Bits bits; ns::Queue<char, 5> queue; Many many;
  int (*callback)(int); int grid[3][4]; union { int x; char y[8]; }; struct { int inner; } named;
  static int count; enum { A1, A2 } state; volatile const int fixed; int &reference;
  Device(int &r) : fixed(1), reference(r) {}
  void f() override; int method(int) noexcept; ~Device() override;
};
struct Huge { char big[0x12345]; int tail; } huge;
int Device::count = 3;
void operator delete(void *, unsigned long long) {}
void operator delete(void *) {}
void ns::Base::f() { b++; }
ns::Base::~Base() { b = 0; }
Device::~Device() { state = A2; }
void Device::f() { grid[1][1] = 4; }
template <class T, int N> T ns::Queue<T, N>::get(int i) const { return items[i]; }
int Device::method(int k) noexcept { return queue.get(k) + grid[0][k]; }
static __declspec(noinline) int hidden(int a) { return a * 3 + Device::count; }
extern "C" void __chkstk() {}
extern "C" int DriverEntry(void *, void *) {
  int r = 1; Device device(r); device.f(); device.color = Green; device.bits.c = 5; huge.tail = 4;
  return hidden(device.method(2)) + (int)device.wide;
}
""".replace("MANY_MEMBERS", " ".join(f"int a_member_with_a_long_name_{n};" for n in range(MANY)))


@dataclass(frozen=True)
class Pair:
    """A PDB and its image."""

    pdb: Path
    image: Path


FORMS = {
    "plain": ((), ()),
    "optimised": ((), ("-O2", "-ffunction-sections")),
    "blocks of 32 KiB": (("/pdbpagesize:32768",), ()),
}


@pytest.fixture(scope="module", params=list(FORMS))
def driver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    if NO_TOOLS:
        pytest.skip(NO_TOOLS)
    options, arguments = FORMS[request.param]
    pdb = llvm.compiled(tmp_path_factory.mktemp("driver"), DRIVER, *options, arguments=arguments)
    return Pair(pdb, pdb.with_suffix(".sys"))


@pytest.fixture(scope="module", params=PAIRS or [Path("none")], ids=lambda path: path.stem)
def real(request: pytest.FixtureRequest) -> Pair:
    if not PAIRS:
        pytest.skip("no ../shared/data/pe_pdb")
    if NO_PDBUTIL:
        pytest.skip(NO_PDBUTIL)
    return Pair(request.param, request.param.with_suffix(".exe"))


def compare_types(pair: Pair) -> int:
    """Compares every definition; returns how many members, bases and enumerators were equal."""
    printed, table = llvm.types(pair.pdb), open_pdb(pair.pdb)
    types = table.types
    assert types is not None
    compared = 0
    seen = []
    for udt in types.definitions():
        described = printed.types[udt.index]
        assert (udt.name, udt.unique, described.forward) == (described.name, described.unique, False)
        if udt.kind != "enum":
            assert udt.size == described.size, udt.name
        fields = types.fields(udt)
        lists = _lists(printed, described.fields)
        members = [member for one in lists for member in printed.members[one]]
        assert [(one.name, one.type_index, one.offset) for one in fields.members] == members, udt.name
        assert [(one.type_index, one.offset) for one in fields.bases] == [
            b for one in lists for b in printed.bases[one]
        ]
        values = {name: value for one in lists for name, value in printed.enumerators[one].items()}
        assert fields.enumerators == values, udt.name
        for name, kind, _ in members:
            _compare_shape(table, printed, kind, f"{udt.name}.{name}")
        compared += len(members) + len(fields.bases) + len(values)
        seen.append(udt.index)
    assert seen == [index for index, one in printed.types.items() if not one.forward]
    assert table.problems == []
    return compared


def _lists(printed: llvm.Printed, first: int) -> list[int]:
    # The linker writes the end of a long list first: each record names the one that goes on.
    found = []
    while first:
        found.append(first)
        first = printed.continued.get(first, 0)
    return found


def _compare_shape(table: PdbTable, printed: llvm.Printed, kind: int, what: str) -> None:
    types = table.types
    assert types is not None
    shape = types.shape(kind)
    if kind in printed.bits:
        assert (shape.bit, shape.bits) == printed.bits[kind], what
    elif kind in printed.arrays:
        assert shape.size == printed.arrays[kind], what
    elif kind in printed.types and printed.types[kind].kind != "LF_ENUM":
        assert shape.size in (printed.sizes.get(printed.types[kind].name) or {0}), what
    elif kind in printed.pointers:
        assert (shape.size, shape.type_name[:1]) == (8, "*"), what
        target = printed.types.get(printed.pointers[kind])
        if target is not None and target.kind != "LF_ENUM" and "<unnamed" not in target.name:
            pointed = types.by_spelling(shape.type_name[1:])
            assert pointed is None or pointed.name == target.name, what
            assert pointed is not None or target.forward, what


def compare_publics(pair: Pair) -> int:
    """Compares every public symbol in both directions; returns how many have an address."""
    table, starts = open_pdb(pair.pdb), llvm.section_starts(pair.image)
    placed = [
        (name, starts[section - 1] + at) for name, section, at in llvm.publics(pair.pdb) if section <= len(starts)
    ]
    assert table.symbols is not None
    assert sorted(table.symbols.publics()) == sorted(placed)
    for name, rva in placed:
        found = table.rva(name)
        assert found == rva or (name, found) in placed, name
    return len(placed)


def compare_functions(pair: Pair) -> int:
    """Compares every function's place and size, and what its first and last byte are named."""
    table, starts = open_pdb(pair.pdb), llvm.section_starts(pair.image)
    expected = {(starts[section - 1] + at, size, name) for name, section, at, size in llvm.procedures(pair.pdb)}
    # Folded functions share an address; each module keeps one of its own.
    found = {(one.start, one.end - one.start, one.name) for one in table.functions()}
    assert {one[:2] for one in expected} <= {one[:2] for one in found}
    names: dict[int, set[str]] = {}
    for start, _, name in expected:
        names.setdefault(start, set()).add(name)
    for start, size, _ in expected:
        for rva in (start, start + size - 1) if size else ():
            named = table.nearest(rva)
            assert named is not None
            assert (named[0] in names[start], named[1]) == (True, rva - start), hex(rva)
    return len(expected)


def named_by_image(image: Path) -> PdbIdentity | None:
    """The PDB that an image names, read from its headers as they lie in memory."""
    data = image.read_bytes()
    mapped: dict[int, bytes | bytearray] = {BASE: data[:0x400].ljust(0x1000, b"\0")}
    for rva, size, at in re.findall(SECTION, llvm.run("llvm-readobj", "--sections", image)):
        start, whole = int(at, 16), -(-int(size) // 0x1000) * 0x1000
        mapped[BASE + int(rva, 16)] = data[start : start + int(size)].ljust(whole, b"\0")
    return read_image(FlatMemory(mapped), BASE).pdb


def test_the_image_names_its_pdb_as_we_read_it(real: Pair) -> None:
    named, own = named_by_image(real.image), open_pdb(real.pdb).identity
    assert named is not None
    assert (named.guid, named.age) == (own.guid, own.age)


def test_the_compiled_driver_names_its_pdb_as_we_read_it(driver: Pair) -> None:
    named = named_by_image(driver.image)
    assert named is not None
    assert named.name == "driver.pdb"
    open_pdb(driver.pdb, named).close()


def test_types_of_real_pdbs_are_llvm_s(real: Pair) -> None:
    assert compare_types(real) > 1000


def test_public_symbols_of_real_pdbs_are_llvm_s(real: Pair) -> None:
    assert compare_publics(real) > 300


def test_functions_of_real_pdbs_are_llvm_s(real: Pair) -> None:
    assert compare_functions(real) > 100


def test_types_of_a_compiled_driver_are_llvm_s(driver: Pair) -> None:
    assert compare_types(driver) > MANY


def test_public_symbols_of_a_compiled_driver_are_llvm_s(driver: Pair) -> None:
    assert compare_publics(driver) > 10


def test_functions_of_a_compiled_driver_are_llvm_s(driver: Pair) -> None:
    assert compare_functions(driver) > 5


def test_a_compiled_driver_s_layout_is_the_compiler_s(driver: Pair) -> None:
    table = open_pdb(driver.pdb)
    device = table.layout("Device")
    assert device is not None
    assert (device.offset("b"), device.offset("d")) == (8, 16)  # members of its bases
    assert device.fields["callback"].size == 8
    assert device.fields["grid"].size == 48
    assert device.offset("view.halves.high") == device.offset("view") + 2
    assert device.offset("named.inner") == device.offset("named")
    assert device.offset("x") == device.offset("y")
    last = f"a_member_with_a_long_name_{MANY - 1}"
    assert device.offset(f"many.{last}") == device.offset("many") + 4 * (MANY - 1)
    assert table.enumerators("Wide") == {"Min": -9223372036854775807, "Big": 0x123456789ABC}
    huge = table.layout("Huge")
    assert huge is not None
    assert huge.offset("tail") == 0x12348


def test_a_driver_with_public_symbols_alone_still_names_its_functions(tmp_path: Path) -> None:
    if NO_TOOLS:
        pytest.skip(NO_TOOLS)
    pdb = llvm.compiled(tmp_path, DRIVER, arguments=("-g0", "-ffunction-sections"))
    table = open_pdb(pdb)
    assert list(table.functions()) == []
    method = table.rva("?f@Device@@UEAAXXZ")
    assert method is not None
    assert table.nearest(method + 3) == ("?f@Device@@UEAAXXZ", 3)
    shown = [short_name(name) for name, _, _ in llvm.publics(pdb) if name.startswith("?")]
    assert len(shown) > 10
    assert [name for name in shown if name.startswith("?") or re.search(r"__cdecl|\(", name)] == []
    # The static function has no name, and the one in front of it does not lend its own.
    starts = {table.rva(name) for name, _, _ in llvm.publics(pdb)}
    parts = table.dbi.contributions
    unnamed = [start for start in parts.starts.tolist() if start < 0x2000 and start not in starts]
    assert unnamed
    assert [table.nearest(start + 1) for start in unnamed] == [None] * len(unnamed)
