"""The graph of waits."""
