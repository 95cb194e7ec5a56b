"""A kernel as a debugger's text shows it: the same scene as one read from a dump, with less in it."""

from analysis.kernel.printed.scene import PrintedScene, read_printed

__all__ = ["PrintedScene", "read_printed"]
