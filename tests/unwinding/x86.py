"""32-bit code that clang compiles, run instruction by instruction, and its stacks held against its true call chain.

The chain is kept by watching calls and returns alone; neither frame data nor frame pointers are looked at.
"""

import struct
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.address import PAGE_SIZE, VirtAddr
from analysis.errors import Absence, Unreadable
from analysis.kernel.facts import Module, Stack
from analysis.kernel.image_files import ImageFiles
from analysis.kernel.stacks import Walker
from analysis.memory.reader import Memory
from analysis.symbols.pdb import PdbTable
from analysis.symbols.search import find_files
from analysis.trust import Trust
from tests.forge.x86 import context
from tests.kernel.invented import Names
from tests.symbols.llvm import run

BASE, STACK, STACK_SIZE = 0x8C00_0000, 0x9000_0000, 0x10000
MOST = 60_000  # instructions
VISITS = 3  # of one instruction: more of them look alike
SETS = tuple(
    (f"-O{level}", pointer)
    for level in ("0", "1", "2", "s")
    for pointer in ("-fomit-frame-pointer", "-fno-omit-frame-pointer")
)
_CALLS, _RETURNS = (0xE8,), (0xC3, 0xC2)


class Kernel(Names):
    """A kernel that has nothing to say."""

    exact = False
    names = None


@dataclass
class Score:
    """Frames right and wrong by trust, of ``total`` that a perfect walk would find at ``moments`` moments."""

    right: Counter[Trust] = field(default_factory=Counter)
    wrong: Counter[Trust] = field(default_factory=Counter)
    total: int = 0
    moments: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, other: "Score") -> None:
        """Adds another program's."""
        self.right.update(other.right)
        self.wrong.update(other.wrong)
        self.total, self.moments = self.total + other.total, self.moments + other.moments
        self.complaints += other.complaints


class _Mapped(Memory):
    """An image as the loader maps it, and the emulator's stack."""

    pointer_size = 4

    def __init__(self, image: bytes) -> None:
        self.image = image
        self.machine: Any = None

    def read(self, address: int, size: int) -> bytes:
        if address >= BASE and address + size <= BASE + len(self.image):
            return self.image[address - BASE : address - BASE + size]
        if address >= STACK and address + size <= STACK + STACK_SIZE:
            return bytes(self.machine.mem_read(address, size))
        raise Unreadable(address, Absence.NOT_SAVED)


def compiled(directory: Path, *options: str) -> Path:
    """Compiles and links the features; returns the PDB, beside driver.sys."""
    source = Path(__file__).parent / "features_x86.c"
    run(
        *("clang", "--target=i686-pc-windows-msvc", "-g", "-gcodeview", "-fms-extensions", "-ffreestanding", "-w"),
        *("-mno-stack-arg-probe", *options, "-c", str(source), "-o", "driver.obj"),
        cwd=directory,
    )
    run(
        *("lld-link", "/driver", "/subsystem:native", "/entry:entry", "/nodefaultlib", "/debug", "/safeseh:no"),
        *(f"/base:{BASE:#x}", "/out:driver.sys", "/pdb:driver.pdb", "driver.obj"),
        cwd=directory,
    )
    return directory / "driver.pdb"


def mapped(path: Path) -> tuple[bytes, int]:
    """An image file as it lies in memory, and the RVA of its entry."""
    data = path.read_bytes()
    at = int.from_bytes(data[0x3C:0x40], "little")
    sections, optional = (int.from_bytes(data[at + where : at + where + 2], "little") for where in (6, 20))
    entry, size = (int.from_bytes(data[at + where : at + where + 4], "little") for where in (24 + 16, 24 + 56))
    image = bytearray(size + PAGE_SIZE - 1 & -PAGE_SIZE)
    image[:0x400] = data[:0x400]
    for number in range(sections):
        length, rva, raw, offset = struct.unpack_from("<4I", data, at + 24 + optional + 40 * number + 8)
        part = data[offset : offset + min(raw, length)]
        image[rva : rva + len(part)] = part
    return bytes(image), entry


def judge(options: tuple[str, ...], *, symbols: bool = True, from_file: bool = False) -> Score:
    """Runs the program compiled with these options, and walks its stack at every instruction.

    ``from_file``: the walk has the image from its file alone, as that of a small dump.
    """
    with TemporaryDirectory() as name:
        pdb = compiled(Path(name), *options)
        image, entry = mapped(pdb.with_suffix(".sys"))
        table = PdbTable(pdb)
        try:
            files = ImageFiles(find_files((pdb.parent,), {})) if from_file else None
            return _Run(image, entry, table if symbols else None, " ".join(options), files).run()
        finally:
            table.close()


