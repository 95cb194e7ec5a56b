"""Time and memory of whole analyses; ``python -m tests.bench`` (``make bench``)."""
