"""Names and layouts: built-in tables, ISF files, exports.

A source offers the ``SymbolTable`` protocol of ``names``; ``opening`` puts the sources of one kernel together. A later
source (PDB files, symbol servers) is one more module with that protocol and one more step there.

Nothing is imported here: who only names a file should not wait for what reads one.
"""
