"""A thousand dumps under everything at once; each is to be answered exactly once. ``python -m tests.soak``."""
