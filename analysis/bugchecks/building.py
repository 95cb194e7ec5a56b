"""How a family's function puts an explanation together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.bugchecks.explained import Cap, Explained, Focus, FocusKind, Hint, ParameterFact, Stop
from analysis.bugchecks.resolve import CODE_KINDS, QUEUES, READABLE, UNDECODED, resolve
from analysis.bugchecks.tables import capture_letters, find_code, is_live_only, meanings, name_of, normalise, subcase
from analysis.bugchecks.view import View

Explain = Callable[[View], Explained]


@dataclass(frozen=True, slots=True)
class Family:
    """A family of codes: its name, and for each code the function that explains it."""

    name: str
    codes: Mapping[int, Explain]


def explained(
    view: View, stop: Stop, explanation: str, focus: Focus | None = None, *, name_subcase: bool = True
) -> Explained:
    """The part of an explanation that is the same for every code: name, subcase, resolved parameters.

    ``name_subcase`` False: the explanation itself already is that of the subcase.
    """
    code = normalise(view.raw_code)
    which = subcase(code, view.parameters)
    if which is not None and name_subcase:
        explanation = f"{explanation} Subcase {which[0]:#x}: {which[1]}."
    return Explained(
        code=code,
        raw_code=view.raw_code,
        name=name_of(code),
        stop=stop,
        explanation=explanation,
        subcase=which[0] if which else None,
        parameters=parameter_facts(view),
        focus=focus or _focus(view),
        live=is_live_only(code) or capture_letters(view.raw_code) is not None,
        cannot_tell=tuple(_undecoded(view)),
    )


def parameter_facts(view: View) -> tuple[ParameterFact, ...]:
    """The four parameters with their meanings and what they are in this dump."""
    code = normalise(view.raw_code)
    known, which = find_code(code), subcase(code, view.parameters)
    found = meanings(code, view.parameters)
    told = [resolve(meaning, value, view) for meaning, value in zip(found, view.parameters, strict=True)]
    if known is not None and which is not None:
        told[known.subcase_parameter - 1] = told[known.subcase_parameter - 1] or which[1]
    return tuple(
        ParameterFact(value, meaning.text if meaning else None, resolved)
        for value, meaning, resolved in zip(view.parameters, found, told, strict=True)
    )


def with_hints(one: Explained, hints: Sequence[Hint | None]) -> Explained:
    """The explanation with the hints that exist added."""
    return replace(one, hints=one.hints + tuple(hint for hint in hints if hint is not None))


def with_caps(one: Explained, *caps: Cap) -> Explained:
    """The explanation with caps on confidence added."""
    return replace(one, caps=one.caps + caps)


def code_hint(view: View, index: int, what: str) -> Hint | None:
    """The module around parameter ``index`` (1 to 4), loaded or unloaded; None where it lies in none."""
    address = view.parameters[index - 1]
    module = view.module_at(address)
    if module is not None:
        because = f"parameter {index}, {what}, is {address:#x}, which lies in {module.name}"
        return Hint(module.name, because, view.symbol(address), address=address)
    gone = view.unloaded_at(address)
    if gone is None:
        return None
    because = f"parameter {index}, {what}, is {address:#x}, where {gone.name} used to be: it was unloaded before"
    return Hint(gone.name, because, f"{gone.name}!Unloaded", decisive=True, address=address)


def kernel_named_hint(view: View) -> Hint | None:
    """The driver that the kernel wrote on the blue screen itself, where it did."""
    if view.broken_driver is None:
        return None
    return Hint(
        view.broken_driver.lower(), f"the kernel itself named {view.broken_driver} when it stopped", decisive=True
    )


def named_hint(name: str | None, because: str, *, decisive: bool = True) -> Hint | None:
    """A driver that a text names ("\\Driver\\Acme", "acme.sys", "Acme"); None where the text is none."""
    if name is None or not (last := name.replace("/", "\\").rpartition("\\")[2].strip().lower()):
        return None
    image = last if last.endswith((".sys", ".dll", ".exe")) else f"{last}.sys"
    return Hint(image, because, decisive=decisive)


def meaning_hints(view: View) -> list[Hint | None]:
    """A module for every parameter that is code, a driver object or a device object, in the order of parameters."""
    found: list[Hint | None] = []
    for index, meaning in enumerate(meanings(normalise(view.raw_code), view.parameters), 1):
        if meaning is None or not view.parameters[index - 1]:
            continue
        if meaning.kind in CODE_KINDS:
            found.append(code_hint(view, index, meaning.text))
        elif meaning.kind == "device_object":
            found.append(device_hint(view, index))
        elif meaning.kind == "driver_object":
            found.append(driver_hint(view, index))
    return found


def device_hint(view: View, index: int, *, decisive: bool = False) -> Hint | None:
    """The driver of the device object that parameter ``index`` points to."""
    address = view.parameters[index - 1]
    driver = view.device_driver(address) if address else None
    if driver is None:
        return None
    path = view.instance_path(address)
    because = f"it owns the device object {address:#x} (parameter {index}{f', {path}' if path else ''})"
    return Hint(driver, because, decisive=decisive)


def driver_hint(view: View, index: int) -> Hint | None:
    """The image of the driver object that parameter ``index`` points to."""
    address = view.parameters[index - 1]
    image = view.driver_image(address) if address else None
    return Hint(image, f"parameter {index} is its driver object {address:#x}", decisive=True) if image else None


def thread_focus(view: View, index: int, why: str) -> Focus:
    """The stack of the thread that parameter ``index`` names."""
    return Focus(FocusKind.THREAD, view.parameters[index - 1], f"parameter {index} names this thread: {why}")


def _focus(view: View) -> Focus:
    # Where the meanings say that a parameter is a thread, that thread is the story; the crashing one only reports it.
    for index, meaning in enumerate(meanings(normalise(view.raw_code), view.parameters), 1):
        if meaning is not None and meaning.kind == "thread" and view.parameters[index - 1]:
            return thread_focus(view, index, meaning.text)
    return Focus(FocusKind.CRASH, why="the thread that was running when the machine stopped")


def _undecoded(view: View) -> list[str]:
    told = []
    found = meanings(normalise(view.raw_code), view.parameters)
    for index, (value, meaning) in enumerate(zip(view.parameters, found, strict=True), 1):
        if meaning is None or not value or resolve(meaning, value, view) is not None:
            continue
        if meaning.kind in UNDECODED:
            why = "is not decoded: no table holds its layout"
        elif meaning.kind in READABLE:
            why = "is not in this dump, or is damaged"
        elif meaning.kind in QUEUES:
            why = "names nothing that is outstanding, or is not in this dump"
        else:
            continue
        told.append(f"The block at {value:#x} (parameter {index}: {meaning.text}) {why}.")
    return told
