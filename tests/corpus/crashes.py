"""How a bug shows itself on one machine: builds, addresses, versions and waiters vary, and much is missing."""

from dataclasses import dataclass
from random import Random

from tests.corpus.families import FAULT, RAISED, Family

BUILDS = (14393, 17763, 18362, 19041, 20348, 22000, 22621)
# Innocent drivers that leave return addresses on many stacks.
BYSTANDERS = ("fltmgr", "ntfs", "wdfilter", "storport", "ndis", "tcpip", "wcifs", "luafv", "partmgr", "volsnap")
WAITERS = ("wininit.exe", "services.exe", "svchost.exe", "lsass.exe", "explorer.exe", "chrome.exe", "System")
WITHOUT_NT_SYMBOLS, WITHOUT_IMAGES, TRUNCATED = 0.12, 0.3, 0.2
# How often a release's compiler builds a function into its caller: the innermost one, and the others.
INLINED_INNERMOST, INLINED = 0.02, 0.15


@dataclass(frozen=True, slots=True)
class Line:
    """One frame: module, function (None without symbols), offset, and whether it was found by scanning."""

    module: str
    function: str | None
    offset: int
    is_scanned: bool


@dataclass(frozen=True, slots=True)
class Crash:
    """One crash with its truth: the family's number and its kin."""

    number: int
    family: int
    kin: int
    code: int
    parameters: tuple[int, int, int, int]
    stack: tuple[Line, ...]
    lock: str | None
    holder_module: str | None
    service: str | None
    host: str
    build: int
    version: str
    waiters: tuple[str, ...]
    base: int


def draw_crashes(random: Random, families: tuple[Family, ...], count: int) -> tuple[Crash, ...]:
    """``count`` crashes, common families far more often than rare ones, in the order in which they happened."""
    weights = [1 / (1 + place) ** 0.5 for place in range(len(families))]
    order = random.sample(families, len(families))
    drawn = list(families) + random.choices(order, weights, k=count - len(families))
    random.shuffle(drawn)
    return tuple(_crash(random, number, family) for number, family in enumerate(drawn))


def _crash(random: Random, number: int, family: Family) -> Crash:
    release = random.randint(1, 4)
    has_nt = random.random() >= WITHOUT_NT_SYMBOLS
    stack = _stack(random, family, release, has_nt)
    if random.random() < TRUNCATED:
        keep = random.randint(len(family.top) + (1 if family.driver else 0), len(stack)) if stack else 0
        stack = stack[:keep]
    waiters = tuple(random.choice(WAITERS) for _ in range(random.randint(1, 5))) if family.lock else ()
    first, second, third, fourth = family.parameters
    pointer = 0xFFFF_8000_0000_0000 + (random.getrandbits(38) << 4)
    return Crash(
        number=number,
        family=family.number,
        kin=family.kin,
        code=family.code,
        parameters=(first, second, third or pointer, fourth or pointer + 0x100),
        stack=stack,
        lock=family.lock if has_nt else None,
        holder_module=family.driver if family.service else None,
        service=family.service if random.random() < 0.9 else None,
        host=f"PC-{random.randint(1, 400)}",
        build=random.choice(BUILDS),
        version=f"{release}.{random.randint(0, 9)}",
        waiters=waiters,
        base=0xFFFF_F800_0000_0000 + (random.getrandbits(30) << 12),
    )


def _stack(random: Random, family: Family, release: int, has_nt: bool) -> tuple[Line, ...]:
    scanned = random.random() < WITHOUT_IMAGES
    named = random.random() < family.symbols
    lines = [_line(random, symbol, has_nt, scanned) for symbol in family.top]
    for place, function in enumerate(family.path):
        driver = (family.driver or "").removesuffix(".sys")
        # Where the code lies, and whether it is a function of its own, is the release's alone.
        built = Random(f"{family.driver} {function} {release}")
        offset = built.randint(0x10, 0xFFF)
        if built.random() >= (INLINED if place else INLINED_INNERMOST):
            # Where a fault happened is known for sure, whatever the rest of the stack rests on.
            guessed = scanned and not (place == 0 and family.top in (FAULT, RAISED))
            lines.append(Line(driver, function if named else None, offset if named else offset << 4, guessed))
    lines += [_line(random, symbol, has_nt, scanned) for symbol in family.above]
    if scanned:
        for _ in range(random.randint(0, 3)):
            stray = Line(random.choice(BYSTANDERS), None, random.randint(0x1000, 0xFFFF0), is_scanned=True)
            lines.insert(random.randint(min(4, len(lines)), len(lines)), stray)
    return tuple(lines)


def _line(random: Random, symbol: str, has_nt: bool, scanned: bool) -> Line:
    module, _, function = symbol.partition("!")
    known = has_nt or module != "nt"
    return Line(module, function if known else None, random.randint(0x10, 0x3FF), scanned)
