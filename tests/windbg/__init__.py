"""Tests of texts that WinDbg printed, from bytes to report."""
