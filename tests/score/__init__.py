"""Agreement with WinDbg on public crashes: ``python -m tests.score``, ``make score``."""
