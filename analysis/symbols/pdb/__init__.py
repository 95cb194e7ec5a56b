# ruff: noqa: A005 -- the format's name; the debugger of that name is never imported here
"""PDB files, read by ourselves: names, addresses and layouts of one image, each part when first asked for."""

from analysis.symbols.pdb.table import PdbTable, open_pdb

__all__ = ["PdbTable", "open_pdb"]
