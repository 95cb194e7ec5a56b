"""Unwind data as ``llvm-readobj --unwind`` prints them, and ours in the same words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from analysis.kernel.arm64_codes import D0, FP, LR, Op, Step
from analysis.kernel.unwind_codes import Code
from analysis.kernel.unwind_codes import Op as Op64
from tests.symbols.llvm import run

REGISTERS = (
    "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
)  # fmt: skip
# What the printer of LLVM 14 does not know yet, as it prints it: the signing of a return address.
UNKNOWN = "Bad opcode!"


@dataclass
class Printed:
    """One function: its fields by name as printed, and the codes of its prologue and of each epilogue."""

    fields: dict[str, str] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)
    epilogs: list[list[str]] = field(default_factory=list)

    def number(self, name: str) -> int:
        """A field that is a number, in decimal or hex, in parentheses or not."""
        found = re.search(r"0x[0-9A-Fa-f]+|\d+", self.fields[name])
        assert found is not None, self.fields
        return int(found[0], 0)


def printed(image: Path) -> list[Printed]:
    """Every function of an image, in the order of its table."""
    functions: list[Printed] = []
    for line in run("llvm-readobj", "--unwind", image).splitlines():
        text = line.strip()
        if text == "RuntimeFunction {":
            functions.append(Printed())
        elif not functions:
            continue
        elif text in ("EpilogueScope {", "Epilogue ["):
            functions[-1].epilogs.append([])
        elif code := _code(text):
            codes = functions[-1].epilogs[-1] if functions[-1].epilogs else functions[-1].codes
            codes.append(code)
        elif ": " in text:
            name, value = text.split(": ", 1)
            if name == "StartOffset":
                functions[-1].fields[f"StartOffset{len(functions[-1].epilogs) - 1}"] = value
            else:
                functions[-1].fields.setdefault(name, value)
        elif text.startswith("Flags ["):
            functions[-1].fields["Flags"] = text
    return functions


def _code(text: str) -> str | None:
    if found := re.match(r"0x[0-9a-f]+ +; (.*)", text):  # ARM64, a full record
        return found[1]
    if re.match(r"0x[0-9A-F]{2}: [A-Z_0-9]+", text):  # x64
        return text
    packed = re.match(r"(stp|str|ldp|ldr|sub|add|mov|pacibsp|end|nop)\b", text)
    return text if packed and ": " not in text else None


def x64_code(code: Code, frame_offset: int, frame_register: int) -> str:
    """A step of x64."""
    place, name = f"0x{code.prolog_offset:02X}: {code.op.name}", REGISTERS[code.info]
    match code.op:
        case Op64.PUSH_NONVOL:
            return f"{place} reg={name}"
        case Op64.ALLOC_SMALL | Op64.ALLOC_LARGE:
            return f"{place} size={code.value}"
        case Op64.SET_FPREG:
            return f"{place} reg={REGISTERS[frame_register]}, offset=0x{frame_offset:X}"
        case Op64.SAVE_NONVOL | Op64.SAVE_NONVOL_FAR:
            return f"{place} reg={name}, offset=0x{code.value:X}"
        case Op64.SAVE_XMM128 | Op64.SAVE_XMM128_FAR:
            return f"{place} reg=XMM{code.info}, offset=0x{code.value:X}"
        case Op64.PUSH_MACHFRAME:
            return f"{place} errcode={'yes' if code.info else 'no'}"
        case _:
            raise AssertionError(code)


def arm64_codes(steps: tuple[Step, ...], *, epilog: bool) -> list[str]:
    """The steps of an ARM64 prologue or epilogue, with its end."""
    return [*(_arm64_code(step, epilog=epilog) for step in steps), "end"]


def _arm64_code(step: Step, *, epilog: bool) -> str:
    match step.op:
        case Op.ALLOC:
            return f"{'add' if epilog else 'sub'} sp, #{step.size}"
        case Op.SET_FP if step.size:
            return f"sub sp, fp, #{step.size}" if epilog else f"add fp, sp, #{step.size}"
        case Op.SET_FP:
            return "mov sp, fp" if epilog else "mov fp, sp"
        case Op.NOP:
            return "nop"
        case Op.SIGN_LR:
            return UNKNOWN
        case Op.SAVE:
            names = ", ".join(_register(number, step) for number in step.registers)
            verb = ("ld" if epilog else "st") + ("p" if len(step.registers) == 2 else "r")
            if step.size:
                return f"{verb} {names}, [sp], #{step.size}" if epilog else f"{verb} {names}, [sp, #-{step.size}]!"
            return f"{verb} {names}, [sp, #{step.offset}]"
        case _:
            return str(step.op.value).replace("_", " ")


def _register(number: int, step: Step) -> str:
    if number == LR and step.registers[0] not in (FP, LR):
        return "lr"
    return f"d{number - D0}" if number >= D0 else f"x{number}"


def resolved(codes: list[str]) -> Iterator[str]:
    """Printed codes with each "save next" replaced by the pair that it stands for."""
    pending = 0
    for code in codes:
        if code in ("save next", "restore next"):
            pending += 1
            continue
        pair = re.match(r"(stp|ldp) ([xd])(\d+), [xd]\d+, \[sp(?:, #(-?\d+))?\](!?)", code)
        for place in range(pending, 0, -1):
            assert pair is not None, code
            first = int(pair[3]) + 2 * place
            base = 0 if pair[5] or pair[4] is None else int(pair[4])
            yield f"{pair[1]} {pair[2]}{first}, {pair[2]}{first + 1}, [sp, #{base + 16 * place}]"
        pending = 0
        yield code
