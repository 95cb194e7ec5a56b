"""Stacks of code that the tests compile, held against its true call chain, known by emulation."""
