"""Which build a kernel PDB belongs to: committed facts, for kernels whose table is not at hand or has no BUILDS.tsv.

Source: the published lists beside public collections of kernel symbol tables. A line has a build and a GUID.
"""

from pathlib import Path

KERNELS = Path(__file__).parent / "tables" / "kernels.tsv"


def known_builds() -> dict[str, str]:
    """PDB GUID (32 upper-case hex digits) → build ("10.0.19041.804") of every kernel in the committed list."""
    rows = (line.split("\t") for line in KERNELS.read_text("ascii").splitlines())
    return {guid: build for build, guid in rows}
