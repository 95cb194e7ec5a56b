"""C++ names as the compiler wrote them, made short for a stack: ``?Stop@Device@@QEAAXXZ`` → ``Device::Stop``.

The one module that knows the package ``demangle``.
"""

MARK = "?"
MAX_DECORATED = 4096  # characters; the compiler itself cuts names at that length


def short_name(name: str) -> str:
    """The qualified name without return type, arguments and qualifiers; the name itself where it is not decorated.

    What cannot be read stays as it is: a decorated name is ugly, a wrong one misleads.
    """
    if not name.startswith(MARK) or len(name) > MAX_DECORATED:
        return name
    import demangle  # only here: most kernels have no C++ name on their stacks

    try:
        read = demangle.signature(name)
    except (demangle.DemanglingError, RecursionError):
        return name
    # A compiler's own function or table is told by words, not by a name: Device::`scalar deleting dtor'.
    special = read.special if read.is_special and not read.base_name.startswith("`") else None
    return f"{read.qualified_name}::`{special}'" if special else str(read.qualified_name) or name
