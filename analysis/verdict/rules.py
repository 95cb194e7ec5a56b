"""The identity of the analyzer and of the rule tables in force: a report says by which it was made."""

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from analysis.bugchecks.tables import MORE_PARAMETERS_FILE, NAMES_FILE, PARAMETERS_FILE
from analysis.bugchecks.verifier_checks import CHECKS, RULES
from analysis.verdict import functions, modules
from analysis.verdict.report import Analyzer
from analysis.verdict.user_rules import read_rules

UNKNOWN_VERSION = "0"


def present_analyzer(rules: Path | None) -> Analyzer:
    """What a report would say now of the analyzer that makes it, with this file of the user's own rules.

    Raises:
        BadRules: the file cannot be used.
    """
    return identify_analyzer(read_rules(rules).identity if rules is not None else "")


def identify_analyzer(user: str = "") -> Analyzer:
    """The present version of the analyzer and its rules; ``user`` is the identity of the user's own rules."""
    try:
        own = version("pileup")
    except PackageNotFoundError:
        own = UNKNOWN_VERSION
    return Analyzer(own, rules_identity(user))


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
    parts.append(repr((sorted(CHECKS.items()), sorted(RULES.items()))).encode())
    parts.append(repr(sorted(functions.PASS_THROUGH.items())).encode())
    if user:
        parts.append(user.encode())
    return hashlib.sha256(b"\n".join(parts)).hexdigest()[:16]
