"""Stack frames, right or wrong, at every instruction of compiled code: ``python -m tests.unwind_table [programs]``.

Each row is an architecture and what of the image was saved. ``programs`` is how many random programs are compiled for
each optimization, beside the one that holds every feature; the exit code is 1 where a frame with trust "unwind" or
"context" is wrong, or where frames are missing although everything was saved.
"""

import sys

from analysis.trust import Trust
from tests.symbols import llvm
from tests.unwinding import emulation
from tests.unwinding.judging import Result, judged
from tests.unwinding.programs import OPTIMIZATIONS, TARGETS, Program, compiled

OPTIONS: tuple[tuple[str, ...], ...] = ((), ("-fno-omit-frame-pointer",), ("-fno-optimize-sibling-calls",))
SAVED = ("the whole image", "no code", "no unwind data")
GRADES = (Trust.CONTEXT, Trust.UNWIND, Trust.FRAME_POINTER, Trust.SCAN)
VISITS = 2


def lost_pages(program: Program, saved: str) -> tuple[int, ...]:
    """The pages of the image that a dump which saved only so much of it lacks."""
    pages = range(1, len(program.data) // 0x1000 + 1)
    code = range(1, 1 + (program.code_size + 0xFFF) // 0x1000)
    if saved == "no code":
        return tuple(code)
    return tuple(page for page in pages if page not in code) if saved == "no unwind data" else ()


def rows(programs: int) -> dict[tuple[str, str], Result]:
    """The results by architecture and by what was saved."""
    results: dict[tuple[str, str], Result] = {}
    for architecture in TARGETS:
        for number, optimization in enumerate(OPTIMIZATIONS):
            for seed in range(programs + 1):
                options = OPTIONS[(seed + number) % len(OPTIONS)] if seed else ()
                program = compiled(architecture, optimization, seed, options)
                for saved in SAVED:
                    result = results.setdefault((architecture, saved), Result())
                    result.add(judged(program, VISITS, lost_pages(program, saved)))
    return results


def main(arguments: list[str]) -> int:
    """Prints the table; see the module."""
    absent = llvm.missing() or emulation.missing()
    if absent:
        print(absent)
        return 2
    results = rows(int(arguments[0]) if arguments else 3)
    grades = "".join(f"{grade.label:>22}" for grade in GRADES)
    print(f"{'':28}{'moments':>9}{'right / all frames':>22}{grades}   (right / given)")
    failed = False
    for (architecture, saved), result in results.items():
        given = {grade: result.right[grade] + result.wrong[grade] for grade in GRADES}
        cells = "".join(f"{result.right[grade]:>12} / {given[grade]:>7}" for grade in GRADES)
        print(f"{architecture:6}{saved:22}{result.moments:>9}{result.found:>12} / {result.total:>7}{cells}")
        missed = saved == SAVED[0] and result.found != result.total
        failed |= missed or bool(result.wrong[Trust.UNWIND] or result.wrong[Trust.CONTEXT])
        for complaint in result.complaints:
            print(f"    {complaint}")
    instructions = {name: sum(one.instructions for key, one in results.items() if key[0] == name) for name in TARGETS}
    stopped_at = ", ".join(f"{count // len(SAVED)} of {name}" for name, count in instructions.items())
    print(f"stopped at different instructions: {stopped_at}; preserved registers checked in frames of trust unwind: "
          f"{sum(result.registers for result in results.values())}")  # fmt: skip
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
