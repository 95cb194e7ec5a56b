"""Programs for the emulator: compiled for 64-bit Windows on x64 and ARM64 by clang, linked by lld as drivers."""

import random
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.symbols.llvm import run

HERE = Path(__file__).parent
BASE = 0xFFFF_F800_1234_0000
TARGETS = {"x64": "x86_64-pc-windows-msvc", "arm64": "aarch64-pc-windows-msvc"}
OPTIMIZATIONS = ("0", "1", "2", "s")


@dataclass(frozen=True)
class Program:
    """A driver as the loader maps it: its bytes from ``BASE`` on, the address of its first function and of the one
    that ends a run, and the bytes of its code section. ``file`` is the image as it lies on disk."""

    architecture: str
    data: bytes
    entry: int
    stop: int
    code_size: int
    file: bytes


@cache
def compiled(architecture: str, optimization: str, seed: int = 0, options: tuple[str, ...] = ()) -> Program:
    """Every feature of ``features.c`` and ``objects.cpp``; a ``seed`` other than 0 adds functions made at random."""
    target = f"--target={TARGETS[architecture]}"
    generated = ("-DWITH_GENERATED",) if seed else ()
    with TemporaryDirectory() as name:
        folder = Path(name)
        common = (
            "clang",
            target,
            f"-O{optimization}",
            "-ffreestanding",
            "-fasynchronous-unwind-tables",
            "-w",
            *options,
            "-c",
        )
        sources = [HERE / "features.c"]
        if seed:
            (folder / "generated.c").write_text(random_functions(seed))
            sources.append(folder / "generated.c")
        for source in sources:
            run(*common, "-fms-extensions", "-DWITH_SEH", "-DWITH_CPP", *generated, source, cwd=folder)
        run(*common, "-fcxx-exceptions", "-fexceptions", "-fno-rtti", HERE / "objects.cpp", cwd=folder)
        run("clang", target, "-c", HERE / f"support_{architecture}.s", "-o", "support.o", cwd=folder)
        objects = sorted(path.name for path in folder.glob("*.o*"))
        run(
            *("lld-link", "/driver", "/subsystem:native", "/entry:DriverEntry", "/nodefaultlib", f"/base:{BASE:#x}"),
            *("/out:program.sys", "/export:stop", *objects),
            cwd=folder,
        )
        return _mapped(architecture, (folder / "program.sys").read_bytes())


def _mapped(architecture: str, raw: bytes) -> Program:
    (new,) = struct.unpack_from("<I", raw, 0x3C)
    sections, size = struct.unpack_from("<H", raw, new + 6)[0], struct.unpack_from("<H", raw, new + 20)[0]
    entry, image_size, headers = (struct.unpack_from("<I", raw, new + 24 + at)[0] for at in (0x10, 0x38, 0x3C))
    data = bytearray(image_size)
    data[:headers] = raw[:headers]
    (code_size,) = struct.unpack_from("<I", raw, new + 24 + size + 8)  # the code is the first section
    for index in range(sections):
        _, rva, length, at = struct.unpack_from("<IIII", raw, new + 24 + size + 40 * index + 8)
        data[rva : rva + length] = raw[at : at + length]
    (exports,) = struct.unpack_from("<I", data, new + 24 + 112)
    functions, _, ordinals = struct.unpack_from("<III", data, exports + 28)
    (ordinal,) = struct.unpack_from("<H", data, ordinals)
    (stop,) = struct.unpack_from("<I", data, functions + 4 * ordinal)
    return Program(architecture, bytes(data), BASE + entry, BASE + stop, code_size, raw)


def random_functions(seed: int, count: int = 24) -> str:
    """C functions made at random: each calls later ones only, so that every run ends."""
    choose = random.Random(seed)
    text = ["typedef unsigned long long u64;", "#define NOINLINE __attribute__((noinline))"]
    text += ["extern u64 leaf(u64);", "extern volatile u64 sink;"]
    text += [f"u64 g{index}(u64, u64, double);" for index in range(count)]
    for index in reversed(range(count)):
        text.append(_random_function(choose, index, count))
    return "\n".join([*text, "u64 generated(u64 a) { return g0(a, a + 1, 2.5) + g1(a, 3, 1.5); }", ""])


def _random_function(choose: random.Random, index: int, count: int) -> str:
    def call() -> str:
        later = range(index + 1, min(index + 7, count))
        if not later or choose.random() < 0.25:
            return f"leaf(a + {choose.randrange(99)})"
        return f"g{choose.choice(later)}(a + {choose.randrange(9)}, b ^ {choose.randrange(99)}, d * 1.25)"

    body = []
    if choose.random() < 0.4:
        size = choose.choice((3, 10, 60, 300, 600, 3000, 6000))
        body.append(f"volatile u64 fixed[{size}]; fixed[a % {size}] = b; b += fixed[b % {size}] & 1;")
    if choose.random() < 0.25:
        body.append(f"volatile u64 *more = __builtin_alloca((b % {choose.choice((5, 90, 700))} + 1) * 8); more[0] = a;")
    values = [f"x{number}" for number in range(choose.randrange(1, 7))]
    body += [f"u64 {value} = a * {choose.randrange(2, 99)} + {call() if choose.random() < 0.3 else 'b'};"
             for value in values]  # fmt: skip
    doubles = [f"y{number}" for number in range(choose.choice((0, 0, 0, 2, 5)))]
    body += [f"double {value} = d * {choose.random():.3f} + (double)a;" for value in doubles]
    for _ in range(choose.randrange(1, 3)):
        body.append(f"{choose.choice(values)} ^= {call()};")
    if choose.random() < 0.3:
        body.append(f"if (b % {choose.randrange(2, 5)} == 1) return {call()};")
    if choose.random() < 0.2:
        body.append(f"for (int i = 0; i < {choose.randrange(1, 3)}; i++) sink = {call()} + i;")
    if choose.random() < 0.25:
        body.append(f"return {call()};")
    total = " + ".join([*values, *(f"(u64)({value} * d)" for value in doubles)])
    return f"NOINLINE u64 g{index}(u64 a, u64 b, double d) {{ {' '.join(body)} return {total}; }}"
