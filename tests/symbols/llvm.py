"""What LLVM's tools say about a PDB, and drivers that clang and lld make: an oracle that shares no code with us."""

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

TOOLS = ("clang", "lld-link", "llvm-pdbutil", "llvm-readobj")
SECONDS = 300


def missing() -> str | None:
    """Which of LLVM's tools are not installed, as a reason to skip; None where all are."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)} (Debian: clang, lld, llvm)" if absent else None


def run(*arguments: str | Path, cwd: Path | None = None) -> str:
    """The output of a tool that must succeed."""
    done = subprocess.run(
        [str(argument) for argument in arguments], capture_output=True, check=False, cwd=cwd, timeout=SECONDS
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[:2000]
    return done.stdout.decode("utf-8", "replace")


def compiled(directory: Path, source: str, *options: str, arguments: tuple[str, ...] = ()) -> Path:
    """Compiles and links a driver for x64 Windows; returns its PDB, the image lies beside it as driver.sys."""
    (directory / "driver.cpp").write_text(source)
    run(
        *("clang", "--target=x86_64-pc-windows-msvc", "-g", "-gcodeview", "-fno-exceptions", "-fno-rtti", "-w"),
        *(*arguments, "-c", "driver.cpp", "-o", "driver.obj"),
        cwd=directory,
    )
    run(
        *("lld-link", "/driver", "/subsystem:native", "/entry:DriverEntry", "/nodefaultlib", "/debug"),
        *("/out:driver.sys", "/pdb:driver.pdb", *options, "driver.obj"),
        cwd=directory,
    )
    return directory / "driver.pdb"


@dataclass
class Described:
    """A type as llvm-pdbutil prints it."""

    kind: str
    name: str
    size: int
    fields: int
    unique: str = ""
    forward: bool = False


@dataclass
class Printed:
    """All types of a PDB as llvm-pdbutil prints them. Field lists hold (name, type, offset) and enumerators."""

    types: dict[int, Described] = field(default_factory=dict)
    members: dict[int, list[tuple[str, int, int]]] = field(default_factory=dict)
    bases: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    enumerators: dict[int, dict[str, int]] = field(default_factory=dict)
    continued: dict[int, int] = field(default_factory=dict)
    bits: dict[int, tuple[int, int]] = field(default_factory=dict)
    arrays: dict[int, int] = field(default_factory=dict)
    pointers: dict[int, int] = field(default_factory=dict)

    @cached_property
    def sizes(self) -> dict[str, set[int]]:
        """The sizes of the definitions of each name."""
        found: dict[str, set[int]] = {}
        for one in self.types.values():
            if one.size:
                found.setdefault(one.name, set()).add(one.size)
        return found


RECORD = re.compile(r"\s+(0x[0-9A-F]+) \| (LF_\w+) \[size = \d+\](?: `(.*)`)?$")
MEMBER = re.compile(r"\s+- LF_MEMBER \[name = `(.*)`, Type = (0x[0-9A-F]+)[^,]*(?: \(.*\))?, offset = (\d+),")
BASE_DETAIL = re.compile(r"\s+type = (0x[0-9A-F]+), offset = (\d+)")
ENUMERATE = re.compile(r"\s+- LF_ENUMERATE \[(.*) = (-?\d+)\]")
INDEX = re.compile(r"\s+- LF_INDEX continuation = (0x[0-9A-F]+)")
FIELD_LIST = re.compile(r"field list: (<no type>|0x[0-9A-F]+)")
BITS = re.compile(r"\s+type = (0x[0-9A-F]+)[^,]*, bit offset = (\d+), # bits = (\d+)")


def types(pdb: Path) -> Printed:
    """What ``llvm-pdbutil dump --types`` prints."""
    found = Printed()
    index, kind = 0, ""
    for line in run("llvm-pdbutil", "dump", "--types", pdb).splitlines():
        record = RECORD.match(line)
        if record:
            index, kind = int(record[1], 16), record[2]
            found.members[index], found.bases[index], found.enumerators[index] = [], [], {}
            if kind in ("LF_STRUCTURE", "LF_CLASS", "LF_UNION", "LF_ENUM", "LF_INTERFACE"):
                found.types[index] = Described(kind, record[3] or "", 0, 0)
        elif kind == "LF_FIELDLIST":
            _field(found, index, line)
        elif index in found.types:
            _detail(found.types[index], line)
        elif kind == "LF_BITFIELD" and (bits := BITS.match(line)):
            found.bits[index] = int(bits[2]), int(bits[3])
        elif kind == "LF_ARRAY" and (size := re.match(r"\s+size: (\d+),", line)):
            found.arrays[index] = int(size[1])
        elif kind == "LF_POINTER" and (target := re.match(r"\s+referent = (0x[0-9A-F]+)", line)):
            found.pointers[index] = int(target[1], 16)
    return found


def _field(found: Printed, index: int, line: str) -> None:
    if member := MEMBER.match(line):
        found.members[index].append((member[1], int(member[2], 16), int(member[3])))
    elif base := BASE_DETAIL.match(line):
        found.bases[index].append((int(base[1], 16), int(base[2])))
    elif value := ENUMERATE.match(line):
        found.enumerators[index][value[1]] = int(value[2])
    elif more := INDEX.match(line):
        found.continued[index] = int(more[1], 16)


def _detail(described: Described, line: str) -> None:
    if fields := FIELD_LIST.search(line):
        described.fields = 0 if fields[1].startswith("<") else int(fields[1], 16)
    if size := re.search(r"sizeof (\d+)", line):
        described.size = int(size[1])
    if "forward ref" in line:
        described.forward = True
    if unique := re.match(r"\s+unique name: `(.*)`$", line):
        described.unique = unique[1]


def publics(pdb: Path) -> list[tuple[str, int, int]]:
    """Name, section and offset of each public symbol."""
    return _placed(run("llvm-pdbutil", "dump", "--publics", pdb), r"S_PUB32 \[size = \d+\] `(.*)`$")


def procedures(pdb: Path) -> list[tuple[str, int, int, int]]:
    """Name, section, offset and bytes of each function of each module."""
    output = run("llvm-pdbutil", "dump", "--symbols", pdb)
    pattern = r"S_[GL]PROC32(?:_ID)? \[size = \d+\] `(.*)`\n.*addr = (\d{4}):(\d+), code size = (\d+)"
    return [(one[0], int(one[1]), int(one[2]), int(one[3])) for one in re.findall(pattern, output)]


def _placed(output: str, what: str) -> list[tuple[str, int, int]]:
    found = re.findall(what + r"\n.*addr = (\d{4}):(\d+)", output, re.MULTILINE)
    return [(name, int(section), int(offset)) for name, section, offset in found]


def section_starts(image: Path) -> list[int]:
    """The RVA of each section of an image, the first first."""
    output = run("llvm-readobj", "--sections", image)
    return [int(rva, 16) for rva in re.findall(r"VirtualAddress: (0x[0-9A-F]+)", output)]
