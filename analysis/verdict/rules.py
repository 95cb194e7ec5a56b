"""The identity of the rule tables in force: a report says by which rules it was made."""

import functools
import hashlib

from analysis.bugchecks.tables import MORE_PARAMETERS_FILE, NAMES_FILE, PARAMETERS_FILE
from analysis.verdict import functions, modules


@functools.cache
def rules_identity(user: str = "") -> str:
    """A short hash over all tables that a verdict depends on; it changes with any of their entries.

    ``user`` is the identity of the user's own rules on top.
    """
    parts = [NAMES_FILE.read_bytes(), PARAMETERS_FILE.read_bytes(), MORE_PARAMETERS_FILE.read_bytes()]
    tables = (modules.NEVER, modules.WEAK, modules.NAMED, modules.FRAMEWORKS, modules.BUSES, modules.USER_MODE)
    parts += [",".join(sorted(table)).encode() for table in tables]
    parts += [",".join(functions.PLUMBING).encode(), ",".join(functions.WAITING).encode()]
    parts += [",".join(functions.POOL).encode()]
    parts.append(repr(sorted(functions.PASS_THROUGH.items())).encode())
    if user:
        parts.append(user.encode())
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]
