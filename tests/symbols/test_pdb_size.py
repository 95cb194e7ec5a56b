"""A large PDB is opened fast and in little memory. Compiled here, so that its shape is a linker's and not ours."""

from pathlib import Path

import pytest

from tests.symbols import llvm
from tests.symbols.measured import measure

NO_TOOLS = llvm.missing()
MEGABYTES = 25
PARTS, TYPES = 4, 5400  # object files, and structures in each

ITEM = """namespace {part}_{space} {{
struct S{n} {{ int a; unsigned long long b; S{n} *next; unsigned low : 3; unsigned high : {bits}; char name[{size}];
  union {{ int x; float y; }} u; int m{n}(int, char); }};
enum E{n} {{ E{n}_A = {n}, E{n}_B }};
int S{n}::m{n}(int q, char c) {{ E{n} e = E{n}_B; return a * q + (int)e + c; }}
S{n} g{n};
}}
"""


def big(directory: Path, *options: str) -> Path:
    """A driver's PDB of at least 25 MB. What is compiled already in a directory is only linked again."""
    flags = ("--target=x86_64-pc-windows-msvc", "-g", "-gcodeview", "-fno-exceptions", "-fno-rtti", "-w", "-c")
    for part in "abcdefgh"[:PARTS]:
        items = (ITEM.format(part=part, n=n, space=n % 37, bits=n % 20 + 1, size=n % 60 + 1) for n in range(TYPES))
        (directory / f"{part}.cpp").write_text('extern "C" int _fltused;\n' + "".join(items))
        if not (directory / f"{part}.obj").exists():
            llvm.run("clang", *flags, f"{part}.cpp", "-o", f"{part}.obj", cwd=directory)
    (directory / "main.cpp").write_text(
        'extern "C" int _fltused = 0; extern "C" int DriverEntry(void *, void *) { return 3; }'
    )
    llvm.run("clang", *flags, "main.cpp", "-o", "main.obj", cwd=directory)
    llvm.run(
        *("lld-link", "/driver", "/subsystem:native", "/entry:DriverEntry", "/nodefaultlib", "/debug", "/opt:noref"),
        *("/out:big.sys", "/pdb:big.pdb", *options, "main.obj", *(f"{part}.obj" for part in "abcdefgh"[:PARTS])),
        cwd=directory,
    )
    return directory / "big.pdb"


@pytest.mark.slow
@pytest.mark.skipif(NO_TOOLS is not None, reason=str(NO_TOOLS))
def test_a_large_pdb_is_indexed_in_half_a_second_and_100_mb(tmp_path: Path) -> None:
    path = big(tmp_path)
    assert path.stat().st_size > MEGABYTES * 1_000_000
    cold, warm = measure(path), measure(path, tmp_path / "cache", times=5)
    print(f"{path.stat().st_size / 1e6:.1f} MB: {cold}, from our cache {warm}")
    assert cold.types > 100_000
    assert (cold.symbols, cold.types) == (warm.symbols, warm.types)
    assert cold.wall < 0.5
    assert warm.cpu < 0.03
    assert max(cold.peak, warm.peak) < 100e6
