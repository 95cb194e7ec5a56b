"""Names and layouts: built-in tables, ISF files, exports.

A source offers the ``SymbolTable`` protocol of ``names``; ``opening`` puts the sources of one kernel together. A later
source (PDB files, symbol servers) is one more module with that protocol and one more step there.
"""

from analysis.symbols.kernel import KernelSymbols
from analysis.symbols.opening import SymbolSources, open_kernel_symbols

__all__ = ["KernelSymbols", "SymbolSources", "open_kernel_symbols"]