class _Run:
    def __init__(
        self, image: bytes, entry: int, table: PdbTable | None, label: str, files: ImageFiles | None = None
    ) -> None:
        uc, x86 = import_module("unicorn"), import_module("unicorn.x86_const")
        self.esp, self.ebp, self.ebx = x86.UC_X86_REG_ESP, x86.UC_X86_REG_EBP, x86.UC_X86_REG_EBX
        self.machine = uc.Uc(uc.UC_ARCH_X86, uc.UC_MODE_32)
        self.memory = _Mapped(b"" if files else image)
        self.memory.machine = self.machine
        self.machine.mem_map(BASE, len(image))
        self.machine.mem_write(BASE, image)
        self.machine.mem_map(STACK, STACK_SIZE)
        self.machine.reg_write(self.esp, STACK + STACK_SIZE - 0x100)
        self.machine.hook_add(uc.UC_HOOK_CODE, self._look)
        new = int.from_bytes(image[0x3C:0x40], "little")
        stamp, size = (int.from_bytes(image[new + at : new + at + 4], "little") for at in (8, 24 + 56))
        modules = [Module("driver.sys", VirtAddr(BASE), size, stamp)]
        self.walker = Walker(self.memory, Kernel(), modules, tables={BASE: table} if table else {}, files=files)
        self.entry, self.label = BASE + entry, label
        self.chain: list[int] = []
        self.visits: Counter[int] = Counter()
        self.before = b""
        self.score = Score()

    def run(self) -> Score:
        self.machine.emu_start(self.entry, 0, count=MOST)
        return self.score

    def _look(self, machine: Any, address: int, size: int, _: Any) -> None:
        esp = machine.reg_read(self.esp)
        if self._is_call(self.before):
            self.chain.append(int.from_bytes(machine.mem_read(esp, 4), "little"))
        elif self.before[:1] and self.before[0] in _RETURNS and self.chain:
            self.chain.pop()
        self.before = bytes(machine.mem_read(address, size))
        self.visits[address] += 1
        if self.visits[address] > VISITS:
            return
        start = bytearray(context(address, esp, machine.reg_read(self.ebp)))
        struct.pack_into("<I", start, 0xA4, machine.reg_read(self.ebx))
        self._hold(address, self.walker.context_stack(bytes(start)))

    def _is_call(self, code: bytes) -> bool:
        return bool(code) and (code[0] in _CALLS or (code[0] == 0xFF and code[1] >> 3 & 7 == 2))

    def _hold(self, address: int, stack: Stack) -> None:
        truth = [address, *reversed(self.chain)]
        score = self.score
        score.moments += 1
        score.total += len(truth) - 1
        for number, frame in enumerate(stack.frames[1:], 1):
            right = number < len(truth) and truth[number] == frame.address
            (score.right if right else score.wrong)[frame.trust] += 1
            if not right and frame.trust >= Trust.UNWIND:
                wanted = f"{truth[number]:#x}" if number < len(truth) else "no more frame"
                score.complaints.append(
                    f"{self.label}: at {address:#x} frame {number} is {frame.address:#x}, not {wanted}"
                )


def main() -> int:
    """Prints a line a set of options; 1 where a frame with trust "unwind" is wrong."""
    total = Score()
    print(f"{'options':32}{'symbols':>8}{'moments':>8}{'frames':>8}{'found':>8}  right (wrong) by trust")
    for options in SETS:
        for symbols in (True, False):
            found = judge(options, symbols=symbols)
            total.add(found)
            _print(" ".join(options), "yes" if symbols else "no", found)
    _print("all", "", total)
    print(*total.complaints[:20], sep="\n")
    return 1 if total.wrong[Trust.UNWIND] else 0


def _print(label: str, symbols: str, found: Score) -> None:
    grades = sorted(set(found.right) | set(found.wrong), reverse=True)
    shown = ", ".join(f"{one.label} {found.right[one]} ({found.wrong[one]})" for one in grades)
    print(f"{label:32}{symbols:>8}{found.moments:>8}{found.total:>8}{sum(found.right.values()):>8}  {shown}")


if __name__ == "__main__":
    raise SystemExit(main())
