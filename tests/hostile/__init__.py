"""Hostile input: one table of parsers (``targets``), fuzzed (``fuzz``), cut at every byte, and with counts that lie."""
