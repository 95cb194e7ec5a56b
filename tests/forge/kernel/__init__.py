"""The kernel's objects in memory, one module per subject."""
